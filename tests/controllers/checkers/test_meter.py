"""What an attempt cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.checkers.meter import MeterChecker
from controllers.testing_workers import CheckerContract
from signatures.errors import UsageError
from signatures.records import AttemptResult, Cost, Task, TraceEvent

TASK = Task(digest="d", benchmark="b", prompt="p")


def called(*names: str) -> AttemptResult:
    events = [TraceEvent(turn=turn, kind="tool", name=name, failed=turn % 2 == 1) for turn, name in enumerate(names)]
    talk = TraceEvent(turn=len(names), kind="message", name="assistant")
    return AttemptResult(output="x", trace=(*events, talk), cost=Cost(usd=0.25, tokens_in=100, tokens_out=7))


class TestContract(CheckerContract):
    @pytest.fixture(params=[MeterChecker(), MeterChecker("tokens"), MeterChecker("points", other_price=1.0)])
    def checker(self, request: pytest.FixtureRequest) -> MeterChecker:
        checker: MeterChecker = request.param
        return checker

    @pytest.fixture
    def task(self) -> Task:
        return TASK

    @pytest.fixture
    def result(self) -> AttemptResult:
        return called("look")


async def test_money_and_tokens_come_from_the_cost() -> None:
    usd = await MeterChecker("usd", limit=0.2).check(TASK, called())
    assert (usd.value, usd.unit, usd.passed) == (0.25, "usd", False)
    tokens = await MeterChecker("tokens", limit=107).check(TASK, called())
    assert (tokens.value, tokens.passed, tokens.detail) == (107.0, True, "100 in, 7 out")


@pytest.mark.parametrize("cost", [Cost(), Cost(tokens_in=5), Cost(tokens_out=5)])
async def test_what_was_not_measured_has_no_value(cost: Cost) -> None:
    for checker in (MeterChecker("usd"), MeterChecker("tokens", limit=1)):
        found = await checker.check(TASK, AttemptResult(output="x", cost=cost))
        assert (found.value, found.passed, found.detail) == (None, None, "not measured")


@given(st.lists(st.sampled_from(["look", "change", "other"])))
async def test_points_are_the_sum_of_prices(names: list[str]) -> None:
    checker = MeterChecker("points", prices={"look": 1.0, "change": 5.0}, other_price=2.0)
    found = await checker.check(TASK, called(*names))
    assert found.value == sum({"look": 1.0, "change": 5.0, "other": 2.0}[name] for name in names)


async def test_points_say_what_was_called() -> None:
    found = await MeterChecker("points", prices={"a": 1.0, "b": 2.0}).check(TASK, called("b", "a", "b"))
    assert (found.value, found.unit, found.detail) == (5.0, "points", "1 x a, 2 x b")


async def test_a_call_without_a_price_has_no_value() -> None:
    found = await MeterChecker("points", prices={"a": 1.0}, limit=9).check(TASK, called("a", "z", "y"))
    assert (found.value, found.passed, found.detail) == (None, None, "no price for y, z")


def test_prices_belong_to_points() -> None:
    for bad in (lambda: MeterChecker("points"), lambda: MeterChecker("usd", prices={"a": 1.0})):
        with pytest.raises(UsageError, match="needs prices"):
            bad()
