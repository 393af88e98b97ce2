"""Search a controller with one engine, compare it with the control arms on the dev split, and log it to MLflow.

    python -m experiments.search_run --engine optuna_search

needs no key and no server. It records attempts of the benchmark's worker, lets the engine search on that record with
hardly a live attempt, attempts what it found live, and ends with a table of every control arm and every non-dominated
controller, one sentence on what beat what, one on what was spent, and the paths of the run folder and the dashboard.
Random search gets the same compute beside it. `--engine` names a file of `optimizers/search/`, or
`package.module:function`; `gepa_run` and `mipro_run` are this command with the engine fixed. `--lm MODEL` lets a
language model decide and reflect; `--live` attempts every evaluation of the search live; `--learn-from all` shows the
proposer the moves of every corpus below the run root as well, other benchmarks' and production's. `--max-attempts`,
`--max-usd` and `--max-minutes` end the search, whichever is first.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from experiments.cli import exits, new_app, start
from experiments.config import merge
from experiments.search_config import SearchConfig
from signatures.errors import UsageError

LIVE: Final = "--live"
"""The override `live=true` by another spelling: the command has options enough."""
LEARN: Final = "--learn-from"
"""`--learn-from all` is the override `learn_from=all` by another spelling."""


def resolve(config: Path | None, overrides: Sequence[str], flags: Mapping[str, object]) -> SearchConfig:
    """The config of file, overrides and flags, in that order. Raises UsageError in one line."""
    given = [f"{name}={json.dumps(value)}" for name, value in flags.items() if value is not None]
    return merge(SearchConfig, config, [*overrides, *given])


def run(
    config: SearchConfig,
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


def project(config: SearchConfig, *, as_json: bool) -> None:
    """Print the most that a run of this config would cost. Raises UsageError where it cannot run."""
    from experiments.search.projecting import project as projected
    from experiments.search.projecting import projection

    cost = projected(config)
    print(json.dumps({**cost._asdict(), "total": cost.total}) if as_json else projection(cost, config))


class Command(NamedTuple):
    """A search command: its module, and the engine that is fixed in it."""

    module: str
    engine: str | None = None

    def config(
        self, resume: Path | None, file: Path | None, overrides: Sequence[str], flags: Mapping[str, object]
    ) -> SearchConfig:
        """What is asked for, or what the folder `resume` was made with. Raises UsageError."""
        if resume is not None and (file or overrides or any(v is not None for v in flags.values())):
            raise UsageError("--resume goes on with the run's own config; it takes no other config")
        if resume is not None:
            from experiments.places import resumed

            return self._fitting(resumed(resume), resume)
        asked = resolve(file, overrides, flags)
        if self.engine is not None and "engine" not in asked.model_fields_set:
            asked = resolve(file, overrides, {**flags, "engine": self.engine})
        return self._fitting(asked)

    def again(self, began: Sequence[Path]) -> str | None:
        """The command that goes on with a run that began."""
        return f"python -m experiments.{self.module} --resume {shlex.quote(str(began[0]))}" if began else None

    def _fitting(self, config: SearchConfig, resume: Path | None = None) -> SearchConfig:
        if self.engine not in (None, config.engine):
            how = f"--engine {config.engine}" if resume is None else f"--resume {shlex.quote(str(resume))}"
            other = f"python -m experiments.search_run {how}"
            raise UsageError(f"{self.module} searches with {self.engine}, not with {config.engine}: use {other}")
        return config


def app_of(command: Command, summary: str) -> typer.Typer:
    """The command line of one search command."""
    app = new_app()

    @app.command(help=summary)
    def search(
        overrides: Annotated[
            list[str] | None,
            typer.Argument(
                help="Config overrides such as val=48 options.noise=0.3 engine_options.sampler=tpe. --live, for "
                "live=true, attempts every evaluation of the search live; without it recorded attempts are replayed. "
                "--learn-from all, for learn_from=all, learns from every corpus below the run root."
            ),
        ] = None,
        config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
        seed: Annotated[int | None, typer.Option(help="Seed of the search.")] = None,
        benchmark: Annotated[str | None, typer.Option(help="Benchmark id, or package.module:Class.")] = None,
        worker: Annotated[str | None, typer.Option(help="Worker id, or package.module:Class.")] = None,
        lm: Annotated[str | None, typer.Option(help="Model string for policies and reflection.")] = None,
        engine: Annotated[str | None, typer.Option(help="Engine id; fixed in gepa_run and mipro_run.")] = None,
        max_usd: Annotated[float | None, typer.Option(help="What the search may spend on models.")] = None,
        max_attempts: Annotated[int | None, typer.Option(help="Live attempts that the search may make.")] = None,
        max_minutes: Annotated[float | None, typer.Option(help="Wall time that the search may take.")] = None,
        resume: Annotated[Path | None, typer.Option(help="Run folder to go on with.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print the final table as JSON.")] = False,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost and do nothing.")] = False,
    ) -> None:
        began: list[Path] = []
        with exits(lambda: command.again(began)):
            flags = {"seed": seed, "benchmark": benchmark, "worker": worker, "lm": lm, "engine": engine}
            limits = {"max_usd": max_usd, "max_attempts": max_attempts, "max_minutes": max_minutes}
            chosen = command.config(resume, config, overrides or [], {**flags, **limits})
            if dry_run:
                project(chosen, as_json=as_json)
                return
            result = run(chosen, resume=resume, quiet=as_json, began=began.append)
            if as_json:
                print(json.dumps(result, indent=1))

    return app


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


app = app_of(Command("search_run"), "Search a controller with one engine and compare it with the control arms.")


def main() -> None:
    """Console script."""
    start(app, translated(sys.argv[1:]))


if __name__ == "__main__":
    main()
