from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from controllers.budget import RESOURCES, Budget, Reservation, add_amounts, amounts_of
from signatures.errors import BudgetExceeded, UsageError
from signatures.records import Amounts, Cost

WHOLE = st.none() | st.integers(0, 40)
# Multiples of 1/64, so that sums of floats are exact and conservation can be asked for exactly.
EXACT = st.none() | st.integers(0, 40 * 64).map(lambda n: n / 64)
AMOUNTS = st.builds(Amounts, attempts=WHOLE, turns=WHOLE, tokens=WHOLE, usd=EXACT, wall_s=EXACT)


def vector(amounts: Amounts) -> dict[str, Fraction]:
    return {name: Fraction(getattr(amounts, name) or 0) for name in RESOURCES}


class Conservation(RuleBasedStateMachine):
    """Reserve, settle, refund and charge in any order: granted = left + held + spent, after each step."""

    held: Bundle[tuple[Reservation, dict[str, Fraction]]] = Bundle("held")

    @initialize(granted=AMOUNTS)
    def grant(self, granted: Amounts) -> None:
        self.budget = Budget(granted)
        self.open: list[dict[str, Fraction]] = []
        self.billed = dict.fromkeys(RESOURCES, Fraction(0))
        self.measured: set[str] = set()

    @rule(target=held, wanted=AMOUNTS)
    def reserve(self, wanted: Amounts) -> tuple[Reservation, dict[str, Fraction]]:
        asked = vector(wanted)
        short = [n for n in RESOURCES if getattr(wanted, n) is not None and self.too_much(n, asked[n])]
        if short:
            with pytest.raises(BudgetExceeded, match=short[0]):
                self.budget.reserve(wanted)
            # Nothing was asked, so nothing is held: a reservation that the later steps may use.
            return self.budget.reserve(Amounts()), self.opened(vector(Amounts()))
        return self.budget.reserve(wanted), self.opened(asked)

    @rule(one=consumes(held), spent=AMOUNTS)
    def settle(self, one: tuple[Reservation, dict[str, Fraction]], spent: Amounts) -> None:
        one[0].settle(spent)
        self.closed(one[1], spent)
        with pytest.raises(UsageError, match="once"):
            one[0].settle(spent)

    @rule(one=consumes(held))
    def refund(self, one: tuple[Reservation, dict[str, Fraction]]) -> None:
        one[0].refund()
        self.closed(one[1], Amounts())
        with pytest.raises(UsageError, match="once"):
            one[0].refund()

    @rule(spent=AMOUNTS)
    def bill(self, spent: Amounts) -> None:
        self.budget.bill(spent)
        self.bill_here(spent)

    @invariant()
    def nothing_is_lost(self) -> None:
        for name in RESOURCES:
            granted, left = getattr(self.budget.granted, name), self.budget.left(name)
            assert (left is None) == (granted is None)
            if left is not None:
                assert Fraction(left) + sum(v[name] for v in self.open) + self.billed[name] == Fraction(granted)

    @invariant()
    def what_nobody_measured_is_none(self) -> None:
        for name in RESOURCES:
            spent = getattr(self.budget.spent, name)
            assert spent == (self.billed[name] if name in self.measured else None)

    @invariant()
    def it_knows_when_it_is_exhausted(self) -> None:
        left = [self.budget.left(name) for name in RESOURCES]
        assert self.budget.exhausted() == any(value is not None and value <= 0 for value in left)

    def too_much(self, name: str, asked: Fraction) -> bool:
        left = self.budget.left(name)
        return left is not None and asked > Fraction(left)

    def opened(self, asked: dict[str, Fraction]) -> dict[str, Fraction]:
        self.open.append(asked)
        return asked

    def closed(self, asked: dict[str, Fraction], spent: Amounts) -> None:
        self.open = [one for one in self.open if one is not asked]
        self.bill_here(spent)

    def bill_here(self, spent: Amounts) -> None:
        for name, value in vector(spent).items():
            self.billed[name] += value
        self.measured |= {name for name in RESOURCES if getattr(spent, name) is not None}


TestConservation = Conservation.TestCase
TestConservation.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_a_refusal_names_the_resource_and_changes_nothing() -> None:
    budget = Budget(Amounts(attempts=3, usd=1.0))
    budget.reserve(Amounts(attempts=2))
    with pytest.raises(BudgetExceeded, match=r"attempts: 2 asked, 1 left of 3"):
        budget.reserve(Amounts(attempts=2, usd=0.5))
    assert (budget.left("attempts"), budget.left("usd"), budget.left("turns")) == (1, 1.0, None)


def test_an_overrun_is_billed_and_leaves_less_than_nothing() -> None:
    budget = Budget(Amounts(turns=5))
    budget.reserve(Amounts(turns=5)).settle(Amounts(turns=7))
    assert (budget.left("turns"), budget.spent.turns, budget.exhausted()) == (-2, 7, True)
    with pytest.raises(BudgetExceeded):
        budget.reserve(Amounts(turns=1))


def test_a_policys_call_is_billed_although_nobody_reserved_it() -> None:
    budget = Budget(Amounts(tokens=100))
    budget.charge(Cost(tokens_in=20, tokens_out=5, tokens_cached=10, usd=0.25))
    assert (budget.left("tokens"), budget.spent.usd, budget.spent.attempts) == (75, 0.25, None)


@given(st.builds(Cost, turns=WHOLE, tokens_in=WHOLE, tokens_out=WHOLE, tokens_cached=WHOLE, usd=EXACT, wall_s=EXACT))
def test_cached_tokens_are_not_counted_twice(cost: Cost) -> None:
    amounts = amounts_of(cost, attempts=1)
    both = (cost.tokens_in, cost.tokens_out)
    assert amounts.tokens == (None if both == (None, None) else sum(n or 0 for n in both))
    assert (amounts.attempts, amounts.turns, amounts.usd, amounts.wall_s) == (1, cost.turns, cost.usd, cost.wall_s)


@given(AMOUNTS, AMOUNTS)
def test_amounts_add_up_and_stay_unmeasured(a: Amounts, b: Amounts) -> None:
    total = add_amounts(a, b)
    assert total == add_amounts(b, a)
    for name in RESOURCES:
        mine, yours = getattr(a, name), getattr(b, name)
        expected = None if mine is None and yours is None else (mine or 0) + (yours or 0)
        assert getattr(total, name) == expected
