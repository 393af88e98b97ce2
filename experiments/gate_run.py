"""Gates: an honest verdict on paired results, anyone's, and on the holdout of a benchmark.

    python -m experiments.gate_run decide --pairs pairs.csv
    python -m experiments.gate_run decide --pairs pairs.parquet --range 0,100 --min-effect 5 --margin fast=2

`decide` needs no corpus and no run: a CSV or Parquet file with the columns `task`, `baseline` and `candidate`, and
optionally `experiment`, `cluster`, `repeat`, and `<objective>_baseline` and `<objective>_candidate` for each further
objective. It prints a JSON object per experiment, a line each:

    {"schema_version":1,"experiment":"steer","verdict":"promote","n":76,"effect":0.1316,"lo":0.0202,"hi":0.2418, ...}

`verdict` is promote, hold, harm, underpowered, confounded or uninformative, and `reasons` says why. The exit code is 0
whatever the verdicts are, and 2 where the file or an option is refused.

    python -m experiments.gate_run register --candidate RUN/candidates/g04-c2.json --baseline continue@3
    python -m experiments.gate_run run runs/telecom-gate-3f9c1d20a7be/registration.json

`register` writes down what will be decided before any holdout task is run, and prints the file; `run` refuses where
anything differs from it, plays both on the same holdout tasks, prints the decision with its reasons, and leaves
`report.json` and `report.md` beside the registration. A slice of the holdout is read once: after that the exit code is
4. What infrastructure broke off goes on with the same command.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.config import merge

if TYPE_CHECKING:
    from experiments.gate.holdout.config import HoldoutConfig
    from experiments.gate.holdout.run import Ended
    from experiments.gate.pairs.answers import Answer, DecideConfig

app = new_app(help="Honest verdicts on paired results.")


@app.callback()
def commands() -> None:
    """Honest verdicts on paired results."""


def decisions(config: DecideConfig) -> list[Answer]:
    """One answer per experiment of the file, in its order; ignored columns are named on stderr. Raises UsageError."""
    from experiments.gate.pairs.answers import answers_of
    from experiments.gate.pairs.pairs_file import read_pairs

    file = read_pairs(config.pairs, config.ranges)
    if file.ignored:
        print(f"note: columns that are not read: {', '.join(file.ignored)}", file=sys.stderr)
    return list(answers_of(config, file))


@app.command("decide")
def decide_command(
    pairs: Annotated[Path, typer.Option(help="CSV or Parquet file of pairs.")],
    range: Annotated[
        list[str] | None,
        typer.Option(metavar="LO,HI", help="Range of a value, else 0,1; NAME=LO,HI for one objective."),
    ] = None,
    alpha: Annotated[float, typer.Option(help="One-sided level.")] = 0.025,
    min_effect: Annotated[float | None, typer.Option(help="Smallest effect of interest: needs 50 % power.")] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(metavar="X", help="Tolerated loss on further objectives, else 5 % of the range; NAME=X for one."),
    ] = None,
    optional_stopping: Annotated[
        bool, typer.Option("--optional-stopping", help="The number of pairs was not fixed beforehand.")
    ] = False,
    family: Annotated[
        bool, typer.Option("--family", help="The experiments are one family: Benjamini-Hochberg.")
    ] = False,
) -> None:
    """Decide on paired results: one JSON line per experiment."""
    with exits():
        from experiments.gate.pairs.answers import DecideConfig

        given = {
            "pairs": str(pairs),
            "ranges": range or [],
            "alpha": alpha,
            "min_effect": min_effect,
            "margins": margin or [],
            "optional_stopping": optional_stopping,
            "family": family,
        }
        asked = merge(DecideConfig, None, [f"{k}={json.dumps(v)}" for k, v in given.items() if v is not None])
        for answer in decisions(asked):
            print(answer.model_dump_json())


def registered(config: HoldoutConfig) -> Path:
    """Register a gate on the holdout and say what it will take; the registration's path. Raises TillerError."""
    from experiments.gate.holdout.register import plan_lines, register_gate
    from experiments.preflight import preflight

    preflight()
    path, gate = register_gate(config)
    for line in plan_lines(path, gate):
        print(line)
    return path


def run(registration: Path, *, quiet: bool = False) -> Ended:
    """Read the registered slice, decide, and say so. Raises TillerError."""
    from experiments.gate.holdout.report import lines_of
    from experiments.gate.holdout.run import run_gate
    from experiments.preflight import preflight

    preflight()
    out = sys.stderr if quiet else sys.stdout
    ended = run_gate(registration, said=lambda line: print(line, file=out, flush=True))
    for line in (*lines_of(ended.report), f"report: {ended.folder}", *filter(None, [ended.tracked])):
        print(line, file=out)
    return ended


@app.command("register")
def register_command(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as slices=4 min_effect=0.05 margins.fast=0.1.")
    ] = None,
    candidate: Annotated[str | None, typer.Option(help="File of a saved controller.")] = None,
    baseline: Annotated[str | None, typer.Option(help="The same, or a control arm such as continue@3.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Benchmark id, or package.module:Class.")] = None,
) -> None:
    """Write down what will be decided on the holdout, before any of its tasks is run."""
    with exits():
        from experiments.gate.holdout.config import HoldoutConfig

        given = {"candidate": candidate, "baseline": baseline, "benchmark": benchmark}
        flags = [f"{k}={json.dumps(v)}" for k, v in given.items() if v is not None]
        registered(merge(HoldoutConfig, config, [*(overrides or []), *flags]))


@app.command("run")
def run_command(
    registration: Annotated[Path, typer.Argument(help="File that register wrote, or its folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Read the registered slice once, and decide."""
    with exits(lambda: f"python -m experiments.gate_run run {shlex.quote(str(registration))}"):
        ended = run(registration, quiet=as_json)
        if as_json:
            print(ended.report.model_dump_json(indent=1))


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
