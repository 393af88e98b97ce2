from __future__ import annotations

import pytest

from controllers.worlds.layered import groups
from controllers.worlds.telecom import TelecomWorld
from controllers.worlds.telecom_layers import (
    ACCOUNT_CHANGES,
    DIRECTIVES,
    LAYER_NAMES,
    LAYERS,
    SHOWS,
    SYMPTOM_TESTS,
    TOUCHES,
    layer_shown,
    layers_in,
    symptom_gone,
    symptom_test,
)

GROUPS = groups(LAYERS)


def test_there_are_twelve_layers_in_five_groups_and_at_most_eight_directives() -> None:
    assert len(set(LAYER_NAMES)) == 12
    actions = [directive.action for directive in DIRECTIVES]
    assert actions == [*GROUPS, "untried", "undo", "recheck"] and len(actions) == 8


@pytest.mark.parametrize("layer", LAYERS, ids=LAYER_NAMES)
def test_a_layers_label_speaks_of_that_layer_alone(layer: object) -> None:
    assert isinstance(layer, type(LAYERS[0]))
    assert layers_in(layer.label) == {layer.name}


@pytest.mark.parametrize("group", GROUPS)
def test_a_groups_directive_names_exactly_its_layers(group: str) -> None:
    text = next(directive.text for directive in DIRECTIVES if directive.action == group)
    assert layers_in(text) == set(GROUPS[group])


@pytest.mark.parametrize("action", ["untried", "undo", "recheck"])
def test_a_directive_that_points_nowhere_by_itself_names_no_layer(action: str) -> None:
    assert not layers_in(next(directive.text for directive in DIRECTIVES if directive.action == action))


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("Please verify whether the data allowance ran out", {"usage"}),
        ("Pay the OVERDUE bill and resume the line", {"bill"}),
        ("try the VPN, then wifi calling", {"vpn", "wifi_calling"}),
        ("you called check_network_status x2, toggle_data x1", {"data", "roaming"}),
        ("get_details_by_id", {"roaming", "bill"}),
        ("simulate a better mood", set()),
        ("", set()),
    ],
)
def test_free_text_is_read_by_words_and_tool_names(text: str, layers: set[str]) -> None:
    assert layers_in(text) == layers


def test_every_tool_named_exists_and_is_looked_at_or_changed() -> None:
    tools = {tool.name for tool in TelecomWorld({}).tools()}
    assert set(SHOWS) | set(TOUCHES) | set(SYMPTOM_TESTS) | ACCOUNT_CHANGES <= tools
    assert not set(SHOWS) & set(TOUCHES) and set(TOUCHES) >= ACCOUNT_CHANGES
    shown = {layer_shown(name) for names in SHOWS.values() for name in names}
    assert shown == set(LAYER_NAMES) == set(TOUCHES.values())


@pytest.mark.parametrize(
    ("ticket", "tool", "gone", "there"),
    [
        (
            "until an MMS message can be sent",
            "can_send_mms",
            "Your messaging app can send MMS messages.",
            "Your messaging app cannot send MMS messages.",
        ),
        (
            "when speed test returns excellent",
            "run_speed_test",
            "Speed Test Result: 275.00 Mbps (Excellent). Fast.",
            "Speed test failed: No Connection.",
        ),
        (
            "when the status bar shows signal",
            "check_status_bar",
            "Status Bar: 📶³ Good | 5G | 📵 Data Disabled",
            "Status Bar: 📵 No Signal | 📵 Data Disabled",
        ),
    ],
)
def test_each_ticket_has_its_own_test(ticket: str, tool: str, gone: str, there: str) -> None:
    assert symptom_test(ticket) == tool
    assert symptom_gone(tool, gone) is True
    assert symptom_gone(tool, there) is False


def test_another_tool_says_nothing_of_the_symptom() -> None:
    assert symptom_gone("check_sim_status", "Your SIM card is active and working.") is None
