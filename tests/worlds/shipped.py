"""Releases of controllers of the planted world, made by hand: as records, as champions, as folders."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from controllers import Worker
from controllers.baselines import controller_components
from controllers.corpus import SqliteCorpus
from controllers.loop import run_episode
from controllers.production import production_parts, production_spec
from controllers.program import controller_of, rule_component
from controllers.release import MANIFEST, REPORT, STATE, Champion, fingerprints_of, schemas_here
from controllers.steers import steer_table
from signatures.digest import digest_bytes, seed_of
from signatures.records import Amounts, AttemptContext, AttemptResult, Candidate, Episode, Task, WorkerFingerprint
from signatures.release import Lineage, Release
from tests.worlds.planted import PlantedBenchmark, PlantedWorker

BENCHMARK = "tests.worlds.planted:PlantedBenchmark"
LAMPS = ("fan", "pump", "valve")


def follows_lamps() -> Candidate:
    """The controller that the world was planted for: it works where a lamp is lit."""
    rules: list[dict[str, object]] = [
        {"when": [{"feature": f"planted.lit.{group}", "op": ">", "value": 0.5}], "then": {group: 1.0}}
        for group in LAMPS
    ]
    components = controller_components(refine=True, steer={"none": 1.0})
    return Candidate(components={**components, "steer": rule_component(rules, {"none": 1.0})})


def ship(folder: Path, candidate: Candidate | None = None, **changed: object) -> Release:
    """Write a release of the candidate into a folder, over what is there; fields of it may be changed."""
    world = PlantedBenchmark()
    controller = controller_of(candidate or follows_lamps())
    state, report = (controller.dumps() + "\n").encode(), b"{}\n"
    given: dict[str, object] = {
        "name": world.id,
        "benchmark": world.id,
        "candidate": controller.digest,
        "state": digest_bytes(state),
        "report": digest_bytes(report),
        "schemas": schemas_here(),
        "fingerprints": fingerprints_of((), world.worker(None, None).fingerprint),
        "granted": Amounts(attempts=3, turns=9),
        "turns_per_attempt": 3,
        "steer_legal": ("none", *(directive.action for directive in world.directives)),
        "exploration": 0.05,
        "lineage": Lineage(name="by hand"),
        "ungated": "made by a test",
        "created_s": 1_700_000_000.0,
    }
    release = Release.model_validate({**given, **changed})
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {**release.model_dump(mode="json"), "digest": release.digest}
    for name, data in ((STATE, state), (REPORT, report), (MANIFEST, json.dumps(manifest).encode())):
        (folder / name).write_bytes(data)
    return release


async def serve(
    corpus: SqliteCorpus, champion: Champion, tasks: Sequence[Task], *, each: int = 1, worker: Worker | None = None
) -> list[Episode]:
    """Play production episodes, `each` of every task with a seed of its own, one after another."""
    world = PlantedBenchmark()
    parts = production_parts(
        champion,
        worker=worker or world.worker(None, None),
        checkers=world.checkers(),
        steers=steer_table(world.directives, world),
        observer=world,
        corpus=corpus,
    )
    specs = [production_spec(champion, task, seed=seed_of("served", n)) for n in range(each) for task in tasks]
    return [(await run_episode(spec, parts)).episode for spec in specs]


class AnyMachineWorker:
    """The planted worker before a machine that it was never told of: two parts of it are broken."""

    def __init__(self) -> None:
        self.inner = PlantedWorker(defaultdict(lambda: ("fan.0", "pump.1")))

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The planted worker's."""
        return self.inner.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One attempt."""
        return await self.inner.attempt(task, context, start)
