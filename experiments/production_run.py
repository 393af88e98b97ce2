"""Play production: the champion decides, the worker works, checkers measure, and every episode goes to the corpus.

    python -m experiments.production_run tasks=20
    python -m experiments.production_run release=runs/my-release tasks_file=tickets.jsonl
    python -m experiments.production_run --resume runs/telecom-production-s0-1

The first lines say which release decides and what it may cost. Each episode begins with the release that the alias
`champion` names then, or the folder holds, and keeps it to its end; where the registry is down the last good release
goes on. It ends with a table by release (success by checkers, decisions by tier, fallbacks), how many of the episodes
replay can use for other candidates, and the path of the report. A run that was killed goes on with `--resume`.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.config import merge
from experiments.production.config import ProductionConfig
from signatures.errors import UsageError

if TYPE_CHECKING:
    from experiments.production.report import ProductionReport

app = new_app()


def resolve(config: Path | None, overrides: list[str], flags: dict[str, object]) -> ProductionConfig:
    """The config of file, overrides and flags, in that order. Raises UsageError in one line."""
    given = [f"{name}={json.dumps(value)}" for name, value in flags.items() if value is not None]
    return merge(ProductionConfig, config, [*overrides, *given])


def run(
    config: ProductionConfig,
    *,
    resume: Path | None = None,
    quiet: bool = False,
    began: Callable[[Path], object] = lambda folder: None,
) -> ProductionReport:
    """Play in a folder of its own, or go on with the run in `resume`. Raises TillerError.

    `began` is told the folder as soon as there is one.
    """
    from experiments.gate.run_folder import claim_folder
    from experiments.preflight import preflight
    from experiments.production.parts import prepare
    from experiments.production.playing import run_production
    from experiments.search.search_job import console_of

    preflight()
    given = prepare(config, root=None if resume is None else resume.absolute().parent)
    console = console_of(quiet=quiet)
    watch = given.watch(console.print)
    if resume is None:
        given.require_fit(watch.current())  # one that may not be loaded leaves no run folder behind
    folder = resume or claim_folder(config, given.root, f"{given.benchmark.id}-production-s{config.seed}")
    began(folder)
    return asyncio.run(run_production(given, folder.absolute(), console, watch))


def project(config: ProductionConfig, *, as_json: bool = False) -> None:
    """Print which release would decide and what it may cost. Raises UsageError where it cannot run."""
    from experiments.production.parts import most_of, prepare
    from experiments.production.playing import first_lines

    given = prepare(config)
    champion = given.watch(partial(print, file=sys.stderr), cached=False).current()
    given.require_fit(champion)
    episodes = len(given.asked.tasks)
    if not as_json:
        print("\n".join(first_lines(given, champion, episodes)))
        return
    release = champion.release
    decides = {"release": release.digest, "candidate": release.candidate, "ungated": release.ungated or None}
    told = {"benchmark": given.benchmark.id, "worker": given.worker.fingerprint.name, "origin": given.asked.origin}
    most = most_of(champion, episodes)._asdict()
    print(json.dumps({**told, **decides, "exploration": release.exploration, "most": most}, indent=1))


@app.command()
def production(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as tasks=50 release=FOLDER split=search.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    lm: Annotated[str | None, typer.Option(help="Model string (docs/models.md) of the policies that ask one.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Run folder to go on with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost and do nothing.")] = False,
) -> None:
    """Play production episodes under the champion."""
    began: list[Path] = []

    def again() -> str | None:
        return f"python -m experiments.production_run --resume {shlex.quote(str(began[0]))}" if began else None

    with exits(again):
        if resume is not None and (config or overrides or lm or dry_run):
            raise UsageError("--resume goes on with the run's own config; it takes no other config")
        chosen = resolve(config, overrides or [], {"lm": lm}) if resume is None else _resumed(resume)
        if dry_run:
            project(chosen, as_json=as_json)
            return
        report = run(chosen, resume=resume, quiet=as_json, began=began.append)
        if as_json:
            print(report.model_dump_json(indent=1))


def _resumed(folder: Path) -> ProductionConfig:
    from experiments.gate.run_folder import config_in

    return config_in(folder, ProductionConfig)


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
