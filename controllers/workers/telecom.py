"""The telecom technician: a scripted, stochastic, seeded worker that sees the ticket, the steer and tool results.

It goes through the places where a fault can be in an order of its own, one tool call a turn, repairs what looks
broken and tests the symptom after each repair. It reads screens hastily: at the rate `noise` each, it misreads a
screen (so that it also changes what was fine), presses the wrong switch or picks the wrong value, fails to see what
it just did, and leaves out a step. It obeys a steer with probability `compliance`, by the words it finds in the
text. It remembers nothing between attempts.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Generator, Mapping
from typing import Any, Final, NamedTuple

from controllers.worlds import Session, World
from controllers.worlds.telecom_layers import layers_in, symptom_gone, symptom_test
from signatures.digest import canonical_json, digest_text, seed_of
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Cost, Task, TraceEvent, WorkerFingerprint

__all__ = ["TelecomWorker"]


class _Call(NamedTuple):
    tool: str
    arguments: Mapping[str, object] = {}


_Steps = Generator[_Call, str, bool]
"""Yields calls, is sent what came back, ends with whether anything was changed."""


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
_AVOID: Final = re.compile(
    r"\b(do not|don't|avoid|skip|no need|leave|called|failed|already (checked|fine|ok))\b", re.IGNORECASE
)
_UNDO: Final = re.compile(r"\b(undo|revert|roll(ed)? back|take back)\b", re.IGNORECASE)


class _Wishes(NamedTuple):
    """What a steer's text asks for, in layers."""

    first: frozenset[str]
    last: frozenset[str]
    undo: frozenset[str]


def _wishes(text: str) -> _Wishes:
    """Read a steer sentence by sentence: the layers it names come first, last (warned of, or done), or are undone."""
    found: dict[str, frozenset[str]] = {"first": frozenset(), "last": frozenset(), "undo": frozenset()}
    for sentence in re.split(r"[.;!?\n]", text):
        kind = "undo" if _UNDO.search(sentence) else "last" if _AVOID.search(sentence) else "first"
        found[kind] |= layers_in(sentence)
    last = found["last"] | found["undo"]
    return _Wishes(found["first"] - last, last, found["undo"])


class _Technician:
    """One attempt's worth of work, as a generator of calls."""

    def __init__(self, ticket: str, rng: random.Random, noise: float) -> None:
        phone = re.search(r"phone number: ([\d-]+)", ticket)
        self._phone = phone.group(1) if phone else ""
        self._abroad = "abroad" in ticket
        self._may_pay = "permission to pay" in ticket
        self._test = symptom_test(ticket)
        self._rng, self._noise = rng, noise

    def job(self, steer: str) -> _Steps:
        """Undo what the steer says, then go round until the symptom is gone. What limits it are its turns."""
        wishes = _wishes(steer)
        for layer in sorted(wishes.undo & _SWITCH_OF.keys()):
            yield _Call(_SWITCH_OF[layer])
        if (yield from self._gone()):
            return True
        while True:
            order = list(_STOPS)
            self._rng.shuffle(order)
            for stop in sorted(order, key=lambda stop: _rank(stop, wishes)):
                changed = yield from self._visit(stop)
                if changed and (yield from self._gone()):
                    return True

    def _visit(self, stop: str) -> _Steps:
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

    def _slips(self) -> bool:
        return self._rng.random() < self._noise

    def _reads(self, fault: bool) -> bool:
        return fault != self._slips()

    def _gone(self) -> _Steps:
        text = yield _Call(self._test)
        return bool(symptom_gone(self._test, text))

    def _screen(self, screen: _Screen) -> _Steps:
        text = yield _Call(screen.look)
        if not self._reads(screen.fault in text):
            return False
        if screen.repair in _WORSE:
            return (yield from self._press(screen.repair))
        yield _Call(screen.repair)
        return True

    def _press(self, switch: str) -> _Steps:
        """Throw a switch, or by mistake another; on seeing that it went the wrong way, throw it back."""
        pressed = switch
        if self._slips():
            pressed = self._rng.choice([other for other in _WORSE if other != switch])
        text = yield _Call(pressed)
        if _WORSE[pressed] in text and not self._slips():
            yield _Call(pressed)
        if pressed != switch and not self._slips():
            yield _Call(switch)
        return True

    def _mode(self) -> _Steps:
        text = yield _Call("check_network_mode_preference")
        if not self._reads("4g_5g_preferred" not in text):
            return False
        mode = self._rng.choice(("3g_only", "4g_only")) if self._slips() else "4g_5g_preferred"
        yield _Call("set_network_mode_preference", {"mode": mode})
        return True

    def _network(self) -> _Steps:
        text = yield _Call("check_network_status")
        changed = False
        if self._reads("Mobile Data Enabled: No" in text):
            changed = yield from self._press("toggle_data")
        if self._abroad and self._reads("Data Roaming Enabled: No" in text):
            changed = yield from self._press("toggle_roaming")
        return changed

    def _apn(self) -> _Steps:
        text = yield _Call("check_apn_settings")
        if not self._reads("broken" in text or "Not Set" in text):
            return False
        yield _Call("reset_apn_settings")
        if not self._slips():
            yield _Call("reboot_device")
        return True

    def _permissions(self) -> _Steps:
        text = yield _Call("check_app_permissions", {"app_name": "messaging"})
        missing = [name for name in ("sms", "storage") if name not in text]
        if not self._reads(bool(missing)):
            return False
        for wanted in missing or ["storage"]:
            granted = self._rng.choice(("phone", "network")) if self._slips() else wanted
            yield _Call("grant_app_permission", {"app_name": "messaging", "permission": granted})
        return True

    def _account(self) -> _Steps:
        text = yield _Call("get_customer_by_phone", {"phone_number": self._phone})
        customer = _parsed(text)
        line: dict[str, object] = {}
        for line_id in customer.get("line_ids", ()):
            line = _parsed((yield _Call("get_details_by_id", {"id": line_id})))
            if line.get("phone_number") == self._phone:
                break
        if not line:
            return False
        ids = {"customer_id": customer["customer_id"], "line_id": line["line_id"]}
        changed = False
        if self._reads(line["status"] == "Suspended"):
            changed = yield from self._resume(ids)
        if self._abroad and self._reads(not line["roaming_enabled"]):
            yield _Call("enable_roaming", ids)
            changed = True
        refuelled = yield from self._usage(ids)
        return changed or refuelled

    def _resume(self, ids: Mapping[str, object]) -> _Steps:
        bills = _parsed((yield _Call("get_bills_for_customer", {"customer_id": ids["customer_id"]})))
        due = [bill["bill_id"] for bill in bills if bill["status"] == "Overdue"]
        if due and self._may_pay and not self._slips():
            yield _Call("send_payment_request", {"customer_id": ids["customer_id"], "bill_id": due[0]})
            yield _Call("make_payment")
        yield _Call("resume_line", ids)
        if not self._slips():
            yield _Call("reboot_device")
        return True

    def _usage(self, ids: Mapping[str, object]) -> _Steps:
        usage = _parsed((yield _Call("get_data_usage", ids)))
        used, limit, refuelled = (float(usage[f"data_{what}_gb"]) for what in ("used", "limit", "refueling"))
        if not self._reads(used >= limit + refuelled):
            return False
        amount = self._rng.choice(_WRONG_GB) if self._slips() else _PERMITTED_GB
        yield _Call("refuel_data", {**ids, "gb_amount": amount})
        return True


