"""One conserved pool of attempts, turns, tokens, usd and wall seconds: reserve, settle once, refund the rest."""

from __future__ import annotations

from typing import Final

from signatures.errors import BudgetExceeded, UsageError
from signatures.records import Amounts, Cost

RESOURCES: Final = ("attempts", "turns", "tokens", "usd", "wall_s")
WHOLE: Final = ("attempts", "turns", "tokens")
Vector = dict[str, float]


class Reservation:
    """Amounts set aside; `settle` replaces them by what was really spent, exactly once."""

    def __init__(self, budget: Budget, held: Vector) -> None:
        self._budget = budget
        self._held: Vector | None = held

    def settle(self, spent: Amounts) -> None:
        """Bill `spent`, give back what was held. Raises UsageError on a second call."""
        if self._held is None:
            raise UsageError("a reservation can be settled only once")
        held, self._held = self._held, None
        self._budget._settle(held, spent)

    def refund(self) -> None:
        """Bill nothing, give back everything."""
        self.settle(Amounts())


class Budget:
    """A grant and what became of it. For each limited resource: granted = left + held + spent, always."""

    def __init__(self, granted: Amounts) -> None:
        self.granted = granted
        self._limit: Vector = {n: v for n in RESOURCES if (v := getattr(granted, n)) is not None}
        self._held: Vector = dict.fromkeys(RESOURCES, 0)
        self._spent: Vector = dict.fromkeys(RESOURCES, 0)
        self._measured: set[str] = set()

    def left(self, resource: str) -> float | None:
        """What can still be reserved of `resource`; None without a limit; negative after an overrun."""
        if resource not in self._limit:
            return None
        return self._limit[resource] - self._held[resource] - self._spent[resource]

    def reserve(self, wanted: Amounts) -> Reservation:
        """Set `wanted` aside. Raises BudgetExceeded, naming the resource, and changes nothing, if it is not there."""
        asked = {n: v for n in RESOURCES if (v := getattr(wanted, n)) is not None}
        for name, value in asked.items():
            left = self.left(name)
            if left is not None and value > left:
                raise BudgetExceeded(f"{name}: {value:g} asked, {left:g} left of {self._limit[name]:g}")
        for name, value in asked.items():
            self._held[name] += value
        return Reservation(self, asked)

    def charge(self, cost: Cost) -> None:
        """Bill a cost that could not be known before, such as a policy's model call."""
        self._settle({}, amounts_of(cost))

    def bill(self, spent: Amounts) -> None:
        """Bill amounts that were spent under another budget's reservation, such as a whole episode's."""
        self._settle({}, spent)

    def exhausted(self) -> bool:
        """Whether some limited resource has nothing left."""
        return any((self.left(name) or 0) <= 0 for name in self._limit)

    @property
    def spent(self) -> Amounts:
        """What was billed; None for a resource that nobody measured."""
        values = {n: self._spent[n] if n in self._measured else None for n in RESOURCES}
        return Amounts.model_validate({n: int(v) if v is not None and n in WHOLE else v for n, v in values.items()})

    def _settle(self, held: Vector, spent: Amounts) -> None:
        for name, value in held.items():
            self._held[name] -= value
        for name in RESOURCES:
            value = getattr(spent, name)
            if value is not None:
                self._spent[name] += value
                self._measured.add(name)


def amounts_of(cost: Cost, *, attempts: int | None = None) -> Amounts:
    """A cost as budget amounts: tokens in and out together, cached tokens not counted twice."""
    tokens = (
        None if cost.tokens_in is None and cost.tokens_out is None else (cost.tokens_in or 0) + (cost.tokens_out or 0)
    )
    return Amounts(attempts=attempts, turns=cost.turns, tokens=tokens, usd=cost.usd, wall_s=cost.wall_s)


def add_amounts(a: Amounts, b: Amounts) -> Amounts:
    """Field-wise sum; what neither side measured stays None."""
    pool = Budget(Amounts())
    pool.bill(a)
    pool.bill(b)
    return pool.spent
