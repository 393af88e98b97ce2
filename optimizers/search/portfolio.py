"""Portfolio: engines take turns on one archive and one meter; whoever stops raising the hypervolume hands over.

Each turn begins at the best of the front. It ends when the engine does, or after so many generations without a larger
hypervolume; the search ends with the limits or the plan, or when every engine had a turn in a row that raised nothing.
Source: Gomes & Selman 2001, "Algorithm portfolios", for taking turns where no engine wins everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pydantic import Field, JsonValue

from optimizers.archive import Archive
from optimizers.book import Book
from optimizers.evaluator import Evaluator
from optimizers.paying import require_budget
from optimizers.proposers import Proposer
from optimizers.search import Engine, Found, Kit, Listener, SearchPlan
from signatures.errors import UsageError
from signatures.records import Candidate, Record

RAISED: Final = 1e-12
"""A hypervolume that grew by less has not grown."""


class Options(Record):
    """The engine's own settings."""

    engines: tuple[str, ...] = ()
    "ids in the order of their turns; none: optuna_search, authored_search, and gepa_search (no model: pareto_search)"
    patience: int = Field(default=2, ge=1)
    "generations without a larger hypervolume before the next engine has its turn"
    settings: Mapping[str, Mapping[str, JsonValue]] = {}
    "options of single engines, by id"


class Portfolio:
    """Engines in turn. A function of the plan's seed and the evaluator's answers, as each of them is."""

    def __init__(self, members: Sequence[Engine], *, patience: int = 2) -> None:
        if not members:
            raise UsageError("a portfolio needs at least one engine")
        self.members = tuple(members)
        self.patience = patience

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Give every engine its turns. Raises UsageError where the budget does not pay for the first."""
        require_budget(plan, evaluator)
        watch = Watch(plan, evaluator, listener, patience=self.patience)
        turn = idle = 0
        while idle < len(self.members) and (turn == 0 or watch.goes_on):
            member = self.members[turn % len(self.members)]
            watch.begin(turn)
            await self._turn(member, watch, evaluator, proposer)
            idle = 0 if watch.raised else idle + 1
            turn += 1
        return evaluator.archive

    async def _turn(self, engine: Engine, watch: Watch, evaluator: Evaluator, proposer: Proposer) -> None:
        """From the best of the front, or where the engine cannot begin at such a controller, from the plan's start."""
        best = watch.best()
        try:
            await engine.search(watch.plan_of_turn(best), evaluator, proposer, watch)
        except UsageError:
            if best == watch.plan.start or watch.heard:
                raise
            await engine.search(watch.plan_of_turn(watch.plan.start), evaluator, proposer, watch)


class Watch:
    """Listens to one engine after the other as if they were one, and says when a turn has come to nothing."""

    def __init__(self, plan: SearchPlan, evaluator: Evaluator, listener: Listener, *, patience: int) -> None:
        self.plan = plan
        self.raised = self.heard = False
        self._evaluator = evaluator
        self._listener = listener
        self._patience = patience
        self._book = Book(
            plan, evaluator, listener, letter=""
        )  # asked what bounds the search; nothing is written in it
        self._turn = self._stale = 0
        self._told = -1
        self._volume = 0.0

    @property
    def goes_on(self) -> bool:
        """Whether another turn can be paid for and there are generations left."""
        try:
            require_budget(self.plan, self._evaluator)
        except UsageError as error:
            self._evaluator.meter.closed = f"live attempts: {error}"
            return False
        return self._book.open and (self._book.bounded or self._told < self.plan.first + self.plan.generations)

    @property
    def over(self) -> bool:
        """Whether the engine whose turn it is should stop."""
        return self.plan.halted() or self._stale >= self._patience

    def begin(self, turn: int) -> None:
        """The turn of another engine."""
        self._turn, self._stale, self.raised, self.heard = turn, 0, False, False

    def best(self) -> Candidate:
        """The best of the front on the first objective; before anything was found, the plan's start."""
        candidates = self._evaluator.members.candidates
        front = [entry.candidate for entry in self._evaluator.archive.front() if entry.candidate in candidates]
        return candidates[front[0]] if front else self.plan.start

    def plan_of_turn(self, start: Candidate) -> SearchPlan:
        """What the engine is asked to do: under a label, and so with chances, of its own, and counting on.

        Where a limit ends the search and not the plan's generations, a turn is long enough to come to nothing.
        """
        plan, told = self.plan, max(self.plan.first, self._told)
        left = plan.first + plan.generations - told
        return replace(
            plan,
            start=start,
            first=told,
            generations=max(left, self._patience + 1) if self._book.bounded else left,
            label=f"{plan.label}t{self._turn + 1}-",
            halted=lambda: self.over,
        )

    def found(self, found: Found) -> None:
        """Told on, but for the start of a later turn, which was found before."""
        self.heard = True
        if self._turn == 0 or found.decision != "seed":
            self._listener.found(found)

    def generation(self, number: int, archive: Archive) -> None:
        """Told on once, and counted as stale where the hypervolume is what it was."""
        if number <= self._told:
            return
        self._told = number
        volume = archive.hypervolume()
        grown = volume > self._volume + RAISED
        self._stale = 0 if grown else self._stale + 1
        self.raised = self.raised or grown
        self._volume = max(volume, self._volume)
        self._listener.generation(number, archive)


def engine(kit: Kit) -> Engine:
    """With the engines that the options name, each built from the kit with its own settings."""
    from optimizers.engines import engine_of

    options = kit.settings(Options, "portfolio")
    last = "pareto_search" if kit.lm is None else "gepa_search"
    ids = options.engines or ("optuna_search", "authored_search", last)
    if "portfolio" in ids:
        raise UsageError("a portfolio cannot be an engine of a portfolio")
    if unknown := sorted(set(options.settings) - set(ids)):
        raise UsageError(f"portfolio: settings for {', '.join(unknown)}, which is none of its engines {', '.join(ids)}")
    kits = {id: replace(kit, options=dict(options.settings.get(id, {}))) for id in ids}
    return Portfolio([engine_of(id, kits[id]) for id in ids], patience=options.patience)
