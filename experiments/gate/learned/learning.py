"""One step of learning: record trees of some tasks, and search a controller offline on all trees so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field
from rich.console import Console

from experiments.search.narrator import Narrator
from experiments.search.stages import evaluator_of
from experiments.search.trees import record_trees
from experiments.search_config import SearchConfig
from experiments.wiring import Splits, Wired
from optimizers.journal import Journal
from optimizers.levels.settings import SearchSettings, plain_kit, search_with
from optimizers.replay.tree import Tree, TreeReplay
from optimizers.replaying import Replaying
from optimizers.search import SearchPlan
from optimizers.space import Space
from signatures.digest import seed_of
from signatures.records import Amounts, Candidate, Record, Task


@dataclass(frozen=True)
class Trees:
    """Recorded trees, and the attempts that recording them took."""

    tasks: tuple[Task, ...]
    replay: TreeReplay
    attempts: int

    def plus(self, other: Trees, wired: Wired) -> Trees:
        """Both, as one replay."""
        return Trees(
            (*self.tasks, *other.tasks),
            replay_of({**self.replay.trees, **other.replay.trees}, wired),
            self.attempts + other.attempts,
        )


@dataclass(frozen=True)
class Lesson:
    """What a search between two runs is given."""

    config: SearchConfig
    trees: Trees
    start: Candidate
    space: Space
    name: str
    "of its seed"
    settings: SearchSettings | None = None
    "how the search goes about it; None: as nobody tuned it, with the config's minibatch"

    @property
    def part(self) -> str:
        """Of the journal; the seed is the same with other settings, the questions are not."""
        return self.name if self.settings is None else f"{self.name}, tuned"


class Learned(Record):
    """The controller that a search chose, and what choosing it took."""

    name: str
    candidate: Candidate
    tasks: tuple[str, ...]
    "digests of the tasks that it was learned on"
    evaluations: int = Field(ge=0)
    live: int = Field(ge=0)
    "attempts on these tasks, for what their trees do not hold"


def replay_of(trees: Mapping[str, Tree], wired: Wired) -> TreeReplay:
    """The replay of these trees with the run's parts."""
    setup = wired.setup
    return TreeReplay(trees, setup.observer, setup.objectives, setup.grant)


async def recorded(config: SearchConfig, wired: Wired, folder: Path, tasks: Sequence[Task]) -> Trees:
    """A tree for each of `tasks`; which ones is kept in `folder`, so that they are the same when it is done again.

    Raises WorkerError where no attempt worked.
    """
    with closing(_journal(folder)) as journal:
        parts = replace(wired, journal=journal, splits=Splits(train=tuple(tasks), val=(), dev=()))
        found = await record_trees(config, parts, lambda: None)
    return Trees(tuple(tasks), found.replay, found.recording.new)


def _journal(folder: Path) -> Journal:
    folder.mkdir(exist_ok=True)
    return Journal(folder / "journal.jsonl")


async def learn(lesson: Lesson, wired: Wired) -> Learned:
    """A search on the trees, GEPA with mined rules unless it is tuned; of its front the best on the primary objective.

    A tree serves reflection and comparison alike: what was learned is measured on other tasks. Live attempts are
    spent only on what the trees do not hold, on the same tasks, and never more than one evaluation and one proposal
    would take.
    """
    config, tasks = lesson.config, lesson.trees.tasks
    settings = lesson.settings or SearchSettings(minibatch=config.minibatch)
    minibatch = min(settings.minibatch, len(tasks))
    evaluator = evaluator_of(
        wired,
        split="search",
        namespace=lesson.part,
        replay=Replaying(lesson.trees.replay),
        budget=Amounts(attempts=(len(tasks) + 2 * minibatch) * config.attempts),
    )
    plan = SearchPlan(
        start=lesson.start,
        train=tasks,
        val=tasks,
        seed=seed_of(lesson.name, config.seed),
        generations=config.generations,
        iterations=config.iterations,
        minibatch=minibatch,
    )
    listener = Narrator(lambda event: None, Console(quiet=True), evaluator, title=lesson.name, children=False)
    kit = plain_kit(lesson.space, wired.actions)
    archive = await search_with(settings, plan, evaluator, kit, listener)
    best = archive.front()[0]
    return Learned(
        name=lesson.part,
        candidate=listener.found_by_digest[best.candidate].candidate,
        tasks=tuple(task.digest for task in tasks),
        evaluations=evaluator.tally.scores,
        live=evaluator.budget.spent.attempts or 0,
    )
