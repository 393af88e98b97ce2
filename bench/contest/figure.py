"""The picture of the contest: hypervolume and best value on dev by spend, a panel per world and metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.contest.table import METRICS, Curves, interval

LABELS: Final = {"hypervolume": "hypervolume of the front on dev", "best": "`correct` of the chosen one on dev"}
PALE: Final = {"null_search": "#000000", "random_search": "#8a8a8a"}
STYLES: Final = ("-", "--", "-.", ":")


def draw(path: Path, worlds: Mapping[str, tuple[Sequence[int], Mapping[str, Curves]]]) -> None:
    """Write one SVG or PNG: means over seeds with 95 % intervals at each spend."""
    import matplotlib

    matplotlib.rcParams["svg.hashsalt"] = "tiller"
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    engines = sorted({engine for _, found in worlds.values() for one in found.values() for engine in one})
    colours = {engine: colormaps["tab20"](2 * at % 20 + 2 * at // 20) for at, engine in enumerate(engines)}
    figure = Figure(figsize=(6.2 * len(METRICS), 4.4 * len(worlds)), layout="constrained")
    axes = figure.subplots(len(worlds), len(METRICS), squeeze=False)
    for row, (world, (marks, found)) in enumerate(worlds.items()):
        for column, metric in enumerate(METRICS):
            ax = axes[row][column]
            for at, (engine, seeds) in enumerate(sorted(found[metric].items())):
                means = [interval([values[mark] for values in seeds.values()]) for mark in range(len(marks))]
                shifted = [mark * (1 + 0.008 * (at - len(engines) / 2)) for mark in marks]
                colour = PALE.get(engine, colours[engine])
                style = STYLES[at % len(STYLES)]
                ax.plot(shifted, [m for m, _, _ in means], style, color=colour, label=engine, linewidth=1.6)
                ax.vlines(shifted, [lo for _, lo, _ in means], [hi for *_, hi in means], color=colour, alpha=0.45)
            ax.set_xscale("log")
            ax.set_xticks(list(marks), [str(mark) for mark in marks])
            ax.minorticks_off()
            ax.set(xlabel="compute spent, in attempts made or replayed", ylabel=LABELS[metric])
            ax.set_title(world, loc="left", fontsize=10)
            ax.grid(alpha=0.2)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
