from __future__ import annotations

import pytest

from controllers import Checker
from controllers.checkers.telecom import OBJECTIVES, TelecomChecker
from controllers.workers.telecom import TelecomWorker
from controllers.worlds.telecom import StateCall, TelecomWorld
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Steer, Task, TraceEvent

STARTS = {
    "fine": (StateCall("user", "set_user_info", {"name": "John Smith", "phone_number": "555-123-2002"}),),
    "flying": (
        StateCall("user", "set_user_info", {"name": "John Smith", "phone_number": "555-123-2002"}),
        StateCall("user", "turn_airplane_mode_on", {}),
    ),
    "silent": (
        StateCall("user", "set_user_info", {"name": "John Smith", "phone_number": "555-123-2002"}),
        StateCall("user", "turn_data_off", {}),
    ),
}
WORLD = TelecomWorld(STARTS)
UNITS = {"correct": "share", "fast": "turns", "secure": "changes", "cheap": "price", "clean": "calls"}


def task(digest: str = "fine") -> Task:
    return Task(digest=digest, benchmark="telecom", prompt="phone number: 555-123-2002. Until an MMS can be sent.")


def result(state: str | None, *events: TraceEvent, output: str = "") -> AttemptResult:
    return AttemptResult(output=output, state=state, trace=events)


def call(name: str, text: str = "", *, failed: bool = False) -> TraceEvent:
    return TraceEvent(turn=0, kind="tool", name=name, arguments="{}", text=text, failed=failed)


async def test_correct_is_the_share_of_steps_the_phone_shows() -> None:
    checker: Checker = TelecomChecker("correct", WORLD)
    checks = [await checker.check(task(), result(WORLD.beginning(start))) for start in ("flying", "silent", "fine")]
    assert [check.value for check in checks] == [0.0, pytest.approx(1 / 3), 1.0]
    assert [check.passed for check in checks] == [False, False, True]
    assert checks[1].detail == "signal: yes, mobile data: no, MMS: no"


async def test_correct_reads_the_output_of_a_worker_without_states() -> None:
    found = await TelecomChecker("correct", WORLD).check(task(), result(None, output=WORLD.beginning("fine")))
    assert found.passed is True


async def test_correct_cannot_say_where_there_is_no_state() -> None:
    found = await TelecomChecker("correct", WORLD).check(task(), result(None, output="All is well, trust me."))
    assert (found.value, found.passed) == (None, None)


async def test_the_others_are_sums_over_the_record() -> None:
    events = (
        call("toggle_data", "Mobile Data is now OFF."),
        call("check_sim_status"),
        call("check_sim_status"),
        call("resume_line", "Error: no", failed=True),
        TraceEvent(turn=4, kind="message", name="assistant", text="I am done."),
    )
    found = {name: await TelecomChecker(name, WORLD).check(task(), result(None, *events)) for name in OBJECTIVES[1:]}
    assert {name: check.value for name, check in found.items()} == {"fast": 4, "secure": 1, "cheap": 14, "clean": 2}
    assert found["clean"].detail == "repeated: 1, failed: 1"
    assert found["cheap"].detail == "toggle_data: 2, check_sim_status: 2, resume_line: 10"
    assert all(check.passed is None for check in found.values())


@pytest.mark.parametrize("objective", OBJECTIVES)
async def test_a_result_names_its_objective_and_unit(objective: str) -> None:
    found = await TelecomChecker(objective, WORLD).check(task(), result(WORLD.beginning("fine")))
    assert (found.objective, found.unit) == (objective, UNITS[objective])


async def test_every_objective_differs_between_technicians() -> None:
    worker = TelecomWorker(WORLD, noise=0.5)
    values: dict[str, set[float | None]] = {name: set() for name in OBJECTIVES}
    for seed in range(30):
        context = AttemptContext(attempt_id="a", steer=Steer(), seed=seed, turns_limit=12)
        done = await worker.attempt(task("silent"), context, None)
        for name in OBJECTIVES:
            values[name].add((await TelecomChecker(name, WORLD).check(task("silent"), done)).value)
    assert all(len(seen) > 1 for seen in values.values()), values


def test_an_unknown_objective_is_refused() -> None:
    with pytest.raises(UsageError, match="no objective 'kind'; it has correct, fast"):
        TelecomChecker("kind", WORLD)
