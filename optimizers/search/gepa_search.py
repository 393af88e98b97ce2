"""GEPA as an engine: `gepa.optimize` with our own adapter, acceptance, parent selection and stopping.

gepa keeps its own pool by one number per task (`correct`); what is compared, kept and reported is the vector in
our archive. Nothing of gepa's own checkpoint is used: a search is resumed by running it again from the journal.
Source: Agrawal et al. 2025, "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning".
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from optimizers.archive import Archive
from optimizers.book import MOST_IDLE, Behaviour, Book
from optimizers.bridge import Bridge
from optimizers.evaluator import Evaluator, Scored
from optimizers.gepa_adapter import Adapter, Example
from optimizers.paying import require_budget
from optimizers.proposers import Proposer
from optimizers.racing import DEFAULT, Race
from optimizers.records import TaskScore
from optimizers.search import Engine, Kit, Listener, SearchPlan
from signatures.records import Record

if TYPE_CHECKING:
    from gepa.core.callbacks import IterationEndEvent
    from gepa.core.state import GEPAState


class Options(Record):
    """It has none."""


class GepaSearch:
    """The GEPA engine."""

    def __init__(self, *, known: Behaviour | None = None, race: Race = DEFAULT) -> None:
        self.known = known
        self.race = race

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Run gepa in a thread. Raises UsageError where the budget cannot pay for one evaluation of the seed."""
        import gepa

        require_budget(plan, evaluator)
        book = Book(plan, evaluator, listener, letter="g", known=self.known)
        adapter = Adapter(book, proposer, Bridge(), race=self.race)
        pace = Pace(adapter)

        def optimize() -> None:
            gepa.optimize(
                seed_candidate=dict(plan.start.components),
                trainset=Loader([Example(task, "train") for task in plan.train]),
                valset=Loader([Example(task, "val") for task in plan.val]),
                adapter=adapter,
                candidate_selection_strategy=FrontSelector(adapter, plan.seed),
                module_selector=Rotation(),
                skip_perfect_score=False,
                reflection_minibatch_size=plan.minibatch,
                stop_callbacks=pace,
                callbacks=[pace],
                acceptance_criterion=adapter,
                logger=Silent(),
                track_best_outputs=False,
                seed=plan.seed,
            )

        await adapter.bridge.run(optimize)
        if adapter.kept.error is not None:
            raise adapter.kept.error
        return book.close()


def engine(kit: Kit) -> Engine:
    """With what tells equal behaviours in the kit's states."""
    kit.settings(Options, "gepa_search")
    return GepaSearch(known=kit.behaviour())


class Loader:
    """Examples by namespaced id, so that a train and a val example never share one."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._by_id = {f"{example.part}/{example.task.digest}": example for example in examples}

    def all_ids(self) -> list[str]:
        """All ids, in order."""
        return list(self._by_id)

    def fetch(self, ids: Sequence[str]) -> list[Example]:
        """The examples of these ids, in order."""
        return [self._by_id[id] for id in ids]

    def __len__(self) -> int:
        return len(self._by_id)


class FrontSelector:
    """Draws the parent uniformly from the archive's front."""

    def __init__(self, adapter: Adapter, seed: int) -> None:
        self._adapter = adapter
        self._rng = random.Random(seed)

    def select_candidate_idx(self, state: GEPAState[TaskScore, str]) -> int:
        """gepa's index of the chosen parent."""
        front = [entry.candidate for entry in self._adapter.book.archive.front()]
        index = {self._adapter.digest_of(texts): i for i, texts in enumerate(state.program_candidates)}
        known = [index[digest] for digest in front if digest in index]
        return self._rng.choice(known) if known else 0


class Rotation:
    """Names the components in turn, the others after it: where one has nothing to gain, the next is tried."""

    def __init__(self) -> None:
        self._turn = 0

    def __call__(
        self,
        state: GEPAState[TaskScore, str],
        trajectories: Sequence[Scored],
        scores: Sequence[float],
        candidate_idx: int,
        candidate: Mapping[str, str],
    ) -> list[str]:
        """All component names, beginning with another one each time."""
        names = list(candidate)
        first = self._turn % len(names)
        self._turn += 1
        return [*names[first:], *names[:first]]


class Pace:
    """Stops gepa where the book is closed, after the plan's iterations, or where the next may not be payable."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._iterations = 0
        self._idle = self._told = 0

    def __call__(self, state: GEPAState[TaskScore, str]) -> bool:
        """Whether to stop before another iteration."""
        adapter = self._adapter
        if adapter.kept.error is not None or adapter.bridge.closed:
            return True
        book, plan = adapter.book, adapter.book.plan
        if self._idle >= MOST_IDLE or (not book.bounded and self._iterations >= plan.generations * plan.iterations):
            return True
        return not book.open_for(2 * plan.minibatch)

    def on_iteration_end(self, event: IterationEndEvent) -> None:
        """One iteration more. Many in a row in which nothing was proposed are the end of a search without another."""
        self._iterations += 1
        told = self._adapter.book.count
        self._idle = self._idle + 1 if told == self._told else 0
        self._told = told


class Silent:
    """gepa's log lines are not ours."""

    def log(self, message: str) -> None:
        """Nothing."""
