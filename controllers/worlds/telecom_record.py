"""What a telecom tool record shows: where was looked, what was changed, and the features a policy may read.

All of it comes from traces and checker results, so it is the same in a simulation and in production.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from controllers.history import Seen
from controllers.worlds.layered import LayeredRecord, last_step
from controllers.worlds.telecom_layers import (
    BENCHMARK,
    LAYER_NAMES,
    LAYERS,
    SHOWS,
    SYMPTOM_TESTS,
    TOUCHES,
    layer_shown,
    symptom_gone,
)
from signatures.records import TraceEvent

NO_EFFECT: Final = ("already ", "No active VPN", "No VPN", "You do not have a payment request")
_OF_A_LINE: Final = re.compile(r'"id"\s*:\s*"L')


def had_effect(event: TraceEvent) -> bool:
    """Whether a call of the record changed something."""
    return event.name in TOUCHES and not event.failed and not any(sign in event.text for sign in NO_EFFECT)


def _changed(event: TraceEvent) -> tuple[str, ...]:
    return (TOUCHES[event.name],) if had_effect(event) else ()


def _shown(event: TraceEvent) -> tuple[str, ...]:
    """Layers that the event shows at least half of."""
    return tuple(map(layer_shown, SHOWS.get(event.name, ())))


def _together(traces: Sequence[Sequence[TraceEvent]]) -> set[str]:
    """Roaming counts when both its halves were shown."""
    shown: set[str] = set()
    for trace in traces:
        for event in trace:
            if not event.failed and (event.name != "get_details_by_id" or _OF_A_LINE.search(event.arguments)):
                shown.update(SHOWS.get(event.name, ()))
    if {"phone_roaming", "line_roaming"} <= shown:
        shown.add("roaming")
    return shown.intersection(LAYER_NAMES)


RECORD: Final = LayeredRecord(BENCHMARK, LAYERS, shown=_shown, changed=_changed, together=_together)
looked, changed_last, repeated = RECORD.looked, RECORD.changed_last, RECORD.repeated
untried, directive_text = RECORD.untried, RECORD.directive_text


def features(history: Sequence[Seen]) -> dict[str, float]:
    """Telecom's own observation features, after those of `LayeredRecord.features`; see there which are absent.

    name                       meaning
    telecom.last_toggle        1: its last switch was thrown ON, -1: OFF, 0: none
    telecom.changes            calls of the last attempt that changed something
    telecom.errors             its failed calls
    telecom.repeated           its looks that were made before with nothing changed since
    telecom.tested             whether it tested the symptom
    telecom.symptom_gone       what its last such test showed
    telecom.symptom_change     change of the phone-visible symptom since the parent attempt
    """
    return RECORD.features(history, _of_last)


def _of_last(history: Sequence[Seen]) -> dict[str, float]:
    trace = history[-1].trace
    toggles = [event.text for event in trace if event.name.startswith("toggle_") and not event.failed]
    tests = [symptom_gone(event.name, event.text) for event in trace if event.name in SYMPTOM_TESTS]
    return {
        "last_toggle": 0.0 if not toggles else 1.0 if "now ON" in toggles[-1] else -1.0,
        **RECORD.counts(trace),
        "tested": float(bool(tests)),
        "symptom_gone": float(bool(tests) and bool(tests[-1])),
        "symptom_change": last_step(history),
    }
