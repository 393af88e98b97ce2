"""The picture of a run: the front in two objectives, and hypervolume by generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.report import Row


def draw_search(path: Path, rows: Sequence[Row], volumes: Mapping[str, Sequence[float]], axes: tuple[str, str]) -> None:
    """Write one PNG: dev values of all rows on `axes` (x, y) with intervals, and hypervolume per search."""
    import matplotlib

    matplotlib.use("Agg", force=True)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    looks = {"arm": ("s", "#888888"), "front": ("o", "#1f5fbf"), "random search": ("^", "#c46a1f")}
    x_name, y_name = axes
    for role, (marker, colour) in looks.items():
        chosen = [row for row in rows if row.role == role and row.values[x_name].mean is not None]
        for number, row in enumerate(chosen):
            x, y = row.values[x_name], row.values[y_name]
            if x.mean is None or y.mean is None:
                continue
            label = role if number == 0 else None
            left.errorbar(
                x.mean,
                y.mean,
                yerr=[[y.mean - (y.lo or y.mean)], [(y.hi or y.mean) - y.mean]],
                fmt=marker,
                color=colour,
                label=label,
                capsize=2,
                alpha=0.9,
            )
            left.annotate(row.name, (x.mean, y.mean), textcoords="offset points", xytext=(5, 4), fontsize=7)
    left.set(
        xlabel=f"{x_name} (1 is best)", ylabel=f"{y_name} (1 is best)", title="dev split, 95 % intervals over tasks"
    )
    left.legend(fontsize=8)
    for name, series in volumes.items():
        right.plot(range(len(series)), series, marker="o", label=name)
    right.set(xlabel="generation", ylabel="hypervolume", title="search split, by generation")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=110)
