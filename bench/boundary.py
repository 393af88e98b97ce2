"""The boundary of steering: its effect against the state that attempts carry, and what a fresh attempt costs.

    python bench/boundary.py FILE... [--figure docs/boundary.svg]

Each FILE holds what `bench/arms.py`, or `bench/humaneval.py` of the recorded model, printed for one benchmark and
worker; its last JSON line is read. The law to be tested says that steering pays where state is carried and resampling
is dear. Draws refine - placebo, with its interval, over continue - random (what carried state alone gives) and over the
cost of a fresh attempt of random@k in units of a refinement of refine@k: tokens where the worker has them, else turns.
A point per benchmark and budget; hollow points are simulated workers. Prints a table, the rank correlation where there
are four points or more, and last one JSON line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.cli import exits, new_app
from experiments.gate.report import points, table
from signatures.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

app = new_app()
COLOURS: Final = ("#1f5fbf", "#c4661f", "#1b7f5c", "#7a3fa0", "#6e6e6e", "#b0243a")
MARKERS: Final = ("o", "s", "^", "D", "v", "P")
SOURCES: Final = ("arms", "humaneval")
"""The benches whose output has points."""
LEAST: Final = 4
"""Points of which a rank correlation is told."""


class Interval(NamedTuple):
    """An effect in points, with its interval; None: it has none."""

    effect: float
    lo: float | None
    hi: float | None


class Point(NamedTuple):
    """One benchmark at one budget."""

    domain: str
    worker: str
    budget: str
    n: int
    steering: Interval
    state: Interval
    fresh: float | None
    "cost of a fresh attempt in units of a refinement; None: no refinement was made"
    unit: str

    @property
    def series(self) -> str:
        """What shares a colour."""
        return f"{self.domain}, {self.worker}"


def read(path: Path) -> list[Point]:
    """The points of one file. Raises UsageError where it holds none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    found = next((parsed for line in reversed(lines) if (parsed := _arms(line)) is not None), None)
    if found is None:
        raise UsageError(f"{path}: holds no JSON line of bench/{' or '.join(f'{name}.py' for name in SOURCES)}")
    return [_point(found, budget) for budget in found["budgets"] if budget["steering"]["effect"] is not None]


