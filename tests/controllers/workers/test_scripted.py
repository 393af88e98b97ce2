"""The test double: seeded, steerable, and as unreliable as its script says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers import Worker
from controllers.testing_workers import WorkerContract, a_context
from controllers.workers.scripted import CoinConfig, ScriptedWorker, coin, failing, table
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Task

TASK = Task(digest="d", benchmark="b", prompt="p")
GOOD, BAD = AttemptResult(output="good"), AttemptResult(output="bad")


class TestContract(WorkerContract):
    @pytest.fixture
    def worker(self) -> Worker:
        return ScriptedWorker(coin(CoinConfig(turns=6)))

    @pytest.fixture
    def task(self) -> Task:
        return TASK


def share(config: CoinConfig, *, steer: str = "", start: str | None = None, digest: str = "d") -> float:
    script = coin(config)
    task = Task(digest=digest, benchmark="b", prompt="p")
    outputs = [script(task, a_context(seed, steer=steer), start).output for seed in range(400)]
    return outputs.count("solved") / 400


@given(st.integers(0, 2**63 - 1), st.integers(0, 5))
def test_the_coin_is_a_function_of_its_seed(seed: int, limit: int) -> None:
    results = [coin()(TASK, a_context(seed, turns_limit=limit), None) for _ in range(2)]
    assert results[0] == results[1]
    assert len(results[0].trace) == results[0].cost.turns
    assert (results[0].cost.turns or 0) <= limit


def test_the_coin_falls_as_often_as_configured() -> None:
    assert share(CoinConfig(success=0.0)) == 0.0
    assert share(CoinConfig(success=1.0)) == 1.0
    assert 0.2 < share(CoinConfig(success=0.3)) < 0.4
    by_task = CoinConfig(success=0.0, success_by_task={"easy": 1.0})
    assert (share(by_task, digest="easy"), share(by_task, digest="hard")) == (1.0, 0.0)


def test_state_and_a_careful_steer_raise_the_odds() -> None:
    config = CoinConfig(success=0.2, gain=0.2, obeyed=0.4)
    plain = share(config)
    assert share(config, steer="Go on CAREFULLY.") > plain + 0.2
    assert share(config, steer="Go on.") == plain
    assert share(config, start=json.dumps({"attempts": 2})) > plain + 0.2


def test_the_state_counts_attempts() -> None:
    state = None
    for _ in range(3):
        state = coin()(TASK, a_context(), state).state
    assert json.loads(state or "")["attempts"] == 3


async def test_calls_are_kept() -> None:
    worker = ScriptedWorker(name="mine", params={"x": "1"})
    await worker.attempt(TASK, a_context(7), None)
    assert [context.seed for context in worker.calls] == [7]
    assert (worker.fingerprint.name, worker.fingerprint.params) == ("mine", {"x": "1"})


def at(repeat: int) -> AttemptContext:
    return a_context().model_copy(update={"repeat": repeat})


def test_a_table_answers_by_task_and_repeat() -> None:
    script = table({("d", 0): GOOD, ("d", 1): BAD, ("e", 0): RuntimeError("down")})
    assert script(TASK, at(1), None) == BAD
    assert script(TASK, at(0), None) == script(TASK, at(0), None) == GOOD
    with pytest.raises(RuntimeError, match="down"):
        script(TASK.model_copy(update={"digest": "e"}), at(0), None)
    with pytest.raises(UsageError, match="no row for task d, repeat 2"):
        script(TASK, at(2), None)
    assert table({}, default=GOOD)(TASK, at(2), None) == GOOD


def test_a_row_may_change_from_try_to_try() -> None:
    script = table({("d", 0): [ConnectionError("1"), ConnectionError("2"), GOOD]})
    for message in "12":
        with pytest.raises(ConnectionError, match=message):
            script(TASK, at(0), None)
    assert [script(TASK, at(0), None) for _ in range(2)] == [GOOD, GOOD]


async def test_failures_come_on_schedule() -> None:
    worker = ScriptedWorker(failing(table({}, default=GOOD), [None, OSError("second")]))
    assert await worker.attempt(TASK, a_context(), None) == GOOD
    with pytest.raises(OSError, match="second"):
        await worker.attempt(TASK, a_context(), None)
    assert await worker.attempt(TASK, a_context(), None) == GOOD
    assert len(worker.calls) == 3
