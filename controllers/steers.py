"""Steers: from what happened to the context the next attempt is given. One protocol, one class per kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from controllers.history import Seen
from controllers.lm import answered
from controllers.observe import Observer
from controllers.prompts import render
from signatures.records import Cost, Directive, Steer, SteerKind, Task

if TYPE_CHECKING:
    import dspy


class Steerer(Protocol):
    """f(trace, history) -> steer. It sees attempts, traces and checker results, never a verdict."""

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """The steer for the next attempt, and what making it cost. Raises ProviderError."""


class NoSteer:
    """The control of random@k and continue@k: nothing is said."""

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """The empty steer."""
        return Steer(), Cost()


class FixedSteer:
    """One directive of the table, whatever happened; the benchmark may fill in its text from the trace."""

    def __init__(self, directive: Directive, observer: Observer) -> None:
        self.directive = directive
        self.observer = observer

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """The directive after these attempts."""
        text = self.observer.directive_text(self.directive.action, history)
        return given(self.directive, "fixed", self.directive.action, text), Cost()


class RuleSteer:
    """The first directive of the table whose target the lineage has not looked at; the last one if none is left."""

    def __init__(self, directives: Sequence[Directive], observer: Observer) -> None:
        self.directives = tuple(directives)
        self.observer = observer

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """The chosen directive; its action is `rule`, since the choice is part of what was done."""
        untried = self.observer.untried(history)
        chosen = next((d for d in self.directives if untried.get(d.action)), self.directives[-1])
        return given(chosen, "rule", "rule", self.observer.directive_text(chosen.action, history)), Cost()


class PlaceboSteer:
    """A directive of the table drawn at random: same shape and length, no relation to what happened."""

    def __init__(self, directives: Sequence[Directive]) -> None:
        self.directives = tuple(directives)

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """A random directive, a function of the seed."""
        chosen = self.directives[seed % len(self.directives)]
        return given(chosen, "placebo", "placebo", chosen.text), Cost()


class ReportSteer:
    """What happened so far, compressed: calls by name, failures, checker results."""

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """The report of the whole history."""
        return Steer(kind="report", action="report", text=report(history)), Cost()


class AnalystSteer:
    """Free text by a language model that has read the observations. Its action is `text`, never another's."""

    def __init__(self, lm: dspy.LM) -> None:
        import dspy

        from signatures.analysis import Analyse

        self.lm = lm
        self.predict = dspy.Predict(Analyse)

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """Ask the model; an answer that cannot be parsed says nothing."""
        observations = render([item for seen in history for item in seen.observations()])
        answer, cost = await answered(self.predict, self.lm, {"task": task.prompt, "observations": observations})
        text = "" if answer is None else str(answer.steer or "")
        return Steer(kind="analyst", action="text", text=text), cost


def given(directive: Directive, kind: SteerKind, action: str, text: str) -> Steer:
    """The steer that gives what the directive gives: worker tier and tools with the text."""
    return Steer(kind=kind, action=action, text=text, tier=directive.tier, tools=directive.tools)


def report(history: Sequence[Seen]) -> str:
    """Each attempt in a few lines: outcome, calls with counts, failed calls, checker results."""
    lines = []
    for number, seen in enumerate(history, 1):
        calls = Counter(event.name for event in seen.trace if event.kind == "tool")
        failed = sorted({event.name for event in seen.trace if event.failed})
        checks = ", ".join(f"{c.objective} {c.value} {c.unit}" for c in seen.attempt.checks)
        lines.append(f"Attempt {number} ended {seen.attempt.outcome} after {seen.attempt.cost.turns} turns.")
        lines.append("Called: " + ", ".join(f"{name} x{n}" for name, n in sorted(calls.items())) + ".")
        if failed:
            lines.append("Failed: " + ", ".join(failed) + ".")
        lines.append(f"Checks: {checks}.")
    return "\n".join(lines)


def steer_table(
    directives: Sequence[Directive], observer: Observer, lm: dspy.LM | None = None
) -> Mapping[str, Steerer]:
    """Every action a steer policy may draw: the benchmark's directives, the controls, and `text` with a model."""
    table: dict[str, Steerer] = {d.action: FixedSteer(d, observer) for d in directives}
    table["none"] = NoSteer()
    table["report"] = ReportSteer()
    if directives:
        table["placebo"] = PlaceboSteer(directives)
        table["rule"] = RuleSteer(directives, observer)
    if lm is not None:
        table["text"] = AnalystSteer(lm)
    return table
