"""The meter: what one search spent of everything, its limits, and the admission of each live attempt against them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeVar

from pydantic import Field

from controllers.admission import LimitReached
from controllers.budget import Budget
from controllers.executor import Executor
from optimizers.records import Tally
from signatures.records import Amounts, Record

Item = TypeVar("Item")
Result = TypeVar("Result")
LIMITED: Final = ("compute", "attempts", "tokens", "usd", "minutes")
PRICED: Final = ("tokens", "usd")
"""What an attempt costs is known only after it."""
SLACK: Final = 2.0
"""Episodes run side by side only while each attempt may cost so many times the dearest so far within the limits."""
MOST: Final = 1_000_000
"""Episodes that may run at once where nothing is limited."""


class Limits(Record):
    """What a search may spend, evaluations, proposals and reflection together; whichever is reached first ends it."""

    compute: int | None = Field(default=None, ge=1)
    "attempts that evaluations stand for, made or replayed"
    attempts: int | None = Field(default=None, ge=1)
    "live attempts"
    tokens: int | None = Field(default=None, ge=0)
    "in and out"
    usd: float | None = Field(default=None, ge=0)
    minutes: float | None = Field(default=None, gt=0)
    "of this search, earlier executions of it too"


class Spend(NamedTuple):
    """What a search has spent."""

    compute: int
    attempts: int
    tokens: int
    usd: float
    wall_s: float


class Meter:
    """One search's meter over its evaluator's tally and budget, which every evaluation and proposal is billed to.

    Between candidates it reads the time of the last journal entry, not a clock, so that a search that is executed
    again from its journal stops and counts where it did. Entries are timed where minutes are limited; without that
    limit `wall_s` is the time of this execution.
    """

    def __init__(
        self, limits: Limits, tally: Tally, budget: Budget, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self._tally = tally
        self._budget = budget
        self._clock = clock
        self._began = self._marked = clock()
        self._wall = 0.0
        self._cut: str | None = None
        self._flying: dict[str, float] = dict.fromkeys(LIMITED, 0.0)
        self._dearest: dict[str, float] = {}
        self._dearest_flying: dict[str, float] = {}
        self.held = 0
        "attempts under way"
        self.closed: str | None = None
        "what else has ended the search, in the words of its book"

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return any(getattr(self.limits, name) is not None for name in LIMITED)

    def spent(self) -> Spend:
        """All that was billed; what an evaluation under way has spent is not in it yet."""
        spent = self._budget.spent
        wall = self._clock() - self._began if self.limits.minutes is None else self._wall
        return Spend(self._tally.attempts, spent.attempts or 0, spent.tokens or 0, spent.usd or 0.0, wall)

    def left(self, name: str) -> float | None:
        """What is left of a limit (`compute`, `attempts`, `tokens`, `usd`, `minutes`); None without one."""
        limit: float | None = getattr(self.limits, name)
        return None if limit is None else limit - self._used(name)

    def share(self) -> float:
        """The share of the most used-up limit, on [0, 1]; 0 without any."""
        shares = [self._used(n) / limit if limit else 1.0 for n in LIMITED if (limit := self._limit(n)) is not None]
        return min(1.0, max(shares, default=0.0))

    def over(self) -> str | None:
        """What the search ended by, in words: the limit that is reached, or what its book was closed by."""
        return self.reached() or self.closed

    def reached(self) -> str | None:
        """The limit that is reached, in words; None while there is something left of each.

        An evaluation that was cut short by a limit has reached it, even where a cheaper one might still fit.
        """
        for name in LIMITED:
            limit = self._limit(name)
            if limit is not None and self._used(name) >= limit:
                return self.said(name)
        return self._cut

    def said(self, name: str) -> str:
        """A limit and what is spent of it, in words."""
        return f"{name}: {self._used(name) + self._flying[name]:g} of {self._limit(name) or 0:g} spent"

    def cut(self, words: str) -> None:
        """An evaluation was cut short by this limit, now or in the execution that wrote the journal."""
        self._cut = self._cut or words

    def priced(self, spent: Amounts, *, flying: bool = False) -> None:
        """Remember what an attempt of these cost: of an evaluation under way until that has ended.

        What stands in the journal is remembered by episode, so that another execution knows no more and no less.
        """
        known = self._dearest_flying if flying else self._dearest
        if spent.attempts:
            for name in PRICED:
                each = float(getattr(spent, name) or 0) / spent.attempts
                known[name] = max(known.get(name, 0.0), each)

    def stamp(self) -> float | None:
        """The time of a journal entry that is about to be written; None where minutes are not limited."""
        if self.limits.minutes is None:
            return None
        self._wall, self._marked = round(self._now(), 3), self._clock()
        return self._wall

    def passed(self, wall_s: float | None) -> None:
        """An entry of an earlier execution was read, which that had written after so many seconds."""
        if wall_s is not None and self.limits.minutes is not None:
            self._wall, self._marked = max(self._wall, wall_s), self._clock()

    @contextmanager
    def flight(self) -> Iterator[Flight]:
        """One evaluation: what it spends counts at once, until it is billed when it has ended."""
        flight = Flight(self)
        try:
            yield flight
        finally:
            flight.end()
            self._dearest_flying.clear()

    def flown(self, name: str, amount: float) -> None:
        """Count what an evaluation under way spends (negative: take it back)."""
        self._flying[name] += amount

    def refusal(self, attempts: int, *, live: bool) -> str | None:
        """The limit that so many more attempts beside those under way would go beyond, in words.

        `live` False: they are replayed, and only what is asked for them costs anything.
        """
        for name in LIMITED if live else PRICED:
            limit = self._limit(name)
            if limit is not None and self._used(name) + self._flying[name] + self._next(name, attempts) > limit:
                return self.said(name)
        if self.limits.minutes is not None and self._now() >= self.limits.minutes * 60:
            return self.said("minutes")
        return None

    def room(self, attempts: int, *, live: bool) -> int:
        """How many episodes of so many attempts surely fit into what is left, at SLACK times the dearest so far.

        One at a time near a limit, and before the first price is known.
        """
        fits = float(MOST)
        for name in LIMITED if live else PRICED:
            limit = self._limit(name)
            if limit is None or name == "minutes":
                continue
            if name in PRICED and name not in self._dearest and name not in self._dearest_flying:
                return 1
            each = attempts * (SLACK * self._each(name) if name in PRICED else 1)
            fits = min(fits, (limit - self._used(name) - self._flying[name]) / each) if each else fits
        return max(1, int(fits))

    def hold(self, attempts: int) -> None:
        """So many attempts start (negative: have ended)."""
        self.held += attempts

    def _next(self, name: str, attempts: int) -> float:
        under_way = self.held + attempts
        return under_way if name in ("compute", "attempts") else under_way * self._each(name)

    def _each(self, name: str) -> float:
        """The dearest attempt so far; 0 before the first."""
        return max(self._dearest.get(name, 0.0), self._dearest_flying.get(name, 0.0))

    def _now(self) -> float:
        return self._wall + self._clock() - self._marked

    def _limit(self, name: str) -> float | None:
        limit: float | None = getattr(self.limits, name)
        return limit

    def _used(self, name: str) -> float:
        if name == "compute":
            return float(self._tally.attempts)  # asked before each replayed score, so the rest is not added up
        return self._wall / 60 if name == "minutes" else float(getattr(self.spent(), name))


class Flight:
    """The spending of one evaluation while it is under way."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.refused: str | None = None
        "the limit that cut this evaluation short: nothing more of it starts"
        self._total: dict[str, float] = {}

    def takes(self, attempts: int) -> bool:
        """Whether a replayed score that stands for so many attempts is within the limits; then it is counted."""
        if self.refused is None and self.meter.limits.compute is not None:
            left = self.meter.left("compute") or 0.0
            if attempts > left - self._total.get("compute", 0.0):
                self.refused = self.meter.said("compute")
            else:
                self.add("compute", attempts)
        return self.refused is None

    async def each(
        self, run: Callable[[Item], Awaitable[Result]], items: Sequence[Item], executor: Executor, *, attempts: int
    ) -> list[Result]:
        """`run` over episodes of at most so many attempts (0: replays that ask models), as many at once as surely fit.

        What ends within the limits is so a function of the order of the items, and not of which episode is faster.
        """
        found: list[Result] = []
        while len(found) < len(items):
            room = self.meter.room(max(1, attempts), live=attempts > 0)
            found += await executor.map(run, items[len(found) : len(found) + room])
        return found

    def ticket(self, *, live: bool = True) -> Ticket:
        """The admission of one episode, or of one replay that asks a model."""
        return Ticket(self, live=live)

    def add(self, name: str, amount: float) -> None:
        """Count what was spent."""
        self._total[name] = self._total.get(name, 0.0) + amount
        self.meter.flown(name, amount)

    def end(self) -> None:
        """It is billed, or nothing of it counts."""
        for name, amount in self._total.items():
            self.meter.flown(name, -amount)
        self._total.clear()


