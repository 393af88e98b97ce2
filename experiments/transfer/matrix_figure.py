"""The matrix of a transfer as a picture: sources down, targets across, effects in points with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from experiments.gate.report import points
from experiments.transfer.pool import POOL
from experiments.transfer.trying import OTHERS, Cell

FIGURE: Final = "matrix.png"
LEAST_SHADE: Final = 5.0
"""Points at which the colours end, at the least: small effects look small."""


def sources_of(cells: Sequence[Cell]) -> list[str]:
    """Sources in the order of the domains, the pool last."""
    names = list(dict.fromkeys(cell.target for cell in cells))
    return [*names, *([POOL] if any(cell.source == POOL for cell in cells) else [])]


def draw_matrix(path: Path, cells: Sequence[Cell], title: str) -> None:
    """Write one PNG."""
    from matplotlib.figure import Figure

    targets, sources = list(dict.fromkeys(cell.target for cell in cells)), sources_of(cells)
    by_place = {(cell.source, cell.target): cell for cell in cells}
    effects = [[_points(by_place[source, target]) for target in targets] for source in sources]
    most = max([LEAST_SHADE, *(abs(value) for row in effects for value in row)])
    figure = Figure(figsize=(2.6 + 1.9 * len(targets), 1.9 + 0.95 * len(sources)), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(effects, cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
    figure.colorbar(picture, ax=axes, label="points on correct, learned - frozen")
    for y, source in enumerate(sources):
        for x, target in enumerate(targets):
            dark = abs(effects[y][x]) > 0.6 * most
            text = cell_text(by_place[source, target])
            axes.text(x, y, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    axes.set_xticks(range(len(targets)), targets)
    axes.set_yticks(range(len(sources)), [OTHERS if source == POOL else source for source in sources])
    axes.set(xlabel="tried on", ylabel="learned on")
    axes.set_title(title, loc="left", fontsize=9, wrap=True)
    figure.savefig(path, dpi=120)


def cell_text(cell: Cell) -> str:
    """Effect, interval, n and verdict, a line each."""
    found, decided = cell.contrast.evidence, cell.contrast.decided
    interval = f"[{points(found.lo)}, {points(found.hi)}]"
    verdict = "" if decided is None else f", {decided.decision}"
    return f"{points(found.effect)}\n{interval}\nn = {found.n}{verdict}"


def _points(cell: Cell) -> float:
    return 100 * (cell.contrast.evidence.effect or 0.0)
