"""GEPA as an engine: `gepa.optimize` with our own adapter, acceptance, parent selection and stopping.

gepa keeps its own pool by one number per task (`correct`); what is compared, kept and reported is the vector in
our archive. Nothing of gepa's own checkpoint is used: a search is resumed by running it again from the journal.
Source: Agrawal et al. 2025, "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning".
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from optimizers.archive import Archive
from optimizers.bridge import Bridge
from optimizers.evaluator import Evaluator
from optimizers.gepa_adapter import Adapter, Example
from optimizers.proposers import Proposer
from optimizers.search import Listener, SearchPlan
from signatures.errors import UsageError


class GepaSearch:
    """The GEPA engine."""

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Run gepa in a thread. Raises UsageError where the budget cannot pay for one evaluation of the seed."""
        import gepa

        require_budget(plan, evaluator)
        adapter = Adapter(plan, evaluator, proposer, listener, Bridge())
        pace = Pace(plan, evaluator, adapter, listener)

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
        pace.close_generation()
        return adapter.archive


def require_budget(plan: SearchPlan, evaluator: Evaluator) -> None:
    """Raises UsageError unless the budget pays for the seed candidate on the val tasks and one iteration."""
    need = evaluator.cost_of(len(plan.val) + 2 * plan.minibatch)
    left = evaluator.budget.left("attempts")
    if left is not None and left < need:
        raise UsageError(f"a budget of {left:g} attempts is too small: one evaluation and one proposal may take {need}")


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

    def select_candidate_idx(self, state: Any) -> int:
        """gepa's index of the chosen parent."""
        front = [entry.candidate for entry in self._adapter.archive.front()]
        index = {self._adapter.digest_of(texts): i for i, texts in enumerate(state.program_candidates)}
        known = [index[digest] for digest in front if digest in index]
        return self._rng.choice(known) if known else 0


class Rotation:
    """Names the components in turn, the others after it: where one has nothing to gain, the next is tried."""

    def __init__(self) -> None:
        self._turn = 0

    def __call__(
        self, state: Any, trajectories: Any, scores: Any, candidate_idx: int, candidate: Mapping[str, str]
    ) -> list[str]:
        """All component names, beginning with another one each time."""
        names = list(candidate)
        first = self._turn % len(names)
        self._turn += 1
        return [*names[first:], *names[:first]]


class Pace:
    """Counts iterations into generations, and stops at the last one or when the next may not be payable."""

    def __init__(self, plan: SearchPlan, evaluator: Evaluator, adapter: Adapter, listener: Listener) -> None:
        self._plan = plan
        self._evaluator = evaluator
        self._adapter = adapter
        self._listener = listener
        self._iterations = 0
        self._closed = -1

    def __call__(self, state: Any) -> bool:
        """Whether to stop before another iteration."""
        if self._adapter.kept.error is not None or self._adapter.bridge.closed:
            return True
        if self._iterations >= self._plan.generations * self._plan.iterations:
            return True
        return not self._evaluator.affords(len(self._plan.val) + 2 * self._plan.minibatch)

    def on_valset_evaluated(self, event: Any) -> None:
        """The seed candidate is generation 0, alone."""
        if event["candidate_idx"] == 0:
            self.close_generation()

    def on_iteration_end(self, event: Any) -> None:
        """One iteration more; a generation ends after a fixed number of them."""
        self._iterations += 1
        if self._iterations % self._plan.iterations == 0:
            self.close_generation()

    def close_generation(self) -> None:
        """Tell the listener, unless nothing happened since the last time."""
        if self._adapter.generation_open or self._closed < 0:
            self._closed += 1
            self._listener.generation(self._closed, self._adapter.archive)
            self._adapter.next_generation(self._closed + 1)


class Silent:
    """gepa's log lines are not ours."""

    def log(self, message: str) -> None:
        """Nothing."""
