"""How much f(trace) is worth its cost here: the ladder of steers, each rung against random@k at as much compute.

    python -m experiments.rung_run
    python -m experiments.rung_run --quick
    python -m experiments.rung_run --rung report tasks=120

walks the rungs none (go on from the last attempt), fixed (one directive), report (what happened, compressed), text (a
language model reads the trace) and agent (a model with tools over the trace), on the dev split; the last two with
`--lm MODEL`. Each rung is billed, and random@k is given more attempts until it has spent as much. A costlier rung is
refused until the one below has beaten random@k. The first line says what it costs at most; a run that was killed goes
on when it is started again. It leaves `report.json` and `report.md` in its run folder, and one run in MLflow. The exit
code is 4 where a rung that `--rung` names is refused.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer
from pydantic import Field, JsonValue

from experiments.cli import exits, new_app, start
from experiments.config import RunConfig, merge

if TYPE_CHECKING:
    from experiments.gate.arms.ladder import Outcome

app = new_app()

QUICK: Final = ("tasks=120", "repeats=1")
"""What `--quick` sets, before any override."""


class RungConfig(RunConfig):
    """Which rungs on what, with how much. Sizes are dev tasks."""

    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark, such as options.noise=0.3"
    worker: str | None = None
    "None: the benchmark's own"
    lm: str | None = None
    "Model string (docs/models.md) for the rungs `text` and `agent`"
    worker_lm: str | None = None
    "Model string (docs/models.md) for the worker `chat`"
    api_base: str | None = None
    seed: int = Field(default=0, ge=0)
    rung: Literal["none", "fixed", "report", "text", "agent"] | None = None
    "the costliest rung to reach; None: as far as the walk is let"
    fixed: str | None = None
    "the directive that `fixed` says; None: the table's first"
    tasks: int = Field(default=240, ge=2)
    repeats: int = Field(default=2, ge=1)
    "seeds per task, nested in it"
    attempts: int = Field(default=3, ge=2, le=8)
    "attempts granted per episode"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    alpha: float = Field(default=0.025, gt=0, lt=0.5)
    "one-sided"
    min_effect: float = Field(default=0.1, ge=0, lt=1)
    "smallest effect of interest on the primary objective; 0: none is registered"
    concurrency: int = Field(default=32, ge=1)
    root: str = "runs"
    corpus: str | None = None
    "path of the corpus; None: the one of the benchmark below the root"
    tracking: bool = True
    "mirror the report into MLflow"


def run(config: RungConfig, *, quiet: bool = False) -> Outcome:
    """The whole walk. Raises TillerError; EvidenceError where infrastructure spoilt the comparison."""
    from experiments.gate.arms.ladder import prepare, run_ladder
    from experiments.preflight import preflight

    preflight()
    return asyncio.run(run_ladder(prepare(config), quiet=quiet))


def project(config: RungConfig, *, as_json: bool) -> None:
    """Print the most that a run of this config would cost. Raises UsageError where it cannot run."""
    from experiments.gate.arms.ladder import prepare, projection

    attempts, said = projection(prepare(config))
    print(json.dumps({"attempts": attempts}) if as_json else said)


@app.command()
def rungs(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Config overrides such as tasks=120 seed=1 benchmark=telecom worker=chat."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    lm: Annotated[str | None, typer.Option(help="Model string (docs/models.md) for the rungs text and agent.")] = None,
    rung: Annotated[str | None, typer.Option(help="The costliest rung to reach.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few tasks under one seed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost and do nothing.")] = False,
) -> None:
    """Walk the ladder of f(trace); each rung must beat random@k before a costlier one is tried."""
    with exits(lambda: f"python -m experiments.rung_run {shlex.join(sys.argv[1:])}"):
        flags = {"lm": lm, "rung": rung}
        given = [f"{name}={json.dumps(value)}" for name, value in flags.items() if value is not None]
        chosen = merge(RungConfig, config, [*(QUICK if quick else ()), *(overrides or []), *given])
        if dry_run:
            project(chosen, as_json=as_json)
            return
        outcome = run(chosen, quiet=as_json)
        if as_json:
            print(json.dumps({**outcome.report.model_dump(mode="json"), "paths": outcome.paths}, indent=1))
        outcome.require(chosen.rung)


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
