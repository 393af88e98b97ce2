"""An episode under way: its attempts so far, its budget, and what an interrupted run had already recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Self

from controllers.around import EpisodeAround
from controllers.budget import Budget
from controllers.history import Seen
from controllers.observe import Observer
from controllers.spec import EpisodeSpec, Parts, episode_id
from signatures.records import Attempt, Decision, Episode, Failure

UNLIMITED: Final = 1_000_000
"""Attempts left where no resource is limited: more than any episode makes."""


class Progress:
    """The state of one episode between rounds. Nothing here outlives the episode; the corpus does."""

    def __init__(self, spec: EpisodeSpec, id: str) -> None:
        self.spec = spec
        self.episode_id = id
        self.budget = Budget(spec.granted)
        self.history: list[Seen] = []
        self.states: dict[str, str] = {}
        self.outputs: dict[str, str] = {}
        self.failure: Failure | None = None
        self.decision_ids: list[str] = []
        self.round = 0
        self.recorded_decisions: dict[str, Decision] = {}
        self.recorded_attempts: dict[str, Attempt] = {}
        self.recorded_failure: Failure | None = None
        self._step = 0
        self._around: EpisodeAround | None = None

    @classmethod
    async def open(cls, spec: EpisodeSpec, parts: Parts, *, decided: bool = False) -> Self:
        """Start, recalling what the corpus holds of this very episode so that nothing is attempted or billed twice.

        `decided`: decisions may be recorded before any attempt is, and then stand.
        """
        progress = cls(spec, episode_id(spec, parts))
        where, mark = {"episode_id": progress.episode_id}, await parts.corpus.high_water()
        progress.recorded_attempts = {a.id: a async for a in parts.corpus.scan(Attempt, where, until=mark)}
        ended = await parts.corpus.get(Episode, progress.episode_id)
        if decided or progress.recorded_attempts or ended is not None:
            found = parts.corpus.scan(Decision, where, until=mark)
            progress.recorded_decisions = {decision.id: decision async for decision in found}
        progress.recorded_failure = None if ended is None else ended.failure
        return progress

    def next_step(self) -> int:
        """The number of the next decision."""
        self._step += 1
        return self._step - 1

    def around(self, observer: Observer) -> EpisodeAround:
        """The episode as a program may look back at it: one object, since programs remember by it."""
        if self._around is None:
            spec = self.spec
            self._around = EpisodeAround(
                granted=spec.granted,
                turns_per_attempt=spec.turns_per_attempt,
                steers=spec.steer_legal,
                observer=observer,
            )
        return self._around

    def recorded_attempt(self, index: int) -> Attempt | None:
        """The attempt that an interrupted run had recorded at this position."""
        return next((a for a in self.recorded_attempts.values() if a.index == index), None)

    def attempts_left(self) -> int:
        """Attempts that the budget still allows: 0 when any limited resource is used up.

        Turns that are limited while an attempt's are not go to one attempt at a time, since it may take them all.
        """
        if self.budget.exhausted():
            return 0
        attempts, turns, each = self.budget.left("attempts"), self.turns_left(), self.spec.turns_per_attempt
        by_turns = None if turns is None else math.ceil(turns / each) if each else 1
        limits = [n for n in (attempts, by_turns) if n is not None]
        return max(0, int(min(limits, default=UNLIMITED)))

    def turns_left(self) -> int | None:
        """Turns that the budget still allows; None without a limit."""
        left = self.budget.left("turns")
        return None if left is None else max(0, int(left))

    def usd_left(self) -> float | None:
        """Money that the budget still allows; None without a limit."""
        left = self.budget.left("usd")
        return None if left is None else max(0.0, left)

    def turns_limit(self) -> int | None:
        """The turns one attempt launched now may take."""
        limits = [n for n in (self.spec.turns_per_attempt, self.turns_left()) if n is not None]
        return min(limits, default=None)

    def close(self, decisions: Sequence[Decision], selected: Attempt | None, parts: Parts) -> Episode:
        """The episode's record."""
        self.decision_ids += [decision.id for decision in decisions]
        spec = self.spec
        return Episode(
            id=self.episode_id,
            condition=spec.condition,
            candidate=spec.candidate,
            seed=spec.seed,
            split=spec.split,
            benchmark=spec.task.benchmark,
            task_digest=spec.task.digest,
            worker=parts.worker.fingerprint,
            decision_ids=tuple(self.decision_ids),
            attempt_ids=tuple(seen.attempt.id for seen in self.history),
            selected_id=None if selected is None else selected.id,
            failure=self.failure,
            granted=spec.granted,
            spent=self.budget.spent,
        )


async def ended_by_infrastructure(spec: EpisodeSpec, parts: Parts) -> bool:
    """Whether the corpus holds this very episode as one that infrastructure ended, or was about to end."""
    id = episode_id(spec, parts)
    ended = await parts.corpus.get(Episode, id)
    if ended is not None:
        return ended.failure is not None
    return any([attempt.failure is not None async for attempt in parts.corpus.scan(Attempt, {"episode_id": id})])
