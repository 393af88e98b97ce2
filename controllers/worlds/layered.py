"""Worlds whose faults lie in layers: the words of their table, and what a record of attempts shows of it.

A world gives its table and two readings of an event: which layers it shows, and which it changed. All of it comes
from traces and checker results, so it is the same in a simulation and in production.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from controllers.history import Seen
from controllers.observe import correctness, lineage
from signatures.errors import UsageError
from signatures.records import Directive, TraceEvent


@dataclass(frozen=True)
class Layer:
    """One place where a world can be at fault."""

    name: str
    group: str
    "the action of the table that points at it"
    label: str
    "how directives name it; `words` always finds it"
    words: str
    "a pattern: text that matches it, in any case, speaks of this layer"


def groups(layers: Iterable[Layer]) -> dict[str, list[str]]:
    """Group -> the names of its layers, all in table order."""
    found: dict[str, list[str]] = {}
    for layer in layers:
        found.setdefault(layer.group, []).append(layer.name)
    return found


def labels(layers: Iterable[Layer], names: Iterable[str]) -> str:
    """The labels of the named layers in table order, as directives write them."""
    kept = set(names)
    return ", ".join(layer.label for layer in layers if layer.name in kept)


def spoken_of(layers: Iterable[Layer], text: str) -> frozenset[str]:
    """The layers that `text` speaks of in words, whoever wrote it."""
    return frozenset(layer.name for layer in layers if re.search(layer.words, text, re.IGNORECASE))


def directives(layers: Sequence[Layer]) -> tuple[Directive, ...]:
    """One action that points at each group, in table order, then `untried`, `undo` and `recheck`."""
    return (
        *(Directive(action=group, text=_look_at(layers, names)) for group, names in groups(layers).items()),
        Directive(action="untried", text="Look first at what was not looked at yet in this job."),
        Directive(action="undo", text="Undo the last change, then go on."),
        Directive(action="recheck", text="Check again what was changed last, then go on."),
    )


def _look_at(layers: Sequence[Layer], names: Iterable[str]) -> str:
    return f"Look first at: {labels(layers, names)}."


def last_step(history: Sequence[Seen]) -> float:
    """Change of the checker's value of `correct` from the parent of the last attempt to it; 0 without a parent."""
    values = [correctness(seen.attempt) for seen in _lineage(history)[-2:]]
    return values[1] - values[0] if len(values) == 2 else 0.0


def _lineage(history: Sequence[Seen]) -> list[Seen]:
    """The last attempt and its ancestors, root first."""
    return lineage(history, history[-1].attempt.id) if history else []


@dataclass(frozen=True)
class LayeredRecord:
    """How the record of a world of layers is read. A failed event shows nothing and changes nothing."""

    name: str
    "the world's, before the dot of its features"
    layers: Sequence[Layer]
    shown: Callable[[TraceEvent], Iterable[str]]
    "the layers that an event which did not fail shows"
    changed: Callable[[TraceEvent], Sequence[str]]
    "the layers that an event which did not fail changed"
    together: Callable[[Sequence[Sequence[TraceEvent]]], set[str]] | None = None
    "the layers that traces show in all, where these are not simply those that an event of theirs shows"

    @cached_property
    def _groups(self) -> dict[str, list[str]]:
        return groups(self.layers)

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {directive.action: directive.text for directive in directives(self.layers)}

    def looked(self, traces: Sequence[Sequence[TraceEvent]]) -> set[str]:
        """The layers that these traces showed."""
        if self.together is not None:
            return self.together(traces)
        return {name for trace in traces for event in trace if not event.failed for name in self.shown(event)}

    def changed_last(self, trace: Sequence[TraceEvent]) -> list[str]:
        """The layers changed in a trace, the latest first."""
        return list(dict.fromkeys(name for event in reversed(trace) for name in self._changed(event)))

    def repeated(self, trace: Sequence[TraceEvent]) -> int:
        """Calls made before in the trace with the same arguments and nothing changed since."""
        count, known = 0, set[tuple[str, str]]()
        for event in trace:
            if event.kind != "tool":
                continue
            if self._changed(event):
                known.clear()
            elif (call := (event.name, event.arguments)) in known:
                count += 1
            else:
                known.add(call)
        return count

    def untried(self, history: Sequence[Seen]) -> dict[str, bool]:
        """For each action of the table: whether something it points at was not looked at in the lineage.

        The lineage is that of the last attempt. `undo` and `recheck` point at the layers which that attempt changed:
        untried is what was not looked at again after the change.
        """
        missing = self._missing(history)
        found = {group: not missing.isdisjoint(names) for group, names in self._groups.items()}
        trace = history[-1].trace if history else ()
        changed, unverified = self.changed_last(trace), self._unverified(trace)
        undo = changed[:1] == unverified[:1] != []
        return {**found, "untried": bool(missing), "undo": undo, "recheck": bool(unverified)}

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The text of an action after these attempts: what it points at is named where the record says it.

        Raises UsageError for an action that is not in the table.
        """
        if action not in self._texts:
            raise UsageError(f"{self.name} has no directive {action!r}; it has {', '.join(self._texts)}")
        changed = self.changed_last(history[-1].trace) if history else []
        if action == "untried" and history and (missing := self._missing(history)):
            return _look_at(self.layers, missing)
        if action == "undo" and changed:
            return f"Undo the last change: {labels(self.layers, changed[:1])}."
        if action == "recheck" and changed:
            return f"Check again what was changed last: {labels(self.layers, changed)}."
        return self._texts[action]

    def features(
        self, history: Sequence[Seen], own: Callable[[Sequence[Seen]], Mapping[str, float]]
    ) -> dict[str, float]:
        """Observation features, each after the world's name and a dot.

        Those of the last attempt are absent before there is one; `own`, whose names lack the world's, is asked then.

        name                   meaning
        untried_layers         layers not looked at in the lineage of the last attempt
        looked.<group>         whether all layers of that group were
        last_change.<group>    whether the last attempt's last change was in that group
        """
        missing = self._missing(history)
        found = {"untried_layers": float(len(missing))}
        found.update({f"looked.{group}": float(missing.isdisjoint(names)) for group, names in self._groups.items()})
        if history:
            last = next(iter(self.changed_last(history[-1].trace)), None)
            found.update({f"last_change.{group}": float(last in names) for group, names in self._groups.items()})
            found.update(own(history))
        return {f"{self.name}.{feature}": value for feature, value in found.items()}

    def counts(self, trace: Sequence[TraceEvent]) -> dict[str, float]:
        """Three features of a trace: events that changed something, failed ones, and `repeated`."""
        return {
            "changes": float(sum(bool(self._changed(event)) for event in trace)),
            "errors": float(sum(event.failed for event in trace)),
            "repeated": float(self.repeated(trace)),
        }

    def _changed(self, event: TraceEvent) -> Sequence[str]:
        return () if event.failed else self.changed(event)

    def _missing(self, history: Sequence[Seen]) -> set[str]:
        return {layer.name for layer in self.layers} - self.looked([seen.trace for seen in _lineage(history)])

    def _unverified(self, trace: Sequence[TraceEvent]) -> list[str]:
        """Layers changed in the trace and not looked at afterwards, the latest first."""
        open_layers: dict[str, None] = {}
        for event in trace:
            changed = self._changed(event)
            for name in changed or (() if event.failed else self.shown(event)):
                open_layers.pop(name, None)
            open_layers.update(dict.fromkeys(changed))
        return list(reversed(open_layers))