class Ticket:
    """An `Admission`: asks the meter before each round and tells it what the episode has spent."""

    def __init__(self, flight: Flight, *, live: bool) -> None:
        self._flight = flight
        self._live = live
        self._counted: dict[str, float] = {}
        self._held = 0

    async def admit(self, attempts: int, spent: Amounts) -> None:
        """Raises LimitReached, and then nothing more of the evaluation is admitted."""
        meter, flight = self._flight.meter, self._flight
        self._count(spent)
        flight.refused = flight.refused or meter.refusal(attempts, live=self._live)
        if flight.refused is not None:
            raise LimitReached(flight.refused)
        self._held = attempts
        meter.hold(attempts)

    def landed(self, spent: Amounts) -> None:
        """Count the round, and remember the dearest attempt."""
        grown = self._count(spent)
        made = int(grown["attempts"]) or self._held
        priced = Amounts(attempts=made, tokens=int(grown["tokens"]), usd=max(0.0, grown["usd"]))
        self._flight.meter.priced(priced, flying=True)
        self.close()

    def close(self) -> None:
        """Nothing of it is under way any more."""
        held, self._held = self._held, 0
        if held:
            self._flight.meter.hold(-held)

    def _count(self, spent: Amounts) -> dict[str, float]:
        now = {name: float(getattr(spent, name) or 0) for name in ("attempts", *PRICED)}
        now["compute"] = now["attempts"]
        grown = {name: amount - self._counted.get(name, 0.0) for name, amount in now.items()}
        for name, amount in grown.items():
            self._flight.add(name, amount)
        self._counted = now
        return grown
