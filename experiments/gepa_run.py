"""Search a controller with GEPA, compare it with the control arms on the dev split, and log it to MLflow.

    python -m experiments.gepa_run

needs no key and no server. It records attempts of the benchmark's worker, searches rule controllers on that record
with hardly a live attempt, attempts what it found live, and ends with a table of every control arm and every
non-dominated controller, one sentence on what beat what, one on the live attempts it took and saved, and the paths of
the run folder and the dashboard. `--lm MODEL` lets a language model decide and reflect instead; `--live` attempts every
evaluation of the search live; `--learn-from all` shows the proposer the moves of every corpus below the run root as
well, other benchmarks' and production's.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from experiments.cli import exits, new_app, start
from experiments.config import merge
from experiments.gepa_config import GepaConfig
from signatures.errors import UsageError

app = new_app()
LIVE: Final = "--live"
"""The override `live=true` by another spelling: the command has options enough."""
LEARN: Final = "--learn-from"
"""`--learn-from all` is the override `learn_from=all` by another spelling."""


def resolve(config: Path | None, overrides: list[str], flags: dict[str, object]) -> GepaConfig:
    """The config of file, overrides and flags, in that order. Raises UsageError in one line."""
    given = [f"{name}={json.dumps(value)}" for name, value in flags.items() if value is not None]
    return merge(GepaConfig, config, [*overrides, *given])


def run(
    config: GepaConfig,
    *,
    resume: Path | None = None,
    quiet: bool = False,
    began: Callable[[Path], object] = lambda folder: None,
) -> dict[str, object]:
    """Run a search in a folder of its own, or go on with the one in `resume`; the final table as JSON-able data.

    `began` is told the folder as soon as there is one. Raises TillerError.
    """
    from experiments.places import claim
    from experiments.preflight import preflight
    from experiments.search.search_job import run_search
    from experiments.wiring import ready

    preflight()
    given = ready(config, root=resume and resume.absolute().parent)
    folder = resume or claim(config, given.manifest)
    began(folder)
    return asyncio.run(run_search(given, folder, quiet=quiet))


def _resumed(run_folder: Path) -> GepaConfig:
    from experiments.places import resumed

    return resumed(run_folder)


def project(config: GepaConfig, *, as_json: bool) -> None:
    """Print the most that a run of this config would cost. Raises UsageError where it cannot run."""
    from experiments.search.search_job import project as projected
    from experiments.search.stages import projection

    cost = projected(config)
    print(json.dumps({**cost._asdict(), "total": cost.total}) if as_json else projection(cost, config))


@app.command()
def gepa(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Config overrides such as val=48 options.noise=0.3. --live, for live=true, attempts every evaluation "
            "of the search live; without it recorded attempts are replayed. --learn-from all, for learn_from=all, "
            "learns from every corpus below the run root, production's episodes with it."
        ),
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
    began: list[Path] = []

    def again() -> str | None:
        return f"python -m experiments.gepa_run --resume {shlex.quote(str(began[0]))}" if began else None

    with exits(again):
        flags: dict[str, object] = {"seed": seed, "benchmark": benchmark, "worker": worker, "lm": lm}
        if resume is not None and (config or overrides or any(v is not None for v in flags.values())):
            raise UsageError("--resume goes on with the run's own config; it takes no other config")
        chosen = resolve(config, overrides or [], flags) if resume is None else _resumed(resume)
        if dry_run:
            project(chosen, as_json=as_json)
            return
        result = run(chosen, resume=resume, quiet=as_json, began=began.append)
        if as_json:
            print(json.dumps(result, indent=1))


def translated(arguments: Sequence[str]) -> list[str]:
    """The command line with the spellings of overrides as overrides. What `--learn-from` means must follow it."""
    found: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == LIVE:
            found.append("live=true")
        elif argument == LEARN and (named := next(rest, None)) is not None:
            found.append(f"learn_from={named}")
        elif argument.startswith(f"{LEARN}="):
            found.append(f"learn_from={argument.removeprefix(f'{LEARN}=')}")
        else:
            found.append(argument)
    return found


def main() -> None:
    """Console script."""
    start(app, translated(sys.argv[1:]))


if __name__ == "__main__":
    main()