def _parsed(text: str) -> Any:
    """The JSON a tool answered with; nothing where it answered with an error."""
    return {} if text.startswith("Error") else json.loads(text)


def _rank(stop: str, wishes: _Wishes) -> int:
    found = _STOPS[stop]
    return -1 if wishes.first.intersection(found) else int(bool(wishes.last.issuperset(found)))


class TelecomWorker:
    """Technicians for a telecom world; one is made for each attempt.

    Deterministic by task, start state, seed and steer text. Raises UsageError for rates outside [0, 1].
    """

    def __init__(self, world: World, *, noise: float = 0.15, compliance: float = 0.8, turns: int = 12) -> None:
        if not (0 <= noise <= 1 and 0 <= compliance <= 1 and turns >= 1):
            raise UsageError(
                f"telecom worker: noise {noise} and compliance {compliance} must be within [0, 1], turns {turns} >= 1"
            )
        self._world, self._noise, self._compliance, self._turns = world, noise, compliance, turns

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The name and the three parameters."""
        params = {"noise": self._noise, "compliance": self._compliance, "turns": self._turns}
        return WorkerFingerprint(name="telecom", params={name: str(value) for name, value in params.items()})

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One technician's visit. The output is the state it leaves."""
        text = context.steer.text
        rng = random.Random(seed_of(task.digest, digest_text(start or ""), context.seed, text))
        heard = text if rng.random() < self._compliance else ""
        limit = self._turns if context.turns_limit is None else context.turns_limit
        session = self._world.session(task.digest, start)
        trace = _work(session, _Technician(task.prompt, rng, self._noise).job(heard), limit)
        state = session.snapshot()
        return AttemptResult(output=state, state=state, trace=trace, cost=Cost(turns=len(trace)))


def _work(session: Session, steps: _Steps, limit: int) -> tuple[TraceEvent, ...]:
    """Make the calls that `steps` asks for, at most `limit`."""
    events: list[TraceEvent] = []
    try:
        call = next(steps)
        while len(events) < limit:
            text, failed = session.call(call.tool, call.arguments)
            asked = canonical_json(dict(call.arguments)) if call.arguments else "{}"
            events.append(
                TraceEvent(turn=len(events), kind="tool", name=call.tool, arguments=asked, text=text, failed=failed)
            )
            call = steps.send(text)
    except StopIteration:
        pass
    finally:
        steps.close()
    return tuple(events)
