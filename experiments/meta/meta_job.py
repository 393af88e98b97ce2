"""One meta run: record trees, tune settings on them, search elsewhere with tuned and default ones, play live."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from controllers.baselines import seed_candidate
from experiments.gate.learned.learning import Trees, recorded
from experiments.gate.report import GateReport
from experiments.meta.config import MetaConfig, search_config
from experiments.meta.report import Lifts, report_of
from experiments.meta.tuned import Below, Tuned, above, tuned
from experiments.search.stages import evaluator_of, plan_of
from experiments.whole_file import write_whole
from experiments.wiring import Ready, Wired, definition_of_done, wired
from judges.manifest import require_unchanged
from judges.probes import run_probes
from optimizers.levels.loops import Level, levels_of, values_of
from optimizers.levels.problems import Problem, problems_of
from optimizers.levels.settings import SearchSettings
from signatures.digest import digest_of, seed_of
from signatures.errors import EvidenceError
from signatures.records import Candidate, Task

SETTINGS_FILE: Final = "settings.json"
"""Kept in the run folder: what an ablation, or a search, may be given."""


class Projection(NamedTuple):
    """The most that a meta run takes, in attempts."""

    record: int
    replayed: int
    "that evaluations of searches stand for; none of them is made where the trees hold what is asked"
    live_search: int
    "for what the trees do not hold"
    confirm: int
    "on dev tasks, under the judge"

    @property
    def total(self) -> int:
        """Live ones."""
        return self.record + self.live_search + self.confirm

    def said(self) -> str:
        """In one line."""
        return (
            f"at most {self.total} live attempts: {self.record} recorded, {self.live_search} where searches ask what "
            f"the trees do not hold, {self.confirm} on dev; searches replay up to {self.replayed} more"
        )


@dataclass(frozen=True)
class Meta:
    """What the stages of a meta run share."""

    config: MetaConfig
    wired: Wired
    folder: Path
    say: Callable[[str], object]


def projection(config: MetaConfig, given: Ready) -> Projection:
    """What the run would take at most. Does nothing."""
    plan = plan_of(given.config, given.actions)
    searches = (config.candidates + 1) * config.problems + 2 * config.confirm
    each = (config.val + 2 * max((*config.minibatches, SearchSettings().minibatch))) * config.attempts
    return Projection(
        record=2 * config.pool * plan.most_attempts,
        replayed=searches * config.compute,
        live_search=searches * each,
        confirm=config.confirm * config.dev * (1 + 3 * config.attempts),
    )


async def run_meta(config: MetaConfig, given: Ready, folder: Path, say: Callable[[str], object]) -> GateReport:
    """The whole run in its folder. Killed and started again on it, it ends the same. Raises TillerError."""
    given = replace(given, config=search_config(config, folder / "corpus.db"))
    say(projection(config, given).said())
    with wired(given, folder) as parts:
        parts.journal.require_same(digest_of(config.identity, parts.manifest, given.worker.fingerprint))
        await run_probes(parts.setup.judge, parts.benchmark.probes())
        meta = Meta(config, parts, folder, say)
        tuning, confirming = await _pools(meta)
        problems = problems_of(tuning.tasks, config.sizes, count=config.problems, seed=config.seed)
        below = Below(parts, tuning, config.compute)
        found = await tuned(below, problems, config.choices, folder / "tuning", most=config.candidates)
        write_whole(folder / SETTINGS_FILE, json.dumps(found.settings.model_dump(mode="json"), indent=1) + "\n")
        say(f"tuned on {len(problems)} problems in {found.searches} searches: {found.settings.model_dump_json()}")
        lifts = await _confirmed(meta, confirming, found)
        require_unchanged(folder / "manifest.json", definition_of_done(parts.benchmark, given.splits))
        await run_probes(parts.setup.judge, parts.benchmark.probes())
        return report_of(config, parts, found, lifts)


async def _pools(meta: Meta) -> tuple[Trees, Trees]:
    """The trees that settings are tuned on, and those of the confirmation: no task is in both."""
    search, tasks = search_config(meta.config, meta.folder / "corpus.db"), meta.wired.splits.train
    pools = []
    for name, own in (("tune", tasks[: meta.config.pool]), ("confirm", tasks[meta.config.pool :])):
        pools.append(await recorded(search, meta.wired, meta.folder / f"trees-{name}", own))
    meta.say(f"{sum(len(pool.tasks) for pool in pools)} trees: {sum(p.attempts for p in pools)} attempts recorded")
    return pools[0], pools[1]


async def _confirmed(meta: Meta, trees: Trees, found: Tuned) -> Lifts:
    """Searches on other tasks from other seeds, by replay; then what they found, live on dev tasks under the judge."""
    config = meta.config
    problems = problems_of(trees.tasks, config.sizes, count=config.confirm, seed=seed_of("confirm", config.seed))
    dev = meta.wired.splits.dev
    slices = [dev[i * config.dev : (i + 1) * config.dev] for i in range(config.confirm)]
    below = evaluator_of(meta.wired, split="dev", namespace="levels")
    with above(Below(meta.wired, trees, config.compute), problems, meta.folder / "confirming") as evaluator:
        worker, controller, search = levels_of(below, evaluator)
        plain = await _searched(search, SearchSettings(), problems)
        best = await _searched(search, found.settings, problems)
    meta.say(f"{len(problems)} problems searched again with either settings; played on {len(dev)} dev tasks")
    seed, start = seed_of("levels", config.seed), [seed_candidate()] * len(problems)
    return Lifts(
        one=await _played(worker, start, slices, seed),
        start=await _played(controller, start, slices, seed),
        searched=await _played(controller, plain, slices, seed),
        tuned=await _played(controller, best, slices, seed),
        problem={task.digest: str(number) for number, own in enumerate(slices) for task in own},
    )


async def _searched(level: Level, settings: SearchSettings, problems: Sequence[Problem]) -> list[Candidate]:
    """What a search with these settings finds on each problem. Raises EvidenceError where one did not end."""
    tasks = [problem.task for problem in problems]
    outputs = [
        None if one.rollout is None else one.rollout.output
        for one in await level.trace(settings.candidate, tasks, seed=0)
    ]
    bodies = [json.loads(output) for output in outputs if output is not None]
    if len(bodies) < len(tasks):
        raise EvidenceError(f"{len(tasks) - len(bodies)} of {len(tasks)} searches did not end: nothing is compared")
    return [Candidate(components=body["components"]) for body in bodies]


async def _played(
    level: Level, candidates: Sequence[Candidate], slices: Sequence[Sequence[Task]], seed: int
) -> Mapping[str, list[float | None]]:
    """Task digest -> the judge's number, each candidate on the tasks of its own problem."""
    values: dict[str, list[float | None]] = {}
    for candidate, tasks in zip(candidates, slices, strict=True):
        values |= {task: [value] for task, value in (await values_of(level, candidate, tasks, seed=seed)).items()}
    return values
