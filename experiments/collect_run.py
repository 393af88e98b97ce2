"""Fill a corpus for replay: stochastic episodes with known propensities, and trees of every action.

    python -m experiments.collect_run
    python -m experiments.collect_run tasks=24 episodes_per_task=8 max_attempts=2000
    python -m experiments.collect_run --top-up 100

The first line says what it costs at most; what is recorded already is not attempted again, and a run that was killed
goes on when it is started again. It ends with a table of what the corpus supports, per depth and action, and the cells
that the next attempts should go to; `--top-up N` spends N attempts on them.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.collect.config import CollectConfig, command_of
from experiments.config import merge

if TYPE_CHECKING:
    from experiments.collect.report import Outcome

app = new_app()


def resolve(config: Path | None, overrides: list[str], flags: dict[str, object]) -> CollectConfig:
    """The config of file, overrides and flags, in that order. Raises UsageError in one line."""
    given = [f"{name}={json.dumps(value)}" for name, value in flags.items() if value is not None]
    return merge(CollectConfig, config, [*overrides, *given])


def run(config: CollectConfig, *, quiet: bool = False) -> Outcome:
    """Collect, and say what the corpus supports. Raises TillerError."""
    from experiments.collect.job import run_collect
    from experiments.collect.parts import prepare
    from experiments.preflight import preflight

    preflight()
    return asyncio.run(run_collect(prepare(config), quiet=quiet))


def project(config: CollectConfig, *, as_json: bool) -> None:
    """Print the most that a run of this config would cost. Raises UsageError where it cannot run."""
    from experiments.collect.job import project as projected
    from experiments.collect.parts import prepare

    found = asyncio.run(projected(prepare(config)))
    print(json.dumps(found) if as_json else found["said"])


@app.command()
def collect(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as tasks=24 max_attempts=2000.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the stochastic episodes.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Benchmark id, or package.module:Class.")] = None,
    worker: Annotated[str | None, typer.Option(help="Worker id, or package.module:Class.")] = None,
    top_up: Annotated[int | None, typer.Option(help="Attempts to spend on the neediest cells.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the corpus supports as JSON.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost and do nothing.")] = False,
) -> None:
    """Fill a corpus for replay, and say what it supports and what to buy next."""
    began: list[CollectConfig] = []
    with exits(lambda: command_of(began[0]) if began else None):
        flags: dict[str, object] = {"seed": seed, "benchmark": benchmark, "worker": worker, "top_up": top_up}
        chosen = resolve(config, overrides or [], flags)
        began.append(chosen)
        if dry_run:
            project(chosen, as_json=as_json)
            return
        outcome = run(chosen, quiet=as_json)
        if as_json:
            print(json.dumps(outcome.model_dump(mode="json"), indent=1))


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
