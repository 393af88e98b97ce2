"""The sentence of a transfer: what is shown, in which direction, and where nothing is."""

from __future__ import annotations

from experiments.gate.report import Contrast
from experiments.transfer.pool import POOL
from experiments.transfer.report import sentence_of
from experiments.transfer.trying import Cell
from optimizers.gate.evidence import evidence_of
from optimizers.gate.paired import pairs_of


def cell(source: str, target: str, change: float, n: int = 30) -> Cell:
    """A controller that changes all but a third of the tasks from a half by `change`."""
    control = {f"t{i}": [0.5] for i in range(n)}
    treatment = {f"t{i}": [0.5 + change * (i % 3 > 0)] for i in range(n)}
    evidence = evidence_of(pairs_of("correct", control, treatment))
    return Cell(source, target, Contrast(name="x", family="y", treatment="a", control="b", evidence=evidence))


def test_help_and_harm_are_named_and_nothing_is_said_to_be_nothing() -> None:
    said = sentence_of([cell("a", "b", 0.4), cell("b", "a", -0.4), cell("a", "a", 0.0), cell(POOL, "a", 0.0)], 0.025)
    assert "from one domain to another: 1 of 2 are shown to beat the frozen controller (a -> b +26.7" in said
    assert "1 to harm (b -> a -26.7" in said
    assert "in the domain: 0 of 1 are shown to beat the frozen controller, none to harm" in said
    assert "from all others: 0 of 1" in said
