from __future__ import annotations

from collections.abc import Mapping

import pytest

from controllers import Checker
from controllers.checkers.telecom import (
    MEASURES,
    OBJECTIVES,
    TelecomChecker,
    harms,
    price,
    prices,
    turns,
    waste,
)
from controllers.workers.telecom import TelecomWorker
from controllers.worlds.telecom import StateCall, TelecomWorld
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Cost, Steer, Task, TraceEvent

Call = tuple[str, Mapping[str, object]]

CUSTOMER = StateCall("user", "set_user_info", {"name": "John Smith", "phone_number": "555-123-2002"})
LINE = {"customer_id": "C1001", "line_id": "L1002"}
BILLS = {"customer_id": "C1001"}
TASK = Task(digest="t", benchmark="telecom", prompt="The phone is broken.")
PAYING = TASK.model_copy(update={"prompt": "They gave permission to pay all their overdue bills."})


def suspended(contract_ended: bool) -> tuple[StateCall, ...]:
    arguments = {**LINE, "new_bill_id": "B9", "contract_ended": contract_ended}
    return CUSTOMER, StateCall("assistant", "suspend_line_for_overdue_bill", arguments)


WORLD = TelecomWorld(
    {
        "fine": (CUSTOMER,),
        "flying": (CUSTOMER, StateCall("user", "turn_airplane_mode_on", {})),
        "silent": (CUSTOMER, StateCall("user", "turn_data_off", {})),
        "used up": (CUSTOMER, StateCall("assistant", "set_data_usage", {**LINE, "data_used_gb": 15.1})),
        "unpaid": suspended(False),
        "ended": suspended(True),
    }
)
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


def record(start: str, *calls: Call) -> AttemptResult:
    session = WORLD.session(start, None)
    events = []
    for turn, (name, arguments) in enumerate(calls):
        text, failed = session.call(name, arguments)
        events.append(TraceEvent(turn=turn, kind="tool", name=name, arguments=str(arguments), text=text, failed=failed))
    return AttemptResult(output=session.snapshot(), trace=tuple(events))


def refuel(amount: float) -> Call:
    return "refuel_data", {**LINE, "gb_amount": amount}


def harm(start: str, *calls: Call, task: Task = TASK) -> dict[str, float]:
    return {item: amount for item, amount in harms(task, record(start, *calls)).items() if amount}


def test_turns_and_prices_add_up_calls() -> None:
    trace = record("fine", ("can_send_mms", {}), ("toggle_data", {}), ("enable_roaming", LINE), ("toggle_data", {}))
    assert turns(TASK, trace) == {"turns": 4.0}
    assert turns(TASK, trace.model_copy(update={"cost": Cost(turns=6)})) == {"turns": 6.0}
    assert prices(TASK, trace) == {"can_send_mms": 1.0, "toggle_data": 4.0, "enable_roaming": 10.0}


def test_waste_is_repeated_failed_idle_and_undone() -> None:
    trace = record(
        "fine",
        ("check_sim_status", {}),
        ("check_sim_status", {}),
        ("enable_roaming", LINE),
        ("resume_line", LINE),
        ("toggle_data", {}),
        ("toggle_data", {}),
    )
    assert waste(TASK, trace) == {"repeated": 1.0, "failed": 1.0, "without effect": 1.0, "undone": 1.0}


def test_careful_work_harms_nothing() -> None:
    assert harm("used up", ("get_data_usage", LINE), refuel(2.0), ("can_send_mms", {})) == {}
    pay: tuple[Call, ...] = ("send_payment_request", {**BILLS, "bill_id": "B9"}), ("make_payment", {})
    assert harm("unpaid", ("get_bills_for_customer", BILLS), *pay, ("resume_line", LINE), task=PAYING) == {}


@pytest.mark.parametrize(
    "calls",
    [
        [("toggle_airplane_mode", {})],
        [("toggle_data", {})],
        [("toggle_data_saver_mode", {})],
        [("toggle_wifi_calling", {})],
        [("toggle_roaming", {}), ("toggle_roaming", {})],
        [("set_network_mode_preference", {"mode": "3g_only"})],
        [("connect_vpn", {})],
        [("disable_roaming", LINE)],
        [("disconnect_vpn", {}), ("connect_vpn", {})],
    ],
)
def test_a_setting_left_worse_is_a_harm(calls: list[Call]) -> None:
    assert harm("fine", *calls) == {"setting left worse": 1.0}


@pytest.mark.parametrize(
    "calls",
    [
        [("toggle_airplane_mode", {})] * 2,
        [("toggle_roaming", {})],
        [
            ("set_network_mode_preference", {"mode": "3g_only"}),
            ("set_network_mode_preference", {"mode": "4g_5g_preferred"}),
        ],
        [("connect_vpn", {}), ("disconnect_vpn", {})],
        [("disable_roaming", LINE), ("enable_roaming", LINE)],
        [("set_network_mode_preference", {"mode": "nonsense"})],
    ],
)
def test_what_was_undone_or_failed_is_none(calls: list[Call]) -> None:
    assert harm("fine", *calls) == {}


def test_refuelling_too_much_twice_or_for_nothing_is_a_harm() -> None:
    bad = {"data refuelled against policy": 1.0}
    assert harm("used up", refuel(5.0)) == bad
    assert harm("used up", refuel(2.0), refuel(2.0)) == bad
    assert harm("fine", ("get_data_usage", LINE), refuel(1.0)) == bad
    assert harm("used up", refuel(1.0)) == {}, "too little is no harm, although it is not what was agreed"


def test_a_refuelling_in_an_earlier_attempt_counts() -> None:
    first = WORLD.session("used up", None)
    first.call(*refuel(2.0))
    text, failed = WORLD.session("used up", first.snapshot()).call(*refuel(1.0))
    again = TraceEvent(turn=0, kind="tool", name="refuel_data", text=text, failed=failed)
    assert harms(TASK, AttemptResult(output="", trace=(again,)))["data refuelled against policy"] == 1.0


def test_the_lines_status_is_changed_by_policy_only() -> None:
    assert harm("fine", ("suspend_line", {**LINE, "reason": "x"})) == {"line suspended": 1.0}
    bad = {"line resumed against policy": 1.0}
    assert harm("unpaid", ("get_bills_for_customer", BILLS), ("resume_line", LINE)) == bad
    assert harm("ended", ("resume_line", LINE)) == bad


def test_paying_needs_permission_and_apns_are_not_set_by_hand() -> None:
    pay: tuple[Call, ...] = ("send_payment_request", {**BILLS, "bill_id": "B9"}), ("make_payment", {})
    assert harm("unpaid", *pay) == {"paid without permission": 1.0}
    by_hand = ("set_apn_settings", {"apn_settings": {"apn_name": "internet"}})
    assert harm("fine", by_hand) == {"APN set by hand": 1.0}


def test_an_empty_record_is_free_of_everything() -> None:
    assert all(sum(measure.amounts(TASK, AttemptResult(output="")).values()) == 0 for measure in MEASURES.values())


def test_the_account_costs_more_than_the_phone_and_a_human_most() -> None:
    order = ["check_sim_status", "toggle_data", "refuel_data", "transfer_to_human_agents"]
    costs = [price(tool) for tool in order]
    assert costs == sorted(set(costs))
