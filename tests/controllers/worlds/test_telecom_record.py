from __future__ import annotations

from collections.abc import Sequence

import pytest

from controllers.history import Seen
from controllers.worlds.telecom_layers import DIRECTIVES, GROUPS, LAYER_NAMES, LAYERS, layers_in
from controllers.worlds.telecom_record import (
    changed_last,
    directive_text,
    features,
    had_effect,
    looked,
    repeated,
    untried,
)
from signatures.errors import UsageError
from signatures.records import Attempt, CheckerResult, Steer, TraceEvent, WorkerFingerprint

ON = "Airplane Mode is now ON.\nStatus Bar: ..."
LOOKS = (
    "check_status_bar",
    "check_sim_status",
    "check_network_mode_preference",
    "check_network_status",
    "check_data_restriction_status",
    "check_wifi_calling_status",
    "check_vpn_status",
    "check_apn_settings",
    "check_app_permissions",
    "get_data_usage",
)
LINE_LOOK = ("get_details_by_id", '{"id":"L1002"}')


def event(name: str, arguments: str = "{}", text: str = "fine", *, failed: bool = False) -> TraceEvent:
    return TraceEvent(turn=0, kind="tool", name=name, arguments=arguments, text=text, failed=failed)


def seen(id: str, events: Sequence[TraceEvent], parent: str | None = None, correct: float = 0.0) -> Seen:
    attempt = Attempt(
        id=id,
        episode_id="e",
        round=0,
        index=0,
        parent_id=parent,
        task_digest="t",
        benchmark="telecom",
        worker=WorkerFingerprint(name="telecom"),
        steer=Steer(),
        checks=(CheckerResult(objective="correct", value=correct, unit="share"),),
        outcome="ok",
    )
    return Seen(attempt, tuple(events))


def test_looks_are_read_from_the_record() -> None:
    trace = [event("check_sim_status"), event("check_vpn_status", failed=True), event("toggle_data")]
    assert looked([trace]) == {"sim"}
    assert looked([[event(name) for name in LOOKS], [event(*LINE_LOOK)]]) == set(LAYER_NAMES)


def test_roaming_is_looked_at_on_the_phone_and_on_the_line() -> None:
    phone, line = event("check_network_status"), event(*LINE_LOOK)
    assert looked([[phone]]) == {"data"}
    assert looked([[line]]) == {"bill"}
    assert looked([[phone, line]]) == {"data", "bill", "roaming"}
    assert looked([[event("get_details_by_id", '{"id": "C1001"}')]]) == set()


def test_what_changed_nothing_had_no_effect() -> None:
    assert had_effect(event("toggle_data"))
    assert not had_effect(event("toggle_data", failed=True))
    assert not had_effect(event("check_sim_status"))
    assert not had_effect(event("enable_roaming", text="Roaming was already enabled"))
    assert not had_effect(event("disconnect_vpn", text="No active VPN connection to disconnect."))
    trace = [event("toggle_data"), event("toggle_airplane_mode"), event("toggle_data"), event("can_send_mms")]
    assert changed_last(trace) == ["data", "radio"]


def test_a_look_is_repeated_only_where_nothing_changed_between() -> None:
    look, change = event("can_send_mms"), event("toggle_data")
    assert repeated([look, look, look]) == 2
    assert repeated([look, change, look]) == 0
    assert repeated([event("get_details_by_id", '{"id":"L1"}'), event(*LINE_LOOK)]) == 0


def test_untried_is_what_the_lineage_has_not_seen() -> None:
    assert untried([]) == {**dict.fromkeys(GROUPS, True), "untried": True, "undo": False, "recheck": False}
    root = seen("a", [event("check_status_bar"), event("check_sim_status")])
    child = seen("b", [event("check_vpn_status")], parent="a")
    other = seen("c", [event("check_wifi_calling_status")])
    assert not untried([root])["radio_sim"]
    assert not untried([root, child])["radio_sim"]
    assert untried([root, child, other])["radio_sim"], "a fresh attempt has a lineage of its own"
    assert untried([root, child])["wifi_vpn"]
    everything = seen("d", [*map(event, LOOKS), event(*LINE_LOOK)])
    assert not any(untried([everything]).values())


