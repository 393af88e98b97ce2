"""The telecom vocabulary: layers of phone and account, and the tools that look at or change them.

It says where a fault could be, never where one is: it is the same for every task.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from controllers.worlds.layered import Layer, directives, spoken_of

BENCHMARK: Final = "telecom"

LAYERS: Final = (
    Layer("radio", "radio_sim", "airplane mode", r"airplane|\bradio\b"),
    Layer("sim", "radio_sim", "SIM card", r"\bsim\b"),
    Layer("mode", "mode_data", "network mode", r"network (mode|preference)|preferred network|\b[2345]g\b"),
    Layer("data", "mode_data", "mobile data", r"mobile data|data switch"),
    Layer("restrict", "mode_data", "data saver", r"data (saver|restriction)"),
    Layer("wifi_calling", "wifi_vpn", "Wi-Fi calling", r"wi-?fi call"),
    Layer("vpn", "wifi_vpn", "VPN", r"\bvpn"),
    Layer("apn", "apn_apps", "APN settings", r"\bapn|mmsc"),
    Layer("permissions", "apn_apps", "app permissions", r"permission|messaging app"),
    Layer("roaming", "account", "roaming", r"roaming"),
    Layer("usage", "account", "data usage", r"usage|refuel|data (limit|allowance)"),
    Layer("bill", "account", "bills", r"\bbill|overdue|suspen|payment|\bthe line\b"),
)
LAYER_NAMES: Final = tuple(layer.name for layer in LAYERS)
DIRECTIVES: Final = directives(LAYERS)

SHOWS: Final[Mapping[str, tuple[str, ...]]] = {
    "check_status_bar": ("radio",),
    "check_sim_status": ("sim",),
    "check_network_mode_preference": ("mode",),
    "check_network_status": ("data", "phone_roaming"),
    "check_data_restriction_status": ("restrict",),
    "check_wifi_calling_status": ("wifi_calling",),
    "check_vpn_status": ("vpn",),
    "check_apn_settings": ("apn",),
    "check_app_permissions": ("permissions",),
    "check_app_status": ("permissions",),
    "get_details_by_id": ("line_roaming", "bill"),
    "get_bills_for_customer": ("bill",),
    "get_data_usage": ("usage",),
}
"""Tool -> the layers its result is about. Roaming has two halves, one on the phone and one on the line."""

TOUCHES: Final[Mapping[str, str]] = {
    "toggle_airplane_mode": "radio",
    "reseat_sim_card": "sim",
    "set_network_mode_preference": "mode",
    "toggle_data": "data",
    "toggle_data_saver_mode": "restrict",
    "toggle_wifi": "wifi_calling",
    "toggle_wifi_calling": "wifi_calling",
    "connect_vpn": "vpn",
    "disconnect_vpn": "vpn",
    "set_apn_settings": "apn",
    "reset_apn_settings": "apn",
    "reboot_device": "apn",
    "grant_app_permission": "permissions",
    "toggle_roaming": "roaming",
    "enable_roaming": "roaming",
    "disable_roaming": "roaming",
    "refuel_data": "usage",
    "send_payment_request": "bill",
    "make_payment": "bill",
    "suspend_line": "bill",
    "resume_line": "bill",
}
"""Every tool that changes something -> the layer it changes."""

_TOOL_NAME: Final = re.compile(r"[a-z]+(?:_[a-z]+)+")

ACCOUNT_CHANGES: Final = frozenset(
    (
        "enable_roaming",
        "disable_roaming",
        "refuel_data",
        "send_payment_request",
        "make_payment",
        "suspend_line",
        "resume_line",
    )
)
SYMPTOM_TESTS: Final = ("can_send_mms", "run_speed_test", "check_status_bar")


def layers_in(text: str) -> frozenset[str]:
    """The layers that `text` speaks of, in words or by the names of tools, whoever wrote it."""
    found = set(spoken_of(LAYERS, text))
    for tool in _TOOL_NAME.findall(text):
        found.update(layer_shown(name) for name in SHOWS.get(tool, ()))
        found.update((TOUCHES[tool],) if tool in TOUCHES else ())
    return frozenset(found)


def layer_shown(name: str) -> str:
    """The layer that an entry of `SHOWS` belongs to."""
    return "roaming" if name.endswith("_roaming") else name


def symptom_test(ticket: str) -> str:
    """The tool that shows whether the trouble the ticket describes is gone."""
    if "MMS" in ticket:
        return "can_send_mms"
    return "run_speed_test" if "speed test" in ticket else "check_status_bar"


def symptom_gone(tool: str, text: str) -> bool | None:
    """Whether a symptom test's result says that all is well; None where `text` is no such result."""
    if tool == "can_send_mms":
        return "can send MMS" in text
    if tool == "run_speed_test":
        return "(Excellent)" in text
    if tool == "check_status_bar":
        return "No Signal" not in text and "Airplane Mode" not in text
    return None
