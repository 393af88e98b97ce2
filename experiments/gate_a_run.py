"""Gate A: does steering inside a run help here, at equal compute, or would a random directive have done as well?

    python -m experiments.gate_a_run
    python -m experiments.gate_a_run --quick
    python -m experiments.gate_a_run tasks=120 noise=[0.15] options.compliance=0.5

runs the control arms random@k, continue@k, placebo@k, refine@k and long@1 on the dev split, every best-of-k arm with
the deployable selector, and blind (one attempt). The primary contrast is refine - placebo. The first line says what it
costs at most; a run that was killed goes on when it is started again. It ends with a sentence, whatever it says, and
`report.json`, `report.md` and `surface.png` in its run folder, which MLflow gets as one run. The exit code is 0
whatever the verdict is, and 4 where it refuses to give one.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from pydantic import Field, JsonValue

from experiments.cli import exits, new_app, start
from experiments.config import RunConfig, merge

if TYPE_CHECKING:
    from experiments.gate.arms.gate_a import Outcome

app = new_app()

QUICK: Final = (
    "tasks=80",
    "surface_tasks=32",
    "grid_attempts=[2,3]",
    "grid_turns=[8,12]",
    "noise=[0.15,0.3]",
    "retest=20",
)
"""What `--quick` sets, before any override."""


class GateAConfig(RunConfig):
    """Which arms on what, with how much. Sizes are dev tasks."""

    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark, such as options.compliance=0.5"
    worker: str | None = None
    "None: the benchmark's own"
    lm: str | None = None
    "Model string (docs/models.md), for refine=text"
    worker_lm: str | None = None
    "Model string (docs/models.md) for the worker `chat`"
    api_base: str | None = None
    seed: int = Field(default=0, ge=0)
    tasks: int = Field(default=240, ge=2)
    repeats: int = Field(default=2, ge=1)
    "seeds per task, nested in it; with one there is no spread within a task to be seen"
    attempts: int = Field(default=3, ge=2, le=8)
    "attempts granted per episode"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    refine: str | None = None
    "f(trace) of refine@k; None: `untried` where the benchmark has it, else `rule`"
    alpha: float = Field(default=0.025, gt=0, lt=0.5)
    "one-sided"
    min_effect: float = Field(default=0.1, ge=0, lt=1)
    "smallest effect of interest on the primary objective; 0: none is registered"
    margin: float = Field(default=0.05, ge=0, lt=1)
    "loss on each further objective that is tolerated"
    surface_tasks: int = Field(default=120, ge=0)
    "tasks of each cell of the surface, under the first seed; 0: no surface"
    grid_attempts: tuple[int, ...] = (2, 3, 4)
    grid_turns: tuple[int, ...] = (8, 12, 20)
    noise: tuple[float, ...] = (0.05, 0.15, 0.3)
    "of the worker, by the benchmark's option of that name; empty: as it is"
    noise_option: str = "noise"
    retest: int = Field(default=60, ge=0)
    "episodes whose attempts are checked a second time, to see whether the selector picks the same"
    concurrency: int = Field(default=32, ge=1)
    root: str = "runs"
    corpus: str | None = None
    "path of the corpus; None: the one of the benchmark below the root"
    tracking: bool = True
    "mirror the report into MLflow"


def run(config: GateAConfig, *, quiet: bool = False) -> Outcome:
    """The whole gate. Raises TillerError; EvidenceError where it refuses to conclude."""
    from experiments.gate.arms.gate_a import prepare, run_gate_a
    from experiments.preflight import preflight

    preflight()
    return asyncio.run(run_gate_a(prepare(config), quiet=quiet))


def project(config: GateAConfig, *, as_json: bool) -> None:
    """Print the most that a run of this config would cost. Raises UsageError where it cannot run."""
    from experiments.gate.arms.gate_a import prepare, projection

    attempts, said = projection(prepare(config))
    print(json.dumps({"attempts": attempts}) if as_json else said)


@app.command()
def gate_a(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as tasks=120 options.noise=0.3.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the episodes.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Benchmark id, or package.module:Class.")] = None,
    worker: Annotated[str | None, typer.Option(help="Worker id, or package.module:Class.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few tasks and a small surface: minutes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost and do nothing.")] = False,
) -> None:
    """Does steering inside a run help here, beyond a random directive at the same compute?"""
    with exits(lambda: f"python -m experiments.gate_a_run {shlex.join(sys.argv[1:])}"):
        flags = {"seed": seed, "benchmark": benchmark, "worker": worker}
        given = [f"{name}={json.dumps(value)}" for name, value in flags.items() if value is not None]
        chosen = merge(GateAConfig, config, [*(QUICK if quick else ()), *(overrides or []), *given])
        if dry_run:
            project(chosen, as_json=as_json)
            return
        outcome = run(chosen, quiet=as_json)
        if as_json:
            print(json.dumps({**outcome.report.model_dump(mode="json"), "paths": outcome.paths}, indent=1))


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
