"""The telecom technician: a scripted, stochastic, seeded worker that sees the ticket, the steer and tool results.

It goes through the places where a fault can be in an order of its own, one tool call a turn, repairs what looks
broken and tests the symptom after each repair. It reads screens hastily: at the rate `noise` each, it misreads a
screen (so that it also changes what was fine), presses the wrong switch or picks the wrong value, fails to see what
it just did, and leaves out a step. It obeys a steer with probability `compliance`, by the words it finds in the
text. It remembers nothing between attempts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from controllers.simulating import Begun, Call, Calls, Manner, Steps, wishes_in
from controllers.worlds import World
from controllers.worlds.telecom_layers import layers_in, symptom_gone, symptom_test
from signatures.records import AttemptContext, AttemptResult, Task, WorkerFingerprint

__all__ = ["TelecomWorker"]


class _Screen(NamedTuple):
    """A screen with one setting on it: the look, the text of a fault, and the call that repairs it."""

    look: str
    fault: str
    repair: str


_SCREENS: Final = {
    "radio": _Screen("check_status_bar", "Airplane Mode", "toggle_airplane_mode"),
    "sim": _Screen("check_sim_status", "No SIM card", "reseat_sim_card"),
    "restrict": _Screen("check_data_restriction_status", "mode is ON", "toggle_data_saver_mode"),
    "wifi_calling": _Screen("check_wifi_calling_status", "turned ON", "toggle_wifi_calling"),
    "vpn": _Screen("check_vpn_status", "'poor'", "disconnect_vpn"),
}
_STOPS: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: (name,) for name in _SCREENS},
    "mode": ("mode",),
    "network": ("data", "roaming"),
    "apn": ("apn",),
    "permissions": ("permissions",),
    "account": ("roaming", "usage", "bill"),
}
"""Where the technician stops to look -> the layers it finds there."""
_WORSE: Final = {
    "toggle_airplane_mode": "Airplane Mode is now ON",
    "toggle_data": "Mobile Data is now OFF",
    "toggle_roaming": "Data Roaming is now OFF",
    "toggle_data_saver_mode": "Data Saver Mode is now ON",
    "toggle_wifi_calling": "Wi-Fi Calling is now ON",
}
"""The switches, and what each says when it was thrown the wrong way."""
_SWITCH_OF: Final = {
    "radio": "toggle_airplane_mode",
    "data": "toggle_data",
    "restrict": "toggle_data_saver_mode",
    "wifi_calling": "toggle_wifi_calling",
    "roaming": "toggle_roaming",
}
_PERMITTED_GB: Final = 2.0
_WRONG_GB: Final = (1.0, 5.0)


class _Technician:
    """One attempt's worth of work, as a generator of calls."""

    def __init__(self, ticket: str, begun: Begun) -> None:
        phone = re.search(r"phone number: ([\d-]+)", ticket)
        self._phone = phone.group(1) if phone else ""
        self._abroad = "abroad" in ticket
        self._may_pay = "permission to pay" in ticket
        self._test = symptom_test(ticket)
        self._rng, self._slips = begun.rng, begun.slips

    def job(self, steer: str) -> Steps[bool]:
        """Undo what the steer says, then go round until the symptom is gone. What limits it are its turns."""
        wishes = wishes_in(re.split(r"[.;!?\n]", steer), layers_in)
        undo = wishes.undo or frozenset()
        wishes = wishes._replace(last=wishes.last | undo)
        for layer in sorted(undo & _SWITCH_OF.keys()):
            yield Call(_SWITCH_OF[layer])
        if (yield from self._gone()):
            return True
        while True:
            for stop in wishes.tour(_STOPS, self._rng):
                changed = yield from self._visit(stop)
                if changed and (yield from self._gone()):
                    return True

    def _visit(self, stop: str) -> Steps[bool]:
        if stop in _SCREENS:
            return (yield from self._screen(_SCREENS[stop]))
        visits = {
            "mode": self._mode,
            "network": self._network,
            "apn": self._apn,
            "permissions": self._permissions,
            "account": self._account,
        }
        return (yield from visits[stop]())

    def _reads(self, fault: bool) -> bool:
        return fault != self._slips()

    def _gone(self) -> Steps[bool]:
        text = yield Call(self._test)
        return bool(symptom_gone(self._test, text))

    def _screen(self, screen: _Screen) -> Steps[bool]:
        text = yield Call(screen.look)
        if not self._reads(screen.fault in text):
            return False
        if screen.repair in _WORSE:
            return (yield from self._press(screen.repair))
        yield Call(screen.repair)
        return True

    def _press(self, switch: str) -> Steps[bool]:
        """Throw a switch, or by mistake another; on seeing that it went the wrong way, throw it back."""
        pressed = switch
        if self._slips():
            pressed = self._rng.choice([other for other in _WORSE if other != switch])
        text = yield Call(pressed)
        if _WORSE[pressed] in text and not self._slips():
            yield Call(pressed)
        if pressed != switch and not self._slips():
            yield Call(switch)
        return True

    def _mode(self) -> Steps[bool]:
        text = yield Call("check_network_mode_preference")
        if not self._reads("4g_5g_preferred" not in text):
            return False
        mode = self._rng.choice(("3g_only", "4g_only")) if self._slips() else "4g_5g_preferred"
        yield Call("set_network_mode_preference", {"mode": mode})
        return True

    def _network(self) -> Steps[bool]:
        text = yield Call("check_network_status")
        changed = False
        if self._reads("Mobile Data Enabled: No" in text):
            changed = yield from self._press("toggle_data")
        if self._abroad and self._reads("Data Roaming Enabled: No" in text):
            changed = yield from self._press("toggle_roaming")
        return changed

    def _apn(self) -> Steps[bool]:
        text = yield Call("check_apn_settings")
        if not self._reads("broken" in text or "Not Set" in text):
            return False
        yield Call("reset_apn_settings")
        if not self._slips():
            yield Call("reboot_device")
        return True

    def _permissions(self) -> Steps[bool]:
        text = yield Call("check_app_permissions", {"app_name": "messaging"})
        missing = [name for name in ("sms", "storage") if name not in text]
        if not self._reads(bool(missing)):
            return False
        for wanted in missing or ["storage"]:
            granted = self._rng.choice(("phone", "network")) if self._slips() else wanted
            yield Call("grant_app_permission", {"app_name": "messaging", "permission": granted})
        return True

    def _account(self) -> Steps[bool]:
        text = yield Call("get_customer_by_phone", {"phone_number": self._phone})
        customer = _parsed(text)
        line: dict[str, object] = {}
        for line_id in customer.get("line_ids", ()):
            line = _parsed((yield Call("get_details_by_id", {"id": line_id})))
            if line.get("phone_number") == self._phone:
                break
        if not line:
            return False
        ids = {"customer_id": customer["customer_id"], "line_id": line["line_id"]}
        changed = False
        if self._reads(line["status"] == "Suspended"):
            changed = yield from self._resume(ids)
        if self._abroad and self._reads(not line["roaming_enabled"]):
            yield Call("enable_roaming", ids)
            changed = True
        refuelled = yield from self._usage(ids)
        return changed or refuelled

    def _resume(self, ids: Mapping[str, object]) -> Steps[bool]:
        bills = _parsed((yield Call("get_bills_for_customer", {"customer_id": ids["customer_id"]})))
        due = [bill["bill_id"] for bill in bills if bill["status"] == "Overdue"]
        if due and self._may_pay and not self._slips():
            yield Call("send_payment_request", {"customer_id": ids["customer_id"], "bill_id": due[0]})
            yield Call("make_payment")
        yield Call("resume_line", ids)
        if not self._slips():
            yield Call("reboot_device")
        return True

    def _usage(self, ids: Mapping[str, object]) -> Steps[bool]:
        usage = _parsed((yield Call("get_data_usage", ids)))
        used, limit, refuelled = (float(usage[f"data_{what}_gb"]) for what in ("used", "limit", "refueling"))
        if not self._reads(used >= limit + refuelled):
            return False
        amount = self._rng.choice(_WRONG_GB) if self._slips() else _PERMITTED_GB
        yield Call("refuel_data", {**ids, "gb_amount": amount})
        return True


def _parsed(text: str) -> Any:
    """The JSON a tool answered with; nothing where it answered with an error."""
    return {} if text.startswith("Error") else json.loads(text)


class TelecomWorker:
    """Technicians for a telecom world; one is made for each attempt.

    Deterministic by task, start state, seed and steer text. Raises UsageError for rates outside [0, 1].
    """

    def __init__(self, world: World, *, noise: float = 0.15, compliance: float = 0.8, turns: int = 12) -> None:
        self._world, self._manner = world, Manner("telecom", noise, compliance, turns)

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The name and the three parameters."""
        return self._manner.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One technician's visit. The output is the state it leaves."""
        begun = self._manner.begin(task, context, start)
        calls = Calls(self._world.session(task.digest, start))
        calls.follow(_Technician(task.prompt, begun).job(begun.heard), begun.limit)
        return calls.result()
