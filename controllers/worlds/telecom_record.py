"""What a telecom tool record shows: where was looked, what was changed, and the features a policy may read.

All of it comes from traces and checker results, so it is the same in a simulation and in production.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from controllers.history import Seen
from controllers.observe import correctness, lineage
from controllers.worlds.telecom_layers import (
    DIRECTIVES,
    GROUPS,
    LAYER_NAMES,
    LAYERS,
    SHOWS,
    SYMPTOM_TESTS,
    TOUCHES,
    labels,
    layer_shown,
    symptom_gone,
)
from signatures.errors import UsageError
from signatures.records import TraceEvent

NO_EFFECT: Final = ("already ", "No active VPN", "No VPN", "You do not have a payment request")
_OF_A_LINE: Final = re.compile(r'"id"\s*:\s*"L')
_GROUP_OF: Final = {layer.name: layer.group for layer in LAYERS}
_LAYERS_OF: Final = {group: frozenset(n for n, g in _GROUP_OF.items() if g == group) for group in GROUPS}
_TEXT_OF: Final = {directive.action: directive.text for directive in DIRECTIVES}


def had_effect(event: TraceEvent) -> bool:
    """Whether a call of the record changed something."""
    return event.name in TOUCHES and not event.failed and not any(sign in event.text for sign in NO_EFFECT)


def looked(traces: Sequence[Sequence[TraceEvent]]) -> set[str]:
    """The layers that some call in these traces showed, by name. Roaming counts when both its halves were shown."""
    shown: set[str] = set()
    for trace in traces:
        for event in trace:
            if not event.failed and (event.name != "get_details_by_id" or _OF_A_LINE.search(event.arguments)):
                shown.update(SHOWS.get(event.name, ()))
    if {"phone_roaming", "line_roaming"} <= shown:
        shown.add("roaming")
    return shown.intersection(LAYER_NAMES)


def changed_last(trace: Sequence[TraceEvent]) -> list[str]:
    """The layers changed in a trace, the latest first."""
    return list(dict.fromkeys(TOUCHES[event.name] for event in reversed(trace) if had_effect(event)))


def untried(history: Sequence[Seen]) -> dict[str, bool]:
    """For each action of the table: whether something it points at was not looked at in the lineage.

    The lineage is that of the last attempt. `undo` and `recheck` point at the layers which that attempt changed:
    untried is what was not looked at again after the change.
    """
    missing = _missing(history)
    found = {group: not _LAYERS_OF[group].isdisjoint(missing) for group in GROUPS}
    unverified = _unverified(history[-1].trace) if history else []
    changed = changed_last(history[-1].trace) if history else []
    return {**found, "untried": bool(missing), "undo": changed[:1] == unverified[:1] != [], "recheck": bool(unverified)}


def directive_text(action: str, history: Sequence[Seen]) -> str:
    """The text of an action after these attempts: what it points at is named where the record says it.

    Raises UsageError for an action that is not in the table.
    """
    if action not in _TEXT_OF:
        raise UsageError(f"telecom has no directive {action!r}; it has {', '.join(_TEXT_OF)}")
    changed = changed_last(history[-1].trace) if history else []
    if action == "untried" and history and (missing := _missing(history)):
        return f"Look first at: {labels(missing)}."
    if action == "undo" and changed:
        return f"Undo the last change: {labels(changed[:1])}."
    if action == "recheck" and changed:
        return f"Check again what was changed last: {labels(changed)}."
    return _TEXT_OF[action]


def features(history: Sequence[Seen]) -> dict[str, float]:
    """Telecom's own observation features; those of the last attempt are absent before there is one.

    name                            meaning
    telecom.untried_layers          layers not looked at in the lineage of the last attempt
    telecom.looked.<group>          whether all layers of that group were
    telecom.last_change.<group>     whether the last attempt's last change was in that group
    telecom.last_toggle             1: its last switch was thrown ON, -1: OFF, 0: none
    telecom.changes                 calls of the last attempt that changed something
    telecom.errors                  its failed calls
    telecom.repeated                its looks that were made before with nothing changed since
    telecom.tested                  whether it tested the symptom
    telecom.symptom_gone            what its last such test showed
    telecom.symptom_change          change of the phone-visible symptom since the parent attempt
    """
    missing = _missing(history)
    found = {"telecom.untried_layers": float(len(missing))}
    found.update({f"telecom.looked.{g}": float(_LAYERS_OF[g].isdisjoint(missing)) for g in GROUPS})
    if history:
        found.update(_of_last(history))
    return found


def repeated(trace: Sequence[TraceEvent]) -> int:
    """Calls made before in the trace with the same arguments and nothing changed since."""
    count, known = 0, set[tuple[str, str]]()
    for event in trace:
        if event.kind != "tool":
            continue
        if had_effect(event):
            known.clear()
        elif (call := (event.name, event.arguments)) in known:
            count += 1
        else:
            known.add(call)
    return count


def _lineage(history: Sequence[Seen]) -> list[Seen]:
    """The last attempt and its ancestors, root first."""
    return lineage(history, history[-1].attempt.id) if history else []


def _missing(history: Sequence[Seen]) -> set[str]:
    return set(LAYER_NAMES) - looked([seen.trace for seen in _lineage(history)])


def _unverified(trace: Sequence[TraceEvent]) -> list[str]:
    """Layers changed in the trace and not looked at afterwards, the latest first."""
    open_layers: dict[str, None] = {}
    for event in trace:
        if had_effect(event):
            open_layers.pop(TOUCHES[event.name], None)
            open_layers[TOUCHES[event.name]] = None
        elif not event.failed:
            for name in SHOWS.get(event.name, ()):
                open_layers.pop(layer_shown(name), None)
    return list(reversed(open_layers))


def _of_last(history: Sequence[Seen]) -> dict[str, float]:
    trace = history[-1].trace
    values = [correctness(seen.attempt) for seen in _lineage(history)]
    steps = [after - before for before, after in pairwise(values)]
    changed = changed_last(trace)
    toggles = [event.text for event in trace if event.name.startswith("toggle_") and not event.failed]
    tests = [symptom_gone(event.name, event.text) for event in trace if event.name in SYMPTOM_TESTS]
    direction = 0.0 if not toggles else 1.0 if "now ON" in toggles[-1] else -1.0
    return {
        **{f"telecom.last_change.{g}": float(bool(changed) and _GROUP_OF[changed[0]] == g) for g in GROUPS},
        "telecom.last_toggle": direction,
        "telecom.changes": float(sum(map(had_effect, trace))),
        "telecom.errors": float(sum(event.failed for event in trace)),
        "telecom.repeated": float(repeated(trace)),
        "telecom.tested": float(bool(tests)),
        "telecom.symptom_gone": float(bool(tests) and bool(tests[-1])),
        "telecom.symptom_change": steps[-1] if steps else 0.0,
    }
