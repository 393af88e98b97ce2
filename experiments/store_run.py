"""The certified store: keep strategies that passed a gate, list them, and compare executing them with quoting the past.

    python -m experiments.store_run add --gate runs/telecom-gate-3f9c1d20a7be
    python -m experiments.store_run list
    python -m experiments.store_run compare tasks=120 --dry-run

`add` makes the gate's certificate again from its numbers and the holdout ledger, and keeps the controller with it:

    kept 5d3f0c2a91be: g04-c0 for planted (broken machine repair): correct +21.7 points [+14.0, +29.1] on 180 tasks of
    holdout, worker planted, 2026-07-30

`compare` plays the dev tasks in three arms at equal compute: `certified` (each task by the strategy that is retrieved
for it, by the seed controller where none is relevant), `primed` (the seed controller, facts of past search episodes
pasted into the worker's context) and `cold` (the seed controller). It prints paired differences with intervals and the
spend of each arm, and leaves `report.json` and `report.md` in its run folder. The first line says what it costs at
most; a run that was killed goes on when it is started again. Exit code 2 where something does not fit, 3 where the
store was touched, 4 where the gate does not say promote or the comparison is refused.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import Field, JsonValue

from experiments.cli import exits, new_app, start
from experiments.config import RunConfig, merge

if TYPE_CHECKING:
    from experiments.store.comparing import Outcome
    from optimizers.store import Stored

app = new_app(help="Strategies that passed a gate, and whether executing them beats quoting the past.")
StoreOption = Annotated[Path | None, typer.Option(help="File of the store; store.db below the root if not given.")]
RootOption = Annotated[str, typer.Option(help="Where runs lie.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class CompareConfig(RunConfig):
    """What is compared on what, with how much. Sizes are tasks."""

    benchmark: str = "telecom"
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    "options of the benchmark, such as options.noise=0.3"
    worker: str | None = None
    "None: the benchmark's own; strategies certified with another one are not executed"
    lm: str | None = None
    "Model string (docs/models.md), where a strategy asks a model"
    worker_lm: str | None = None
    "Model string (docs/models.md) for the worker `chat`"
    api_base: str | None = None
    seed: int = Field(default=0, ge=0)
    tasks: int = Field(default=240, ge=2)
    "dev tasks"
    repeats: int = Field(default=1, ge=1)
    "seeds per task, nested in it"
    past: int = Field(default=24, ge=0)
    "search tasks that the seed controller plays first, whose facts are quoted in the arm `primed`"
    attempts: int = Field(default=3, ge=1, le=8)
    "attempts granted per episode: strategies certified with another grant are not executed"
    turns: int = Field(default=12, ge=1)
    "worker turns granted per attempt"
    threshold: float = Field(default=0.15, ge=0, le=1)
    "least relevance at which a strategy is executed"
    only: tuple[str, ...] = ()
    "ids of strategies that may be retrieved; none: all that the store holds"
    alpha: float = Field(default=0.025, gt=0, lt=0.5)
    "one-sided"
    min_effect: float = Field(default=0.1, ge=0, lt=1)
    "smallest effect of interest on the primary objective; 0: none is registered"
    concurrency: int = Field(default=32, ge=1)
    root: str = "runs"
    corpus: str | None = None
    "path of the corpus; None: the one of the benchmark below the root"
    store: str | None = None
    "file of the store; None: store.db below the root"
    tracking: bool = True
    "mirror the report into MLflow"


def run(config: CompareConfig, *, quiet: bool = False) -> Outcome:
    """The whole comparison. Raises TillerError."""
    from experiments.preflight import preflight
    from experiments.store.comparing import prepare, run_comparison

    preflight()
    return asyncio.run(run_comparison(prepare(config), quiet=quiet))


def line_of(stored: Stored) -> str:
    """One strategy in one line."""
    effect = stored.effect
    points = f"{effect.effect * 100:+.1f} points [{effect.lo * 100:+.1f}, {effect.hi * 100:+.1f}]"
    where = f"{effect.n} tasks of {effect.split}, worker {stored.worker.name}, {stored.added_at:%Y-%m-%d}"
    about = " ".join(stored.task_class.terms[:5])
    kind = f"{stored.task_class.benchmark} ({about})"
    return f"{stored.id[:12]}: {stored.name} for {kind}: {effect.objective} {points} on {where}"


@app.command()
def add(
    gate: Annotated[Path, typer.Option(help="Folder of the gate's run.")],
    store: StoreOption = None,
    root: RootOption = "runs",
    as_json: JsonOption = False,
) -> None:
    """Keep the strategy of a gate that says promote, its certificate verified."""
    with exits():
        from experiments.store.adding import add as keep
        from experiments.store.adding import store_path

        found = keep(gate, store_path(root, str(store) if store else None))
        if as_json:
            print(found.stored.model_dump_json())
            return
        print(f"{'kept' if found.new else 'was there already'} {line_of(found.stored)}")


@app.command("list")
def list_stored(store: StoreOption = None, root: RootOption = "runs", as_json: JsonOption = False) -> None:
    """Everything in the store, oldest first, its chain verified."""
    with exits():
        from experiments.store.adding import listed, store_path

        found = listed(store_path(root, str(store) if store else None))
        for stored in found:
            print(stored.model_dump_json() if as_json else line_of(stored))
        if not found and not as_json:
            print("the store is empty")


@app.command()
def compare(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as tasks=120 options.noise=0.3.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    as_json: JsonOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost and do nothing.")] = False,
) -> None:
    """Certified retrieval against naive priming and cold, at equal compute on dev tasks."""
    with exits(lambda: f"python -m experiments.store_run {shlex.join(sys.argv[1:])}"):
        chosen = merge(CompareConfig, config, overrides or [])
        if dry_run:
            project(chosen, as_json=as_json)
            return
        outcome = run(chosen, quiet=as_json)
        if as_json:
            print(json.dumps({**outcome.report.model_dump(mode="json"), "paths": outcome.paths}, indent=1))


def project(config: CompareConfig, *, as_json: bool) -> None:
    """Print the most that a run of this config would cost. Raises UsageError where it cannot run."""
    from experiments.store.comparing import prepare, projection

    attempts, said = projection(prepare(config))
    print(json.dumps({"attempts": attempts}) if as_json else said)


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
