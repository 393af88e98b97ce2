"""The planted world as it drifts: machines that come with other faults, and a worker that gets worse."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from controllers import Worker
from controllers.baselines import seed_candidate
from controllers.corpus import SqliteCorpus
from controllers.loop import run_episode
from controllers.release import FolderSource, load_champion
from experiments.drift.reference import reference_from
from signatures.records import Task
from signatures.release import Level, Reference, Release
from tests.worlds.lab import Lab
from tests.worlds.planted import PlantedBenchmark, PlantedConfig
from tests.worlds.shipped import follows_lamps, serve, ship

WORLD = PlantedBenchmark()
WORSE = PlantedBenchmark(PlantedConfig(noise=0.9, compliance=0.1)).worker(None, None)
"""A worker that slips nine times out of ten and hardly listens. Its fingerprint differs; production is not told."""
GATE = {"correct": Level(mean=0.93, n=180)}
"""What the lamp follower reaches on the share of parts that work, in round numbers."""


class Shipped(NamedTuple):
    """A release in a folder, with the corpus that it was learned on."""

    root: Path
    folder: Path
    release: Release

    @property
    def corpus(self) -> Path:
        """The corpus of the world below the root."""
        return self.root / "corpus-planted.db"


async def searched(corpus: SqliteCorpus, lab: Lab, tasks: int) -> None:
    """One search episode of the seed candidate on each of the first tasks."""
    setup = lab.setup()
    setup = type(setup)(**{**vars(setup), "corpus": corpus})
    candidate = seed_candidate()
    for task in WORLD.tasks("search")[:tasks]:
        spec = setup.spec(task, candidate, condition="search", split="search", seed=3)
        await run_episode(spec, setup.parts(candidate))


async def shipped(root: Path, *, tasks: int = 120, success: bool = True) -> Shipped:
    """Search on so many tasks, and ship the lamp follower with the reference that this gives."""
    lab = Lab(root)
    try:
        with closing(SqliteCorpus(root / "corpus-planted.db")) as corpus:
            await searched(corpus, lab, tasks)
            found = await reference_from(corpus, WORLD, None, follows_lamps().digest)
    finally:
        lab.close()
    assert found is not None
    reference = Reference(features=found.features, success=GATE if success else {})
    return Shipped(root, root / "release", ship(root / "release", reference=reference))


async def played(given: Shipped, tasks: Sequence[Task], *, each: int = 1, worker: Worker | None = None) -> None:
    """Production episodes of the release, into the same corpus."""
    champion = load_champion(FolderSource(given.folder))
    with closing(SqliteCorpus(given.corpus)) as corpus:
        await serve(corpus, champion, tasks, each=each, worker=worker)