def _arms(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.get("bench") in SOURCES and "budgets" in found else None


def _point(found: dict[str, Any], budget: dict[str, Any]) -> Point:
    unit = "tokens" if "tokens" in budget["fresh"] and "tokens" in budget["refinement"] else "turns"
    fresh, again = budget["fresh"].get(unit), budget["refinement"].get(unit)
    return Point(
        domain=found["benchmark"],
        worker=found["worker"],
        budget=f"{budget['attempts']} x {budget['turns']}",
        n=budget["steering"]["n"],
        steering=_interval(budget["steering"]),
        state=_interval(budget["state"]),
        fresh=fresh / again if fresh and again else None,
        unit=unit,
    )


def _interval(one: dict[str, Any]) -> Interval:
    lo, hi = one["lo"], one["hi"]
    return Interval(100 * (one["effect"] or 0.0), None if lo is None else 100 * lo, None if hi is None else 100 * hi)


def draw(path: Path, found: Sequence[Point]) -> None:
    """Write the figure, in the format that the file's name says."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.4, 4.9), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    series = list(dict.fromkeys(point.series for point in found))
    for number, name in enumerate(series):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        own = [point for point in found if point.series == name]
        for point in own:
            hollow = "none" if point.worker.startswith("simulated") else colour
            for axes, x, span in (
                (left, point.state.effect, (point.state.lo, point.state.hi)),
                (right, point.fresh, (None, None)),
            ):
                if x is not None:
                    _place(axes, x, point, span, colour)
                    axes.plot([x], [point.steering.effect], marker=marker, color=colour, markerfacecolor=hollow)
                    axes.annotate(
                        point.budget, (x, point.steering.effect), xytext=(6, 5), textcoords="offset points", fontsize=7
                    )
        hollow = "none" if own[0].worker.startswith("simulated") else colour
        left.plot([], [], linestyle="", marker=marker, color=colour, markerfacecolor=hollow, label=name)
    for axes in (left, right):
        axes.axhline(0, color="#333333", linewidth=0.8)
        axes.grid(alpha=0.2)
        axes.margins(x=0.14)
    left.axvline(0, color="#333333", linewidth=0.8)
    right.axvline(1, color="#333333", linewidth=0.8, linestyle=":")
    units = "/".join(dict.fromkeys(point.unit for point in found))
    left.set(xlabel="state carried: continue - random, points", ylabel="steering: refine - placebo, points")
    right.set(xlabel=f"cost of a fresh attempt, in refinements ({units})")
    left.set_title("by state carried", loc="left", fontsize=9)
    right.set_title("by cost of a fresh attempt", loc="left", fontsize=9)
    figure.legend(fontsize=7.5, loc="outside lower center", ncols=min(3, len(series)), frameon=False)
    figure.suptitle(
        "Steering effect at equal compute, attempts x turns at each point; hollow: simulated worker",
        x=0.01,
        ha="left",
        fontsize=10,
    )
    figure.savefig(path, dpi=120)


def _place(axes: Axes, x: float, point: Point, span: tuple[float | None, float | None], colour: str) -> None:
    """The intervals of a point, on both axes where there are two."""
    if point.steering.lo is not None and point.steering.hi is not None:
        axes.plot([x, x], [point.steering.lo, point.steering.hi], color=colour, alpha=0.45, linewidth=1.1)
    if span[0] is not None and span[1] is not None:
        axes.plot([span[0], span[1]], [point.steering.effect] * 2, color=colour, alpha=0.45, linewidth=1.1)


def rank(found: Sequence[Point], axis: str) -> float | None:
    """Spearman's correlation of the steering effect with `state` or `fresh`; None for few points or equal ones."""
    from scipy.stats import spearmanr

    pairs = [
        (one.state.effect if axis == "state" else one.fresh, one.steering.effect)
        for one in found
        if axis == "state" or one.fresh is not None
    ]
    if len(pairs) < LEAST or any(len(set(side)) < 2 for side in zip(*pairs, strict=True)):
        return None
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


def rows(found: Sequence[Point]) -> str:
    """The points as a Markdown table."""
    header = ("domain, worker", "budget", "n", "refine - placebo", "continue - random", "fresh / refinement")
    return table(
        header,
        [
            (
                one.series,
                one.budget,
                str(one.n),
                _text(one.steering),
                _text(one.state),
                "-" if one.fresh is None else f"{one.fresh:.2f} {one.unit}",
            )
            for one in found
        ],
    )


def _text(one: Interval) -> str:
    if one.lo is None or one.hi is None:
        return points(one.effect / 100)
    return f"{points(one.effect / 100)} [{points(one.lo / 100)}, {points(one.hi / 100)}]"


@app.command()
def boundary(
    files: Annotated[list[Path], typer.Argument(help="Outputs of bench/arms.py and humaneval.py.")],
    figure: Annotated[Path | None, typer.Option(help="File of the figure, .svg or .png.")] = None,
) -> None:
    """Plot the steering effect against state carried and the cost of a fresh attempt."""
    with exits():
        found = [point for file in files for point in read(file)]
        if not found:
            raise UsageError("no point to draw: no file has a steering effect")
        print(rows(found))
        correlations = {axis: rank(found, axis) for axis in ("state", "fresh")}
        for axis, value in correlations.items():
            if value is not None:
                said = f"{value:+.2f} over {len(found)} points, which are not independent"
                print(f"rank correlation of steering with {axis}: {said}")
        if figure is not None:
            draw(figure, found)
            print(f"figure: {figure}")
        data = [{**one._asdict(), "steering": one.steering._asdict(), "state": one.state._asdict()} for one in found]
        print(json.dumps({"bench": "boundary", "points": data, "spearman": correlations}))


if __name__ == "__main__":
    app()
