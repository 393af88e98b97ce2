"""The picture of a matrix, and the words in its cells."""

from __future__ import annotations

from pathlib import Path

from experiments.gate.report import Contrast
from experiments.transfer.matrix_figure import cell_text, draw_matrix, sources_of
from experiments.transfer.pool import POOL
from experiments.transfer.trying import Cell
from optimizers.gate.evidence import evidence_of
from optimizers.gate.paired import pairs_of


def cell(source: str, target: str, wins: int) -> Cell:
    control = {f"t{n}": [0.0] for n in range(20)}
    treatment = {f"t{n}": [float(n < wins)] for n in range(20)}
    evidence = evidence_of(pairs_of("correct", control, treatment))
    return Cell(source, target, Contrast(name="x", family="y", treatment="a", control="b", evidence=evidence))


CELLS = [cell(source, target, n) for n, target in enumerate(("a", "b")) for source in (target, "b", "a", POOL)]


def test_sources_are_the_domains_and_then_all_others() -> None:
    assert sources_of(CELLS) == ["a", "b", POOL]
    assert sources_of([one for one in CELLS if one.source != POOL]) == ["a", "b"]


def test_a_cell_says_effect_interval_and_n() -> None:
    effect, interval, n = cell_text(cell("a", "b", 10)).splitlines()
    assert (effect, n) == ("+50.0", "n = 20")
    assert interval.startswith("[+")


def test_the_figure_is_a_png(tmp_path: Path) -> None:
    draw_matrix(tmp_path / "m.png", CELLS, "a title")
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
