"""Work that costs attempts, begun in order under a limit: nothing starts that could go beyond it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from controllers.budget import Budget, Reservation
from controllers.executor import together
from signatures.errors import BudgetExceeded, UsageError
from signatures.records import Amounts, Attempt


class Work(NamedTuple):
    """One thing to do: the attempts that it can take, and how it is done, which says what it took."""

    most: int
    run: Callable[[], Awaitable[Amounts]]


class Purse:
    """A limit on attempts, on money, or on both. Money is reserved at `attempt_usd` for each attempt.

    An attempt whose money was not measured is billed at `attempt_usd`; one that was dearer raises it. Raises
    UsageError for a limit on money where no price of an attempt is known.
    """

    def __init__(self, limit: Amounts, *, attempt_usd: float | None = None) -> None:
        if limit.usd is not None and not attempt_usd:
            raise UsageError(
                "max_usd needs attempt_usd=..., the most that one attempt may cost: "
                "nothing recorded of this worker has a price"
            )
        self._budget = Budget(Amounts(attempts=limit.attempts, usd=limit.usd))
        self._attempt_usd = attempt_usd

    @property
    def spent(self) -> Amounts:
        """What was billed."""
        return self._budget.spent

    def reserve(self, attempts: int) -> Reservation | None:
        """So many attempts and their money set aside; None where they are not there."""
        usd = None if self._attempt_usd is None else attempts * self._attempt_usd
        try:
            return self._budget.reserve(Amounts(attempts=attempts, usd=usd))
        except BudgetExceeded:
            return None

    def settle(self, held: Reservation, spent: Amounts) -> None:
        """Replace a reservation by what was spent."""
        held.settle(self._priced(spent))

    def bill(self, spent: Amounts) -> None:
        """Count what was spent before."""
        self._budget.bill(self._priced(spent))

    def _priced(self, spent: Amounts) -> Amounts:
        attempts, usd = spent.attempts or 0, spent.usd
        if self._attempt_usd is not None:
            if usd is None:
                usd = attempts * self._attempt_usd
            elif attempts:
                self._attempt_usd = max(self._attempt_usd, usd / attempts)
        return Amounts(attempts=attempts, usd=usd)


async def spend(
    works: Sequence[Work], purse: Purse, *, concurrency: int, step: Callable[[], object] = lambda: None
) -> list[bool]:
    """Do all that the purse can pay for, at most `concurrency` at once; whether each was done.

    What does not fit while other work is under way waits for what that gives back. So what is done is a function
    of the works and of what they take, not of which is quicker. The first error raised cancels the rest.
    """
    done: list[bool] = []
    freed = asyncio.Condition()
    running = 0

    async def one(work: Work, held: Reservation) -> None:
        nonlocal running
        purse.settle(held, await work.run())
        step()
        async with freed:
            running -= 1
            freed.notify_all()

    async def all_in_order() -> None:
        nonlocal running
        async with asyncio.TaskGroup() as group:
            for work in works:
                held = None
                async with freed:
                    while running >= concurrency or (held := purse.reserve(work.most)) is None:
                        if not running:
                            break
                        await freed.wait()
                done.append(held is not None)
                if held is not None:
                    running += 1
                    group.create_task(one(work, held))

    await together([all_in_order()])
    return done


def spent_on(attempts: Iterable[Attempt]) -> Amounts:
    """What these attempts took: those that infrastructure ended are not counted, but what they are known to cost is."""
    usd: list[float] = []
    count = 0
    for attempt in attempts:
        count += attempt.failure is None
        usd += [cost.usd for cost in (attempt.cost, attempt.steer_cost) if cost.usd is not None]
    return Amounts(attempts=count, usd=sum(usd) if usd else None)


def dearest(attempts: Iterable[Attempt]) -> float | None:
    """The money of the dearest of these attempts, its steer included; None where none has a price."""
    prices = [spent.usd for attempt in attempts if (spent := spent_on([attempt])).usd is not None]
    return max((price for price in prices if price is not None), default=None)
