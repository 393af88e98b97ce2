"""Search a controller with GEPA, compare it with the control arms on the dev split, and log it to MLflow.

    python -m experiments.gepa_run

needs no key and no server. It records attempts of the benchmark's worker, searches rule controllers over them, and
ends with a table of every control arm and every non-dominated controller, one sentence on what beat what, and the
paths of the run folder and the dashboard. `--lm MODEL` lets a language model decide and reflect instead.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments.cli import exits, new_app
from experiments.config import merge
from experiments.gepa_config import GepaConfig
from signatures.errors import UsageError

app = new_app()


def resolve(config: Path | None, overrides: list[str], flags: dict[str, object]) -> GepaConfig:
    """The config of file, overrides and flags, in that order. Raises UsageError in one line."""
    given = [f"{name}={json.dumps(value)}" for name, value in flags.items() if value is not None]
    return merge(GepaConfig, config, [*overrides, *given])


def new_run_folder(config: GepaConfig) -> Path:
    """The first free `<root>/<benchmark>-gepa-s<seed>-<n>`, not yet made."""
    number = 1
    while (
        folder := Path(config.root) / f"{Path(config.benchmark.replace(':', '.')).name}-gepa-s{config.seed}-{number}"
    ).exists():
        number += 1
    return folder


def resumed(run: Path) -> GepaConfig:
    """The config that a run folder was started with. Raises UsageError."""
    file = run / "config.toml"
    if not file.is_file():
        raise UsageError(f"{run}: no run folder, it has no config.toml")
    return merge(GepaConfig, file)


def run(config: GepaConfig, run_folder: Path, *, quiet: bool = False) -> dict[str, Any]:
    """Run, or go on with, the search of `run_folder`; the final table as JSON-able data. Raises TillerError."""
    from experiments.search_job import run_search

    return asyncio.run(run_search(config, run_folder, quiet=quiet))


@app.command()
def gepa(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as val=48 options.noise=0.3.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the search.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Benchmark id, or package.module:Class.")] = None,
    worker: Annotated[str | None, typer.Option(help="Worker id, or package.module:Class.")] = None,
    lm: Annotated[str | None, typer.Option(help="LiteLLM model string for policies and reflection.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Run folder to go on with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the final table as JSON.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost and do nothing.")] = False,
) -> None:
    """Search a controller with GEPA and compare it with the control arms."""
    folder: list[Path] = []

    def again() -> str | None:
        return f"python -m experiments.gepa_run --resume {folder[0]}" if folder else None

    with exits(again):
        flags: dict[str, object] = {"seed": seed, "benchmark": benchmark, "worker": worker, "lm": lm}
        if resume is not None and (config or overrides or any(v is not None for v in flags.values())):
            raise UsageError("--resume goes on with the run's own config; it takes no other config")
        chosen = resumed(resume) if resume else resolve(config, overrides or [], flags)
        if dry_run:
            from experiments.search_job import project

            project(chosen)
            return
        folder.append(resume or new_run_folder(chosen))
        result = run(chosen, folder[0], quiet=as_json)
        if as_json:
            print(json.dumps(result, indent=1))


def main() -> None:
    """Console script."""
    app()


if __name__ == "__main__":
    main()
