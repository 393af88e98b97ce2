"""Live evaluation: the episodes of one candidate are played, judged and scored; a limit or a fault ends one early."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal, NamedTuple

from controllers.admission import LimitReached
from controllers.loop import play, run_episode
from controllers.progress import Progress, ended_by_infrastructure
from controllers.spec import EpisodeSpec, Parts, Rollout, episode_id
from optimizers.meter import Flight
from optimizers.records import TaskScore
from optimizers.scoring import episode_values, unselected_values
from optimizers.setup import Grant, Setup
from signatures.errors import ProgramFault, StoreError
from signatures.records import Amounts, Candidate, Episode, Failure, Split, Task

MOST_REPEATS: Final = 1_000
"""Times that one episode may have been run again; beyond it the recorded score is of something else."""
NOTHING: Final = Amounts()
Source = Literal["live", "replay"]
Numbering = Callable[[Task, Episode, str], Awaitable[float | Failure | None]]
"""The judge's number of a selected output, None where it could not say."""


@dataclass(frozen=True)
class Request:
    """One candidate on some tasks. Parents and children of a search are asked with the same seed."""

    candidate: Candidate
    tasks: Sequence[Task]
    seed: int
    condition: str = "candidate"
    grant: Grant | None = None
    "another cut of the budget, for long@1"
    keep_rollouts: bool = False
    "live episodes come with their traces, for reflection"

    @cached_property
    def digest(self) -> str:
        """The candidate's; one evaluation names it once per task."""
        return self.candidate.digest


class Scored(NamedTuple):
    """A score, and the rollout where it was asked for."""

    score: TaskScore
    rollout: Rollout | None = None


class Live:
    """Plays, judges and scores episodes of one split. It bills nothing and journals nothing: the evaluator does."""

    def __init__(self, setup: Setup, split: Split, number: Numbering) -> None:
        self.setup = setup
        self.split: Split = split
        self._number = number

    async def play(
        self, request: Request, todo: Sequence[tuple[str, Task]], flight: Flight | None
    ) -> dict[str, Scored]:
        """One `Scored` per key. What a flight's limits do not admit is set aside. Raises Outage and StoreError."""
        if not todo:
            return {}
        parts = self.setup.parts(request.candidate)

        async def one(item: tuple[str, Task]) -> Scored:
            return await self._episode(request, item[1], parts, flight)

        executor = self.setup.executor
        if flight is None:
            scored = await executor.map(one, todo)
        else:
            most = (request.grant or self.setup.grant).attempts
            scored = await flight.each(one, todo, executor, attempts=most)
        return {key: result for (key, _), result in zip(todo, scored, strict=True)}

    async def recalled(self, request: Request, task: Task, one: Scored) -> Scored:
        """A journaled score's rollout comes back out of the corpus: its attempts are recalled, not run again.

        A replayed score has none, nor has one that did not end as an episode does.
        """
        score = one.score
        if one.rollout is not None or score.source == "replay" or score.fault:
            return one
        parts, spec = self.setup.parts(request.candidate), self._spec(request, task)
        for repeat in range(MOST_REPEATS):
            spec = spec.model_copy(update={"repeat": repeat})
            if score.episode_id in (None, episode_id(spec, parts)):
                return Scored(score, await run_episode(spec, parts))
        raise StoreError(f"episode {score.episode_id} was played by another worker or controller than this one")

    def score(
        self, request: Request, task: Task, values: Mapping[str, float | None], *, source: Source, used: Amounts
    ) -> TaskScore:
        """The record of one evaluation."""
        return TaskScore(
            candidate=request.digest,
            condition=request.condition,
            task_digest=task.digest,
            seed=request.seed,
            split=self.split,
            values=dict(values),
            source=source,
            spent=used if source == "live" else NOTHING,
            used=used,
        )

    def faulted(self, request: Request, task: Task, fault: ProgramFault, *, spent: Amounts | None = None) -> TaskScore:
        """A candidate's own failure is worth nothing on every objective; `spent`: what it attempted live before."""
        nothing = dict.fromkeys((o.name for o in self.setup.objectives), 0.0)
        source: Source = "replay" if spent is None else "live"
        score = self.score(request, task, nothing, source=source, used=spent or Amounts())
        return score.model_copy(update={"fault": f"{fault.kind}: {fault}"})

    def aside(self, request: Request, task: Task, *, cut: str = "", spent: Amounts | None = None) -> TaskScore:
        """No value, because nothing was left to attempt it with, or because a limit was reached in the middle."""
        nothing = dict.fromkeys((o.name for o in self.setup.objectives), None)
        source: Source = "replay" if spent is None else "live"
        score = self.score(request, task, nothing, source=source, used=spent or Amounts())
        return score.model_copy(update={"set_aside": True, "unsupported": 1.0, "cut": cut})

    async def _episode(self, request: Request, task: Task, parts: Parts, flight: Flight | None) -> Scored:
        if flight is not None and flight.refused is not None:
            return Scored(self.aside(request, task, cut=flight.refused))
        spec = self._spec(request, task)
        while await ended_by_infrastructure(spec, parts):  # what ended so and was not scored may run again
            spec = spec.model_copy(update={"repeat": spec.repeat + 1})
        ticket = None if flight is None else flight.ticket()
        progress = await Progress.open(spec, parts)
        try:
            rollout = await play(progress, parts if ticket is None else replace(parts, admission=ticket))
        except LimitReached as limit:
            return Scored(self.aside(request, task, cut=str(limit), spent=progress.budget.spent))
        except ProgramFault as fault:
            if fault.cost is not None:
                progress.budget.charge(fault.cost)
            return Scored(self.faulted(request, task, fault, spent=progress.budget.spent))
        finally:
            if ticket is not None:
                ticket.landed(progress.budget.spent)
        return await self._judged(request, task, rollout)

    async def _judged(self, request: Request, task: Task, rollout: Rollout) -> Scored:
        episode = rollout.episode
        if rollout.output is None or episode.selected_id is None:
            values = unselected_values(rollout.history, episode.failure, self.setup.objectives)
            score = self.score(request, task, values, source="live", used=episode.spent)
            return Scored(score.model_copy(update={"failure": episode.failure, "episode_id": episode.id}), rollout)
        number = await self._number(task, episode, rollout.output)
        failure = number if isinstance(number, Failure) else None
        known = None if isinstance(number, Failure) else number
        values = episode_values(rollout.history, episode.selected_id, known, self.setup.objectives)
        score = self.score(request, task, values, source="live", used=episode.spent)
        return Scored(score.model_copy(update={"failure": failure, "episode_id": episode.id}), rollout)

    def _spec(self, request: Request, task: Task) -> EpisodeSpec:
        return self.setup.spec(
            task,
            request.candidate,
            condition=request.condition,
            split=self.split,
            seed=request.seed,
            grant=request.grant,
        )
