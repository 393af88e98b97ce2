from __future__ import annotations

import pytest

from controllers.worlds.layered import groups
from controllers.worlds.telecom_layers import LAYER_NAMES, LAYERS, layers_in
from controllers.worlds.telecom_record import (
    changed_last,
    directive_text,
    features,
    had_effect,
    looked,
    repeated,
    untried,
)
from tests.controllers.parts import seen, tool

GROUPS = tuple(groups(LAYERS))
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
LINE_LOOK = tool("get_details_by_id", arguments='{"id":"L1002"}')


def test_looks_are_read_from_the_record() -> None:
    trace = [tool("check_sim_status"), tool("check_vpn_status", failed=True), tool("toggle_data")]
    assert looked([trace]) == {"sim"}
    assert looked([[tool(name) for name in LOOKS], [LINE_LOOK]]) == set(LAYER_NAMES)


def test_roaming_is_looked_at_on_the_phone_and_on_the_line() -> None:
    phone, line = tool("check_network_status"), LINE_LOOK
    assert looked([[phone]]) == {"data"}
    assert looked([[line]]) == {"bill"}
    assert looked([[phone, line]]) == {"data", "bill", "roaming"}
    assert looked([[tool("get_details_by_id", arguments='{"id": "C1001"}')]]) == set()


def test_what_changed_nothing_had_no_effect() -> None:
    assert had_effect(tool("toggle_data"))
    assert not had_effect(tool("toggle_data", failed=True))
    assert not had_effect(tool("check_sim_status"))
    assert not had_effect(tool("enable_roaming", text="Roaming was already enabled"))
    assert not had_effect(tool("disconnect_vpn", text="No active VPN connection to disconnect."))
    trace = [tool("toggle_data"), tool("toggle_airplane_mode"), tool("toggle_data"), tool("can_send_mms")]
    assert changed_last(trace) == ["data", "radio"]


def test_a_look_is_repeated_only_where_nothing_changed_between() -> None:
    look, change = tool("can_send_mms"), tool("toggle_data")
    assert repeated([look, look, look]) == 2
    assert repeated([look, change, look]) == 0
    assert repeated([tool("get_details_by_id", arguments='{"id":"L1"}'), LINE_LOOK]) == 0


def test_untried_is_what_the_lineage_has_not_seen() -> None:
    assert untried([]) == {**dict.fromkeys(GROUPS, True), "untried": True, "undo": False, "recheck": False}
    root = seen(0, trace=(tool("check_status_bar"), tool("check_sim_status")))
    child = seen(1, trace=(tool("check_vpn_status"),), parent=0)
    other = seen(2, trace=(tool("check_wifi_calling_status"),))
    assert not untried([root])["radio_sim"]
    assert not untried([root, child])["radio_sim"]
    assert untried([root, child, other])["radio_sim"], "a fresh attempt has a lineage of its own"
    assert untried([root, child])["wifi_vpn"]
    everything = seen(3, trace=(*map(tool, LOOKS), LINE_LOOK))
    assert not any(untried([everything]).values())


def test_undo_and_recheck_point_at_changes_nobody_looked_at_again() -> None:
    changed = (tool("toggle_data"), tool("disconnect_vpn"))
    found = untried([seen(0, trace=changed)])
    assert (found["undo"], found["recheck"]) == (True, True)
    found = untried([seen(0, trace=(*changed, tool("check_vpn_status")))])
    assert (found["undo"], found["recheck"]) == (False, True)
    found = untried([seen(0, trace=(*changed, tool("check_vpn_status"), tool("check_network_status")))])
    assert (found["undo"], found["recheck"]) == (False, False)


def test_directives_name_what_the_record_shows() -> None:
    history = [seen(0, trace=(tool("check_sim_status"), tool("toggle_data"), tool("disconnect_vpn")))]
    assert layers_in(directive_text("untried", history)) == set(LAYER_NAMES) - {"sim"}
    assert layers_in(directive_text("undo", history)) == {"vpn"}
    assert layers_in(directive_text("recheck", history)) == {"vpn", "data"}


def test_features_of_the_last_attempt() -> None:
    root = seen(0, trace=(tool("check_vpn_status"),), correct=1 / 3)
    trace = (
        tool("check_wifi_calling_status"),
        tool("check_wifi_calling_status"),
        tool("toggle_airplane_mode", text=ON),
        tool("grant_app_permission", failed=True),
        tool("can_send_mms", text="Your messaging app cannot send MMS messages."),
    )
    found = features([root, seen(1, trace=trace, parent=0, correct=1.0)])
    assert found["telecom.untried_layers"] == 10.0
    assert [group for group in GROUPS if found[f"telecom.looked.{group}"]] == ["wifi_vpn"]
    assert [group for group in GROUPS if found[f"telecom.last_change.{group}"]] == ["radio_sim"]
    rest = {"last_toggle": 1.0, "changes": 1.0, "errors": 1.0, "repeated": 1.0, "tested": 1.0, "symptom_gone": 0.0}
    assert {name: found[f"telecom.{name}"] for name in rest} == rest
    assert found["telecom.symptom_change"] == pytest.approx(2 / 3)


def test_the_direction_of_the_last_toggle_and_the_last_test_count() -> None:
    trace = (
        tool("toggle_airplane_mode", text=ON),
        tool("run_speed_test", text="Speed test failed: No Connection."),
        tool("toggle_airplane_mode", text="Airplane Mode is now OFF."),
        tool("run_speed_test", text="Speed Test Result: 275.00 Mbps (Excellent)."),
    )
    found = features([seen(0, trace=trace)])
    assert (found["telecom.last_toggle"], found["telecom.symptom_gone"]) == (-1.0, 1.0)
    assert features([seen(0, trace=())])["telecom.last_toggle"] == 0.0


def test_no_feature_names_a_layer_or_a_fault() -> None:
    history = [seen(0, trace=(tool("toggle_data"),))]
    names = set(features(history)) | set(features([]))
    assert all(name.startswith("telecom.") for name in names)
    tails = {name.rpartition(".")[2] for name in names}
    assert not tails & {layer.name for layer in LAYERS}
