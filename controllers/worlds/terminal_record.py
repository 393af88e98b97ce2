"""What a terminal record shows: where was looked, what was changed, and the features a policy may read.

All of it comes from traces and checker results, so it is the same in a simulation and in production.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from controllers.history import Seen
from controllers.observe import correctness, lineage
from controllers.worlds.terminal_layers import (
    DIRECTIVES,
    GROUPS,
    LAYER_NAMES,
    LAYERS,
    command_of,
    health_share,
    labels,
    shows,
    touches,
)
from signatures.errors import UsageError
from signatures.records import TraceEvent

_GROUP_OF: Final = {layer.name: layer.group for layer in LAYERS}
_LAYERS_OF: Final = {group: frozenset(n for n, g in _GROUP_OF.items() if g == group) for group in GROUPS}
_TEXT_OF: Final = {directive.action: directive.text for directive in DIRECTIVES}


def changed_by(event: TraceEvent) -> tuple[str, ...]:
    """The layers that an event of the record changed."""
    return () if event.failed else touches(command_of(event))


def looked(traces: Sequence[Sequence[TraceEvent]]) -> set[str]:
    """The layers that some command in these traces showed."""
    return {name for trace in traces for event in trace if not event.failed for name in shows(command_of(event))}


def changed_last(trace: Sequence[TraceEvent]) -> list[str]:
    """The layers changed in a trace, the latest first."""
    return list(dict.fromkeys(name for event in reversed(trace) for name in changed_by(event)))


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
        raise UsageError(f"terminal has no directive {action!r}; it has {', '.join(_TEXT_OF)}")
    changed = changed_last(history[-1].trace) if history else []
    if action == "untried" and history and (missing := _missing(history)):
        return f"Look first at: {labels(missing)}."
    if action == "undo" and changed:
        return f"Undo the last change: {labels(changed[:1])}."
    if action == "recheck" and changed:
        return f"Check again what was changed last: {labels(changed)}."
    return _TEXT_OF[action]


def features(history: Sequence[Seen]) -> dict[str, float]:
    """Terminal's own observation features; those of the last attempt are absent before there is one.

    name                             meaning
    terminal.untried_layers          layers not looked at in the lineage of the last attempt
    terminal.looked.<group>          whether all layers of that group were
    terminal.last_change.<group>     whether the last attempt's last change was in that group
    terminal.changes                 commands of the last attempt that changed something
    terminal.errors                  its failed commands
    terminal.repeated                its commands that were run before with nothing changed since
    terminal.tested                  whether it ran the health script
    terminal.health                  the share of checks that its last such run passed
    terminal.health_gain             change of that share from its first such run to its last
    terminal.health_change           change of the checker's share since the parent attempt
    """
    missing = _missing(history)
    found = {"terminal.untried_layers": float(len(missing))}
    found.update({f"terminal.looked.{g}": float(_LAYERS_OF[g].isdisjoint(missing)) for g in GROUPS})
    if history:
        found.update(_of_last(history))
    return found


def repeated(trace: Sequence[TraceEvent]) -> int:
    """Commands run before in the trace with nothing changed since."""
    count, known = 0, set[str]()
    for event in trace:
        if event.kind != "tool":
            continue
        if changed_by(event):
            known.clear()
        elif event.arguments in known:
            count += 1
        else:
            known.add(event.arguments)
    return count


def _lineage(history: Sequence[Seen]) -> list[Seen]:
    return lineage(history, history[-1].attempt.id) if history else []


def _missing(history: Sequence[Seen]) -> set[str]:
    return set(LAYER_NAMES) - looked([seen.trace for seen in _lineage(history)])


def _unverified(trace: Sequence[TraceEvent]) -> list[str]:
    """Layers changed in the trace and not looked at afterwards, the latest first."""
    open_layers: dict[str, None] = {}
    for event in trace:
        changed = changed_by(event)
        for name in changed:
            open_layers.pop(name, None)
            open_layers[name] = None
        if not changed and not event.failed:
            for name in shows(command_of(event)):
                open_layers.pop(name, None)
    return list(reversed(open_layers))


def _of_last(history: Sequence[Seen]) -> dict[str, float]:
    trace = history[-1].trace
    values = [correctness(seen.attempt) for seen in _lineage(history)]
    steps = [after - before for before, after in pairwise(values)]
    changed = changed_last(trace)
    tools = [event for event in trace if event.kind == "tool"]
    tests = [share for event in tools if (share := health_share(event.text)) is not None]
    return {
        **{f"terminal.last_change.{g}": float(bool(changed) and _GROUP_OF[changed[0]] == g) for g in GROUPS},
        "terminal.changes": float(sum(bool(changed_by(event)) for event in trace)),
        "terminal.errors": float(sum(event.failed for event in trace)),
        "terminal.repeated": float(repeated(trace)),
        "terminal.tested": float(bool(tests)),
        "terminal.health": tests[-1] if tests else 0.0,
        "terminal.health_gain": tests[-1] - tests[0] if tests else 0.0,
        "terminal.health_change": steps[-1] if steps else 0.0,
    }
