"""What the engines search in: a benchmark under replay, and one that is attempted live."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from experiments.search_config import SearchConfig
from signatures.digest import digest_of

if TYPE_CHECKING:
    from experiments.wiring import Wired
    from optimizers.behaviour import State
    from optimizers.replay.tree import Tree, TreeReplay
    from optimizers.replaying import Replaying
    from optimizers.space import Space
    from signatures.records import Candidate, Task

ATTEMPTS: Final = 3


class World(NamedTuple):
    """One benchmark, and how much of it."""

    name: str
    benchmark: str
    live: bool
    train: int
    val: int
    dev: int
    turns: int
    compute: int
    "attempts that the evaluations of one search may stand for"

    def config(self, folder: Path, corpus: Path) -> SearchConfig:
        """As a search command has it."""
        return SearchConfig(
            benchmark=self.benchmark,
            train=self.train,
            val=self.val,
            dev=self.dev,
            turns=self.turns,
            attempts=ATTEMPTS,
            minibatch=min(12, self.train),
            live=self.live,
            root=str(folder),
            corpus=str(corpus),
            tracking=False,
        )


WORLDS: Final[Mapping[str, World]] = {
    "replay": World("replay", "telecom", live=False, train=24, val=48, dev=96, turns=12, compute=3000),
    "live": World(
        "live", "tests.worlds.planted:PlantedBenchmark", live=True, train=8, val=24, dev=60, turns=3, compute=1500
    ),
}


class Trees(NamedTuple):
    """Recorded trees by task digest."""

    search: Mapping[str, Tree]
    dev: Mapping[str, Tree]
    "empty where dev is attempted live"


@dataclass(frozen=True)
class Arena:
    """A world that is open: everything a search in it is built from."""

    world: World
    config: SearchConfig
    wired: Wired
    replay: Replaying
    dev: TreeReplay
    space: Space
    states: tuple[State, ...]
    values: dict[str, tuple[float, ...] | None]
    "dev vectors by candidate digest"

    async def dev_vector(self, candidate: Candidate) -> tuple[float, ...] | None:
        """Mean of each objective over the dev tasks; None where fewer than half of them have all values.

        Under replay exactly, from trees of the dev tasks that nothing else reads; else attempted live.
        """
        if candidate.digest not in self.values:
            rows = await (self._attempted(candidate) if self.world.live else self._replayed(candidate))
            enough = len(rows) >= len(self.wired.splits.dev) / 2
            columns = [sum(column) / len(rows) for column in zip(*rows, strict=True)] if enough else []
            self.values[candidate.digest] = tuple(columns) or None
        return self.values[candidate.digest]

    async def _replayed(self, candidate: Candidate) -> list[tuple[float, ...]]:
        from controllers.program import controller_of
        from optimizers.replaying import Answer

        rows: list[tuple[float, ...]] = []
        controller = controller_of(candidate)
        for task in self.wired.splits.dev:
            value = await self.dev.value(controller, task)
            if value is not None and Answer(value).counts:
                rows += self._whole(value.values)
        return rows

    async def _attempted(self, candidate: Candidate) -> list[tuple[float, ...]]:
        from experiments.search.stages import evaluator_of
        from optimizers.evaluator import Request

        evaluator = evaluator_of(self.wired, split="dev", namespace="dev")
        scored = await evaluator.evaluate(Request(candidate, self.wired.splits.dev, seed=7))
        return [row for one in scored for row in self._whole(one.score.values)]

    def _whole(self, values: Mapping[str, float | None]) -> list[tuple[float, ...]]:
        row = [values[objective.name] for objective in self.wired.setup.objectives]
        known = [value for value in row if value is not None]
        return [tuple(known)] if len(known) == len(row) else []


def prepare(world: World, work: Path) -> None:
    """Record the trees of the world once; what is there is left as it is."""
    target, corpus = trees_file(world, work), work / f"corpus-{world.name}.db"
    if target.exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    with opened(world, work, corpus) as parts:
        trees = asyncio.run(_recorded(parts, world.config(work, corpus)))
    draft = target.with_suffix(".draft")
    draft.write_bytes(pickle.dumps(trees))
    draft.rename(target)


async def _recorded(parts: Wired, config: SearchConfig) -> Trees:
    from experiments.search.trees import record_trees

    replay = (await record_trees(config, parts, lambda: None)).replay
    return Trees(dict(replay.trees), {} if config.live else await _dev_trees(parts, config))


def trees_file(world: World, work: Path) -> Path:
    """Where the recorded trees of exactly this world are, whatever a search in it may spend."""
    return work / f"trees-{world.name}-{digest_of([*world._replace(compute=0)])[:8]}.pickle"


@contextmanager
def opened(world: World, work: Path, corpus: Path) -> Iterator[Wired]:
    """The parts of a run of this world in a folder of its own."""
    from experiments.wiring import ready, wired

    folder = work / f"{corpus.stem}-run"
    folder.mkdir(parents=True, exist_ok=True)
    with wired(ready(world.config(work, corpus)), folder) as parts:
        yield parts


@contextmanager
def arena(world: World, work: Path, part: int) -> Iterator[Arena]:
    """The world with its recorded trees, on a corpus that belongs to this process alone."""
    from experiments.search.stages import space_from
    from optimizers.behaviour import states_of
    from optimizers.replay.tree import TreeReplay
    from optimizers.replaying import Replaying

    trees: Trees = pickle.loads(trees_file(world, work).read_bytes())
    corpus = work / f"part{part}-{world.name}.db"
    with opened(world, work, corpus) as parts:
        setup, config = parts.setup, world.config(work, corpus)
        search, dev = (TreeReplay(one, setup.observer, setup.objectives, setup.grant) for one in trees)
        space = space_from(search, parts.splits.train, parts.actions, ATTEMPTS)
        states = states_of(search, parts.splits.train)
        yield Arena(world, config, parts, Replaying(search, answers=not world.live), dev, space, states, {})


async def _dev_trees(parts: Wired, config: SearchConfig) -> dict[str, Tree]:
    """Trees of the dev tasks, judged here: a report reads them, no search, no evaluator and no ledger does."""
    from controllers.baselines import seed_candidate
    from experiments.search.stages import plan_of
    from optimizers.collect.collecting import collect
    from optimizers.replay.tree import Tree

    plan, setup = plan_of(config, parts.actions), parts.setup
    wide = replace(setup.grant, attempts=plan.most_attempts)

    async def grown(task: Task) -> Tree:
        made = setup.spec(task, seed_candidate(), condition=f"{plan.condition} dev", split="dev", seed=5, grant=wide)
        _, history, outputs = await collect(made, setup.parts(seed_candidate()), plan)
        verdicts = {id: (await setup.judge.judge(task, output)).score for id, output in outputs.items()}
        return Tree(history, verdicts)

    tasks: Sequence[Task] = parts.splits.dev
    trees = await setup.executor.map(grown, tasks)
    return {task.digest: tree for task, tree in zip(tasks, trees, strict=True)}
