"""Tune the search's own settings on recorded trees, and say what that adds over the default, live under the judge.

    python -m experiments.meta_run --quick

needs no key and no server. It records trees of two pools of search tasks, searches settings (engine, minibatch,
proposer, acceptance) on search problems of the first pool by replay, searches again on the second pool with the default
and with the tuned settings, plays what was found on dev tasks, and ends with what each level adds to the one below:
a controller to the worker, a search to the controller, tuning to the search, each with interval, p and q. The tuned
settings are in `settings.json`. A run that was stopped goes on with `--resume FOLDER`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.gate.learned.command import Arguments, play, resolved
from experiments.meta.config import QUICK, MetaConfig, search_config

if TYPE_CHECKING:
    from experiments.wiring import Ready

app = new_app()


def resolve(config: Path | None, overrides: list[str], *, quick: bool, seed: int | None = None) -> MetaConfig:
    """The config of file and overrides, over what `quick` sets. Raises UsageError in one line."""
    return resolved(MetaConfig, QUICK, Arguments(config, overrides, seed, quick))


def run(
    config: MetaConfig,
    *,
    resume: Path | None = None,
    say: Callable[[str], object] = print,
    began: Callable[[Path], object] = lambda folder: None,
) -> dict[str, object]:
    """A meta run in a folder of its own, or go on with the one in `resume`; the report as JSON-able data.

    `began` is told the folder as soon as there is one. Raises TillerError.
    """
    from experiments.gate.report import publish
    from experiments.gate.run_folder import claim_folder
    from experiments.meta.meta_job import run_meta
    from experiments.preflight import preflight

    preflight()
    started = time.monotonic()
    root = Path(config.root) if resume is None else resume.absolute().parent
    given = _ready(config, root)
    folder = resume or claim_folder(config, root, f"{config.benchmark}-meta-s{config.seed}")
    began(folder)
    report = asyncio.run(run_meta(config, given, folder.absolute(), say))
    written, line = publish(folder, report, tracking=config.tracking)
    files = (f"report: {written.json}", f"page: {written.markdown}", f"settings: {folder / 'settings.json'}")
    took = f"took {time.monotonic() - started:.0f} s"
    for text in (report.sentence, *report.notes, *files, *([line] if line else []), took):
        say(text)
    return {"folder": str(folder), **report.model_dump(mode="json")}


def _ready(config: MetaConfig, root: Path) -> Ready:
    """What the run needs, looked at. Raises UsageError for a config that cannot run, an unknown engine too."""
    from experiments.wiring import ready
    from optimizers.levels.settings import require_engines

    require_engines(config.engines)
    return ready(search_config(config, root / "corpus.db"), root=root)


def project(config: MetaConfig, *, as_json: bool) -> None:
    """Print the most that a run of this config would take. Raises UsageError where it cannot run."""
    from experiments.meta.meta_job import projection

    cost = projection(config, _ready(config, Path(config.root)))
    print(json.dumps({**cost._asdict(), "total": cost.total}) if as_json else cost.said())


@app.command()
def meta(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as problems=12 options.noise=0.3.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of problems, searches and episodes.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small one, in a minute or two.")] = False,
    resume: Annotated[Path | None, typer.Option(help="Run folder to go on with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take and do nothing.")] = False,
) -> None:
    """Tune the search's own settings, and say what that adds."""
    asked = Arguments(config, overrides or [], seed, quick, resume, as_json)
    if dry_run:
        with exits():
            project(resolved(MetaConfig, QUICK, asked), as_json=as_json)
        return
    play("experiments.meta_run", MetaConfig, QUICK, run, asked)


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
