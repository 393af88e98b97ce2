"""The book of one search: what it found so far, what enters the archive, who is told, and whether it goes on."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np

from optimizers.archive import Archive, Entry
from optimizers.evaluator import Evaluator, Request
from optimizers.ideas import Idea
from optimizers.racing import DEFAULT, AllAtOnce, Race
from optimizers.records import TaskScore
from optimizers.repeating import repeated
from optimizers.search import Decided, Found, Listener, SearchPlan
from optimizers.vectors import Floats, entry_of, level, table
from signatures.digest import seed_of
from signatures.errors import UsageError
from signatures.records import Candidate, Task

MOST_IDLE: Final = 100
"""Candidates in a row that were known already, or that the record does not support and nothing can attempt."""


class Behaviour(Protocol):
    """Tells candidates that decide alike."""

    async def digest(self, candidate: Candidate) -> str | None:
        """Equal for candidates that decide alike; None where that cannot be said without asking a model."""


class _Looked(NamedTuple):
    """What the looks at a candidate came to."""

    decision: Decided
    scores: tuple[TaskScore, ...]
    repeats: tuple[TaskScore, ...] = ()
    values_N_M: Floats | None = None
    "the table of `scores`, where they are those of all val tasks"


class Book:
    """One search's book. Engines bring ideas; the archive, which is the evaluator's, is written here alone."""

    def __init__(
        self, plan: SearchPlan, evaluator: Evaluator, listener: Listener, *, letter: str, known: Behaviour | None = None
    ) -> None:
        self.plan = plan
        self.evaluator = evaluator
        self._listener = listener
        self._letter = letter
        self._behaviour = known
        self._order = list(range(len(plan.val)))
        random.Random(seed_of("rungs", plan.seed_on("val"))).shuffle(self._order)
        self.count = 0
        "candidates that were looked at beside the start, duplicates left out"
        self._generation = plan.first
        self._in_generation = self._idle = self._free = self._compute = 0
        self._closed = plan.first - 1
        self._shared = 0.0
        self._tables: dict[str, Floats] = {}
        self._alike: dict[str, str | None] = {}
        self._whole_base: bool | None = None
        self._digests = [task.digest for task in plan.val]
        self._distinct = len(set(self._digests)) == len(self._digests)

    @property
    def archive(self) -> Archive:
        """The evaluator's archive."""
        return self.evaluator.archive

    @property
    def known(self) -> Mapping[str, Candidate]:
        """Accepted candidates by digest: whatever may be a parent, those of other searches in the archive too."""
        return self.evaluator.members.candidates

    def scores_of(self, digest: str) -> tuple[TaskScore, ...]:
        """The scores of an accepted candidate on the val tasks, in the plan's order."""
        scores = self.evaluator.members.scores[digest]
        return tuple(scores[task.digest] for task in self.plan.val)

    def seen(self, candidate: Candidate) -> bool:
        """Whether this very candidate was considered before."""
        return self.evaluator.members.first(candidate.digest) is not None

    @property
    def open(self) -> bool:
        """Whether another candidate may be considered: nobody halted the search, and nothing is used up.

        Where neither compute nor live attempts are limited, the plan's candidates are the end. Where one of them is,
        so many candidates in a row that took no compute are: such a limit would never be reached.
        """
        return self.open_for(0)

    def open_for(self, train: int) -> bool:
        """Whether one may be considered for which so many train tasks are evaluated beside; the meter is told why not.

        Nothing is told of a search that was halted, or that has looked at the plan's candidates: that was asked for.
        """
        meter, most = self.evaluator.meter, self.plan.generations * self.plan.iterations
        meter.closed = None
        if self.plan.halted() or (not self.bounded and self.count >= most):
            return False
        if self._idle >= MOST_IDLE:
            meter.closed = f"candidates in a row that were known or are not supported: {self._idle}"
        elif self._free >= max(1, most):
            meter.closed = f"candidates in a row that took no compute: {self._free}"
        else:
            meter.closed = self.evaluator.short(len(self.plan.val) + train)
        return meter.closed is None

    async def start(self) -> Found:
        """The plan's start on the val tasks, a generation of its own. Raises UsageError where a limit ends it first."""
        plan = self.plan
        scores = await self._evaluated(plan.start, plan.val)
        if all(score.set_aside for score in scores):
            cut = next((score.cut for score in scores if score.cut), "no attempt is left")
            raise UsageError(f"the start cannot be evaluated on the val tasks ({cut}): raise that limit")
        await self._consider(plan.start)
        self._keep(plan.start, _Looked("seed", scores))
        found = self._tell(Idea(plan.start, "start", "where the search starts"), "seed", scores)
        self._close_to(plan.first)
        self._shared, self._compute = self.evaluator.share(), self.evaluator.tally.attempts
        return found

    async def consider(self, idea: Idea, *, race: Race | None = DEFAULT) -> Found:
        """Look at an idea, and keep it if it wins the race against its parents, or without any against the front.

        Seen before, by digest or behaviour: told, and not evaluated. `race` None: all tasks at once. Raises what an
        evaluation raises.
        """
        self._advance()
        if await self.is_duplicate(idea.candidate):
            return self._told(idea, "duplicate", ())
        await self._consider(idea.candidate)
        looked = await self._looked(idea, race or AllAtOnce())
        if looked.decision == "accepted":
            self._keep(idea.candidate, looked)
        return self._told(idea, looked.decision, looked.scores)

    async def is_duplicate(self, candidate: Candidate) -> bool:
        """Whether it, or one that decides alike in every recorded state, was considered before."""
        return await self.twin(candidate) is not None

    async def twin(self, candidate: Candidate) -> str | None:
        """The digest of the first that was considered of all that decide like this one; None before the first."""
        members = self.evaluator.members
        if (first := members.first(candidate.digest)) is not None:
            return first
        return next((first for key in await self._keys(candidate) if (first := members.first(key)) is not None), None)

    async def drop(self, idea: Idea, scores: Sequence[TaskScore], *, decision: Decided = "rejected") -> Found:
        """Tell of a candidate that an engine's own look ended, before any race. It will not be considered again."""
        if decision in ("seed", "accepted"):
            raise UsageError(f"what is dropped is not {decision}")
        self._advance()
        await self._consider(idea.candidate)
        return self._told(idea, decision, scores)

    def close(self) -> Archive:
        """The search ends, and its last generation with it."""
        self._close_to(self._generation)
        return self.archive

    async def _looked(self, idea: Idea, race: Race) -> _Looked:
        """The looks of a race, until one of them ends it."""
        scores: list[TaskScore] = []
        child_N_M = table((), self.evaluator.setup.objectives)
        rungs = race.rungs(len(self.plan.val))
        for size in rungs:
            places = self._order[len(scores) : size]
            new = await self._evaluated(idea.candidate, [self.plan.val[place] for place in places])
            scores += new
            if odd := [score for score in new if score.fault or score.set_aside]:
                return _Looked("rejected" if any(score.fault for score in odd) else "unsupported", tuple(scores))
            child_N_M = np.vstack([child_N_M, table(new, self.evaluator.setup.objectives)])
            fits = race.wins if size == rungs[-1] else race.plausible
            if not all(fits(child_N_M, self._table(rival)[self._order[:size]]) for rival in self._rivals(idea)):
                return _Looked("rejected", tuple(scores))
        by_place = dict(zip(self._order, scores, strict=True))
        in_order = tuple(by_place[place] for place in range(len(scores)))
        values_N_M = np.empty_like(child_N_M)
        values_N_M[self._order] = child_N_M
        repeats = await repeated(self, idea.candidate, in_order, most=race.repeats)
        if any(score.fault for score in repeats):
            return _Looked("rejected", (*in_order, *(score for score in repeats if score.fault)))
        if repeats:
            await self._level(race)
        return _Looked("accepted", in_order, repeats, values_N_M)

    async def _level(self, race: Race) -> None:
        """The members of the front get as many rollouts as a contender did; those that have them cost nothing."""
        for entry in self.archive.front():
            if entry.candidate in self.known:
                scores = self.scores_of(entry.candidate)
                more = await repeated(self, self.known[entry.candidate], scores, most=race.repeats)
                self.archive.add(self.entry([*scores, *more], generation=entry.generation))

    def _rivals(self, idea: Idea) -> list[str]:
        parents = [digest for digest in idea.parents if digest in self.evaluator.members.scores]
        if parents:
            return parents
        front = [entry.candidate for entry in self.archive.front()]
        return [digest for digest in front if digest in self.evaluator.members.scores]

    def _table(self, digest: str) -> Floats:
        """The values of an accepted candidate on the val tasks, in the plan's order; each is made once."""
        if digest not in self._tables:
            self._tables[digest] = table(self.scores_of(digest), self.evaluator.setup.objectives)
        return self._tables[digest]

    async def _evaluated(self, candidate: Candidate, tasks: Sequence[Task]) -> tuple[TaskScore, ...]:
        scored = await self.evaluator.evaluate(Request(candidate, tasks, seed=self.plan.seed_on("val")))
        return tuple(one.score for one in scored)

    async def _keys(self, candidate: Candidate) -> list[str]:
        """Each candidate's behaviour is asked for once: of a program that takes a process of its own."""
        if candidate.digest not in self._alike:
            self._alike[candidate.digest] = None if self._behaviour is None else await self._behaviour.digest(candidate)
        alike = self._alike[candidate.digest]
        return [candidate.digest] if alike is None else [candidate.digest, f"behaviour {alike}"]

    async def _consider(self, candidate: Candidate) -> None:
        self.evaluator.members.consider(candidate, await self._keys(candidate))

    def _keep(self, candidate: Candidate, looked: _Looked) -> None:
        _, scores, repeats, values_N_M = looked
        self.evaluator.members.accept(candidate, dict(zip(self._digests, scores, strict=True)))
        if values_N_M is not None:
            self._tables[candidate.digest] = values_N_M
        known_N_M = values_N_M if self._distinct and not repeats else None
        self.archive.add(self.entry([*scores, *repeats], generation=self._generation, values_N_M=known_N_M))

    def entry(self, scores: Sequence[TaskScore], *, generation: int, values_N_M: Floats | None = None) -> Entry:
        """As the archive compares it: its means are of the tasks that the first of all members has values of."""
        objectives = self.evaluator.setup.objectives
        entry = entry_of(scores, objectives, generation=generation, values_N_M=values_N_M)
        if values_N_M is not None and self._base_is_whole() and not np.isnan(values_N_M).any():
            return entry  # nothing is missing on either side: the means are of the same tasks as they stand
        return entry.model_copy(update={"vector": level(entry.vector, scores, self.evaluator.members.base, objectives)})

    def _base_is_whole(self) -> bool:
        """Whether the first of all members has every value, on the tasks of this plan."""
        base = self.evaluator.members.base
        if self._whole_base is None:
            same = [score.task_digest for score in base] == list(self._digests)
            self._whole_base = same and not np.isnan(table(base, self.evaluator.setup.objectives)).any()
        return self._whole_base

    def _told(self, idea: Idea, decision: Decided, scores: Sequence[TaskScore]) -> Found:
        """Tell, and count."""
        self.count += decision != "duplicate"
        idle, compute = decision in ("duplicate", "unsupported"), self.evaluator.tally.attempts
        self._idle = self._idle + 1 if idle else 0
        self._free = 0 if compute > self._compute else self._free + (not idle)
        self._compute = compute
        return self._tell(idea, decision, scores)

    def _tell(self, idea: Idea, decision: Decided, scores: Sequence[TaskScore]) -> Found:
        found = Found(
            name=f"{self.plan.label}{self._letter}{self._generation:02d}-c{self._in_generation}",
            candidate=idea.candidate,
            parents=idea.parents,
            generation=self._generation,
            proposer=idea.proposer,
            evidence=idea.evidence,
            decision=decision,
            scores=tuple(scores),
            hypothesis=idea.hypothesis,
        )
        self._in_generation += 1
        self._listener.found(found)
        return found

    @property
    def bounded(self) -> bool:
        """Whether compute or live attempts are limited, so that evaluating ends by itself."""
        limits, granted = self.evaluator.meter.limits, self.evaluator.budget.granted.attempts
        live = not self.evaluator.replays and (limits.attempts is not None or granted is not None)
        return limits.compute is not None or live

    def _advance(self) -> None:
        """The generation of the candidate that is told now: by the share of the limits, or by count."""
        plan = self.plan
        if self.bounded:
            of_rest = (self.evaluator.share() - self._shared) / max(1e-9, 1.0 - self._shared)
            reached = 1 + int(plan.generations * of_rest)
        else:
            reached = 1 + self.count // plan.iterations
        reached = max(self._generation, plan.first + min(plan.generations, reached))
        if reached > self._generation:
            self._close_to(reached - 1)
            self._generation, self._in_generation = reached, 0

    def _close_to(self, number: int) -> None:
        while self._closed < number:
            self._closed += 1
            self._listener.generation(self._closed, self.archive)