def test_undo_and_recheck_point_at_changes_nobody_looked_at_again() -> None:
    changed = [event("toggle_data"), event("disconnect_vpn")]
    found = untried([seen("a", changed)])
    assert (found["undo"], found["recheck"]) == (True, True)
    found = untried([seen("a", [*changed, event("check_vpn_status")])])
    assert (found["undo"], found["recheck"]) == (False, True)
    found = untried([seen("a", [*changed, event("check_vpn_status"), event("check_network_status")])])
    assert (found["undo"], found["recheck"]) == (False, False)


def test_directives_name_what_the_record_shows() -> None:
    history = [seen("a", [event("check_sim_status"), event("toggle_data"), event("disconnect_vpn")])]
    assert layers_in(directive_text("untried", history)) == set(LAYER_NAMES) - {"sim"}
    assert layers_in(directive_text("undo", history)) == {"vpn"}
    assert layers_in(directive_text("recheck", history)) == {"vpn", "data"}


def test_directives_have_a_fixed_text_where_the_record_shows_nothing() -> None:
    table = {directive.action: directive.text for directive in DIRECTIVES}
    assert {action: directive_text(action, []) for action in table} == table
    everything = [seen("a", [*map(event, LOOKS), event(*LINE_LOOK)])]
    assert {action: directive_text(action, everything) for action in table} == table
    with pytest.raises(UsageError, match="no directive 'dance'"):
        directive_text("dance", [])


def test_features_before_the_first_attempt_say_that_all_is_open() -> None:
    found = features([])
    assert found == {"telecom.untried_layers": 12.0, **{f"telecom.looked.{group}": 0.0 for group in GROUPS}}


def test_features_of_the_last_attempt() -> None:
    root = seen("a", [event("check_vpn_status")], correct=1 / 3)
    trace = [
        event("check_wifi_calling_status"),
        event("check_wifi_calling_status"),
        event("toggle_airplane_mode", text=ON),
        event("grant_app_permission", failed=True),
        event("can_send_mms", text="Your messaging app cannot send MMS messages."),
    ]
    found = features([root, seen("b", trace, parent="a", correct=1.0)])
    assert found["telecom.untried_layers"] == 10.0
    assert [group for group in GROUPS if found[f"telecom.looked.{group}"]] == ["wifi_vpn"]
    assert [group for group in GROUPS if found[f"telecom.last_change.{group}"]] == ["radio_sim"]
    rest = {"last_toggle": 1.0, "changes": 1.0, "errors": 1.0, "repeated": 1.0, "tested": 1.0, "symptom_gone": 0.0}
    assert {name: found[f"telecom.{name}"] for name in rest} == rest
    assert found["telecom.symptom_change"] == pytest.approx(2 / 3)


def test_the_direction_of_the_last_toggle_and_the_last_test_count() -> None:
    trace = [
        event("toggle_airplane_mode", text=ON),
        event("run_speed_test", text="Speed test failed: No Connection."),
        event("toggle_airplane_mode", text="Airplane Mode is now OFF."),
        event("run_speed_test", text="Speed Test Result: 275.00 Mbps (Excellent)."),
    ]
    found = features([seen("a", trace)])
    assert (found["telecom.last_toggle"], found["telecom.symptom_gone"]) == (-1.0, 1.0)
    assert features([seen("a", [])])["telecom.last_toggle"] == 0.0


def test_no_feature_names_a_layer_or_a_fault() -> None:
    history = [seen("a", [event("toggle_data")])]
    names = set(features(history)) | set(features([]))
    assert all(name.startswith("telecom.") for name in names)
    tails = {name.rpartition(".")[2] for name in names}
    assert not tails & {layer.name for layer in LAYERS}
