"""Drift: is production still what the champion was learned on, and does it still do as well as at its gate?

    python -m experiments.drift_run
    python -m experiments.drift_run my-model benchmark=telecom
    python -m experiments.drift_run release=runs/my-release

prints a row per observation feature (population stability index against the reference, p corrected for every look,
bin and feature) and per objective (success by the checkers against the gate, e-value), then one sentence. `drift.json`
and `drift.png` lie in `<root>/<benchmark>-drift-<n>`. It may be run at any time and as often as one likes: the chance
of ever a false alarm on one release is at most `alpha`. On an alarm it exits with 1 and prints the command that would
roll back; `--auto-rollback` does it at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.config import merge
from experiments.drift.config import DriftConfig
from signatures.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from experiments.drift.measured import DriftReport
    from experiments.drift.measuring import Measured
    from optimizers.drift.records import FeatureDrift

ALARM = 1
"""Exit code."""
WIDTH = 110
"""Least columns of the tables."""

app = new_app()


def run(config: DriftConfig) -> Measured:
    """One look, kept in a folder of its own. Raises TillerError."""
    from experiments.drift.measuring import measure

    return asyncio.run(measure(config))


def tables_of(report: DriftReport) -> list[Table]:
    """A row per feature, and a row per objective."""
    from rich.table import Table

    features = Table(title="features after one fresh attempt", title_justify="left", box=None, pad_edge=False)
    for name in ("feature", "reference", "tasks", "PSI [95 %]", "p", "episodes", "PSI there", ""):
        features.add_column(name, justify="left" if name in ("feature", "") else "right", no_wrap=True)
    for one in report.features:
        loud = one.window is not None and one.p < 1
        where = f"{one.window[0]:,}-{one.window[1]:,}" if one.window and loud else "-"
        found = f"{one.p:.2g}", where, _number(one.window_psi, 2) if loud else "-"
        features.add_row(one.feature, str(one.reference_n), str(one.n), _index(one), *found, _mark(one.alarm))
    success = Table(title="success by the checkers", title_justify="left", box=None, pad_edge=False)
    for name in ("objective", "gate", "tasks", "mean [95 %]", "alone", "shown below", "e-value", "needed", ""):
        success.add_column(name, justify="left" if name in ("objective", "") else "right", no_wrap=True)
    for two in () if report.success is None else report.success.objectives:
        mean = "-" if two.mean is None else f"{two.mean:.3f} [{_number(two.lo)}, {_number(two.hi)}]"
        floor = "never" if two.floor <= 0 else f"{two.floor:.3f}"
        gate = f"{two.reference.mean:.3f} of {two.reference.n}"
        alone = _number(two.unexplored)
        numbers = gate, str(two.n), mean, alone, floor, f"{two.e_value:.3g}", f"{two.needed:.0f}"
        success.add_row(two.objective, *numbers, _mark(two.alarm))
    return [table for table in (features, success) if table.row_count]


def told(measured: Measured, config: DriftConfig, *, propose: bool = True) -> None:
    """Print the tables, the sentence, and what is proposed."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, soft_wrap=True, highlight=False)
    console.width = max(console.width, WIDTH)
    report = measured.report
    for table in tables_of(report):
        console.print(table)
    if report.unknown:
        console.print(f"not in the reference: {', '.join(report.unknown)}")
    if report.success is not None and report.success.explored:
        told = f"exploration took {report.success.explored:,} episodes elsewhere; alone: the mean without exploration"
        console.print(f"{told}, which is compared with the gate")
    if report.failed or report.unreadable:
        console.print(f"left out: {report.failed} ended by infrastructure, {report.unreadable} without a first state")
    console.print(f"report: {measured.folder}")
    console.print(report.sentence)
    if report.alarm and propose:
        console.print(f"to roll back: {rollback_command(report, config)}")


@app.command()
def drift(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME] [OVERRIDE]...", help="Registered model, and overrides such as alpha=0.01."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Benchmark id, or package.module:Class.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    auto_rollback: Annotated[
        bool, typer.Option("--auto-rollback", help="On an alarm, restore the previous champion.")
    ] = False,
) -> None:
    """Compare production with what the champion was learned on; exits with 1 on an alarm."""
    with exits():
        chosen = resolve(config, words or [], benchmark)
        if auto_rollback and (chosen.release is not None or chosen.alias != DriftConfig().alias):
            raise UsageError("--auto-rollback restores a champion of the registry; another release was named")
        measured = run(chosen)
        if as_json:
            print(measured.report.model_dump_json(indent=1))
        else:
            told(measured, chosen, propose=not auto_rollback)
        if measured.report.alarm and auto_rollback:
            out = sys.stderr if as_json else sys.stdout
            unasked(measured.report, chosen, say=lambda line: print(line, file=out, flush=True))
        if measured.report.alarm:
            raise SystemExit(ALARM)


def resolve(config: Path | None, words: list[str], benchmark: str | None) -> DriftConfig:
    """The config of file, words and options, in that order; a word without `=` is the name. Raises UsageError."""
    names = [word for word in words if "=" not in word]
    if len(names) > 1:
        raise UsageError(f"one registered model at a time, not {', '.join(names)}")
    given = {"name": names[0] if names else None, "benchmark": benchmark}
    flags = [f"{name}={json.dumps(value)}" for name, value in given.items() if value is not None]
    return merge(DriftConfig, config, [*(word for word in words if "=" in word), *flags])


def rollback_command(report: DriftReport, config: DriftConfig) -> str:
    """The command that restores the previous champion; of a release in a folder, what to do instead."""
    if config.release is not None:
        return f"put the release before this one into {config.release}"
    return f"python -m experiments.rollback_run {report.name}{'' if config.root == 'runs' else f' root={config.root}'}"


def unasked(report: DriftReport, config: DriftConfig, *, say: Callable[[str], object]) -> None:
    """Roll back, or say why that is left to whoever reads it. Raises TillerError, as `roll_back` does."""
    from experiments.drift.unasked import why_not

    reason = why_not(report, Path(config.root))
    if reason is None:
        roll_back(report, config, say=say)
    else:
        say(f"not rolled back unasked: {reason}")
        say(f"to roll back: {rollback_command(report, config)}")


def roll_back(report: DriftReport, config: DriftConfig, *, say: Callable[[str], object]) -> None:
    """Restore the previous champion, for the reason that the report gives. Raises TillerError.

    UsageError where another release became champion since it was looked at: that one showed no drift.
    """
    from experiments.drift.measuring import release_of
    from experiments.promote.rolling_back import roll_back as restore

    if (now := release_of(config).digest) != report.release:
        raise UsageError(f"{report.name}: nothing was rolled back: release {now} became champion meanwhile")
    restore(report.name, Path(config.root), reason=report.sentence, say=say)


def _index(one: FeatureDrift) -> str:
    return "-" if one.psi is None else f"{_number(one.psi, 2)} [{_number(one.lo, 2)}, {_number(one.hi, 2)}]"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no minus before a zero


def _mark(alarm: bool) -> str:
    return "alarm" if alarm else ""


def main() -> None:
    """The console script."""
    start(app)


if __name__ == "__main__":
    main()
