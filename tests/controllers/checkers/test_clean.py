"""Wasted calls by the rules of the docstring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.checkers.clean import CleanChecker
from controllers.testing_workers import CheckerContract
from signatures.records import AttemptResult, CheckerResult, Task, TraceEvent

TASK = Task(digest="d", benchmark="b", prompt="p")
CHECKER = CleanChecker(inverses={"on": "off", "toggle": "toggle"})
CALLS = st.lists(st.tuples(st.sampled_from(["on", "off", "toggle", "look"]), st.sampled_from("xy"), st.booleans()))


def result(*calls: tuple[str, str, str] | tuple[str, str, str, bool]) -> AttemptResult:
    return AttemptResult(
        output="",
        trace=tuple(
            TraceEvent(turn=n, kind="tool", name=call[0], arguments=call[1], text=call[2], failed=len(call) == 4)
            for n, call in enumerate(calls)
        ),
    )


async def check(*calls: tuple[str, str, str] | tuple[str, str, str, bool]) -> CheckerResult:
    return await CHECKER.check(TASK, result(*calls))


class TestContract(CheckerContract):
    @pytest.fixture
    def checker(self) -> CleanChecker:
        return CHECKER

    @pytest.fixture
    def task(self) -> Task:
        return TASK

    @pytest.fixture
    def result(self) -> AttemptResult:
        return result(("look", "", "dark"), ("look", "", "dark"))


async def test_failed_calls_count() -> None:
    found = await check(("look", "", "no", True), ("look", "x", "yes"))
    assert (found.value, found.detail) == (1.0, "1 failed, 0 repeated, 0 undone of 2 calls")


async def test_a_call_that_told_nothing_new_is_a_repeat() -> None:
    assert (await check(("look", "a", "1"), ("look", "b", "1"), ("look", "a", "2"), ("see", "a", "1"))).value == 0.0
    found = await check(("look", "a", "1"), ("look", "a", "1"), ("look", "a", "1"))
    assert (found.value, found.detail) == (2.0, "0 failed, 2 repeated, 0 undone of 3 calls")


async def test_a_pair_that_left_nothing_behind_counts_twice() -> None:
    assert (await check(("on", "a", "1"), ("off", "a", "2"))).value == 2.0
    assert (await check(("off", "a", "1"), ("on", "a", "2"))).value == 2.0
    assert (await check(("toggle", "", "on"), ("toggle", "", "off"))).value == 2.0
    assert (await check(("toggle", "", "on"), ("toggle", "", "off"), ("toggle", "", "on "))).value == 2.0


async def test_other_arguments_or_a_failed_inverse_undo_nothing() -> None:
    assert (await check(("on", "a", "1"), ("off", "b", "2"))).value == 0.0
    assert (await check(("on", "a", "1"), ("off", "a", "no", True))).value == 1.0


@given(CALLS)
async def test_no_call_counts_twice(calls: list[tuple[str, str, bool]]) -> None:
    rows = [
        (name, arguments, "text", True) if failed else (name, arguments, "text") for name, arguments, failed in calls
    ]
    found = await check(*rows)
    assert found.value is not None
    assert sum(failed for _, _, failed in calls) <= found.value <= len(calls)


@given(CALLS)
async def test_messages_change_nothing(calls: list[tuple[str, str, bool]]) -> None:
    plain = result(*((name, arguments, "text") for name, arguments, _ in calls))
    talk = TraceEvent(turn=0, kind="message", name="assistant", text="text")
    talking = plain.model_copy(update={"trace": tuple(e for event in plain.trace for e in (talk, event))})
    assert await CHECKER.check(TASK, plain) == await CHECKER.check(TASK, talking)


async def test_a_limit_decides() -> None:
    once = result(("look", "", "x", True))
    assert (await CleanChecker(limit=1).check(TASK, once)).passed is True
    assert (await CleanChecker(limit=0).check(TASK, once)).passed is False
    assert (await CleanChecker().check(TASK, once)).passed is None
