"""How well replay foretold live attempts: all confirmed candidates of runs, predicted against realised.

    python -m experiments.calibration_run
    python -m experiments.calibration_run runs/telecom-gepa-s0-1 --json

prints a row per objective, such as

    objective   n  slope (OLS)  intercept    covered  agree    bias
    correct    19        0.994     -0.027  79% of 19    95%   0.029

(slope and intercept of live on offline; covered: live means inside the offline interval; agree: differences, paired by
task, that both noises explain; bias: mean of offline - live), and draws `calibration.png` into each run's folder, and
for several runs one of all of them into the run root. A run that is tracked gets it as an artifact in MLflow.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from experiments.cli import exits, new_app, start
from experiments.config import RunConfig
from signatures.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from experiments.calibration.predicted import Calibration, Point

app = new_app()
PICTURE: Final = "calibration.png"


class CalibrationConfig(RunConfig):
    """Which runs to read."""

    runs: tuple[Path, ...] = ()
    "empty: all below `root`"
    root: Path = Path("runs")


class Calibrated(NamedTuple):
    """What came of it."""

    runs: tuple[str, ...]
    "those with a confirmed candidate"
    objectives: tuple[Calibration, ...]
    points: tuple[Point, ...]
    figures: tuple[str, ...]
    "all runs together first"
    notes: tuple[str, ...]
    "runs that did not get theirs into their log"


def run(config: CalibrationConfig) -> Calibrated:
    """Read the runs, draw and attach the pictures. Raises UsageError: no run, nothing confirmed; StoreError."""
    from experiments.calibration.figure import draw_calibration
    from experiments.calibration.predicted import points_of, runs_below

    folders = config.runs or tuple(runs_below(config.root))
    by_run = {folder: points for folder in folders if (points := points_of(folder))}
    if not by_run:
        raise UsageError(
            f"no candidate of {len(folders)} runs was replayed and then attempted live; --live runs have none"
        )
    figures, notes = [], []
    for folder, points in by_run.items():
        draw_calibration(folder / PICTURE, points, _calibrations(points), title=folder.name)
        figures.append(str(folder / PICTURE))
        notes += _attached(folder)
    everything = tuple(point for points in by_run.values() for point in points)
    found = _calibrations(everything)
    if len(by_run) > 1:
        pooled = (config.root if not config.runs else folders[0].parent) / PICTURE
        draw_calibration(pooled, everything, found, title=f"{len(by_run)} runs")
        figures.insert(0, str(pooled))
    return Calibrated(tuple(folder.name for folder in by_run), found, everything, tuple(figures), tuple(notes))


def _calibrations(points: Sequence[Point]) -> tuple[Calibration, ...]:
    from experiments.calibration.predicted import calibration_of

    return tuple(calibration_of(name, points) for name in dict.fromkeys(point.objective for point in points))


def _attached(folder: Path) -> list[str]:
    """Put the picture into the run's log and, where the run is tracked, into MLflow; one line where that cannot be."""
    from experiments.events import FILE, ArtifactWritten, EventLog, being_written, read_events
    from experiments.mirror import replay
    from experiments.places import resumed

    if being_written(folder):
        return [f"{folder} still goes on: its log does not name the picture"]
    with EventLog(folder) as log:
        log.emit(ArtifactWritten.of(folder, PICTURE))
    if resumed(folder).tracking:
        replay(read_events(folder / FILE), folder)
    return []


def table_of(found: Calibrated) -> Table:
    """A row per objective."""
    from rich.table import Table

    candidates = len({(point.run, point.candidate) for point in found.points})
    title = f"{candidates} candidates of {len(found.runs)} runs: replayed, then attempted live with fresh seeds"
    table = Table(title=title, title_justify="left")
    for name in ("objective", "n", "slope (OLS)", "intercept", "covered", "agree", "bias"):
        table.add_column(name, justify="left" if name == "objective" else "right", no_wrap=True)
    for one in found.objectives:
        share = "-" if one.coverage is None else f"{one.coverage:.0%} of {one.intervals}"
        agree = "-" if one.agreement is None else f"{one.agreement:.0%}"
        numbers = str(one.n), _number(one.slope), _number(one.intercept)
        table.add_row(one.objective, *numbers, share, agree, _number(one.bias))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def as_json(found: Calibrated) -> dict[str, object]:
    """All of it for machines."""
    return {
        "runs": list(found.runs),
        "objectives": [one.model_dump(mode="json") for one in found.objectives],
        "points": [{**point._asdict(), "pair": point.pair.model_dump(mode="json")} for point in found.points],
        "figures": list(found.figures),
        "notes": list(found.notes),
    }


@app.command()
def calibrate(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Run folders; none: all below root.")
    ] = None,
    root: Annotated[Path, typer.Option(help="Folder of run folders.")] = Path("runs"),
    as_text: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Draw predicted against realised for the confirmed candidates of runs."""
    with exits():
        found = run(CalibrationConfig(runs=tuple(runs or ()), root=root))
        if as_text:
            print(json.dumps(as_json(found), indent=1))
            return
        from rich.console import Console

        console = Console(markup=False, emoji=False, soft_wrap=True)
        console.print(table_of(found))
        for figure in found.figures:
            console.print(f"figure: {figure}", highlight=False)
        for note in found.notes:
            console.print(note, highlight=False)


def main() -> None:
    """The console script."""
    start(app)


if __name__ == "__main__":
    main()
