"""Play a stream of runs, learn between them, and say whether what is learned shows from run to run.

    python -m experiments.gate_b_run --quick

needs no key and no server. Each run plays a slice of tasks of its own with three arms at one grant: the controller
learned from earlier slices, the frozen first controller, and a null learner, which is the frozen one under another
label and other seeds. It prints a line for each run and each lesson, then the verdict (`slope`, `no slope`, `falls`,
`underpowered`, `confounded` or `instrument`) with its reasons, and the paths of the JSON report, the Markdown page and
the figure of score by run. Without `--quick` it plays more and larger runs. A run that was stopped goes on with
`--resume FOLDER`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from experiments.cli import new_app, start
from experiments.gate.learned.command import Arguments, play, resolved
from experiments.gate.learned.stream_config import QUICK, GateBConfig, learner_config

if TYPE_CHECKING:
    from experiments.wiring import Ready
    from signatures.records import Task

app = new_app()


def resolve(config: Path | None, overrides: list[str], *, quick: bool, seed: int | None = None) -> GateBConfig:
    """The config of file and overrides, over what `quick` sets. Raises UsageError in one line."""
    return resolved(GateBConfig, QUICK, Arguments(config, overrides, seed, quick))


def run(
    config: GateBConfig,
    *,
    resume: Path | None = None,
    say: Callable[[str], object] = print,
    began: Callable[[Path], object] = lambda folder: None,
) -> dict[str, object]:
    """Play a stream in a folder of its own, or go on with the one in `resume`; the report as JSON-able data.

    `began` is told the folder as soon as there is one. Raises TillerError.
    """
    from experiments.gate.run_folder import claim_folder
    from experiments.preflight import preflight

    preflight()
    root = Path(config.root) if resume is None else resume.absolute().parent
    planned = _planned(config, root)
    folder = resume or claim_folder(config, root, f"{config.benchmark}-gate-b-s{config.seed}")
    began(folder)
    return asyncio.run(_streamed(config, planned, folder.absolute(), say))


class Planned(NamedTuple):
    """A stream that can run: nothing was written."""

    given: Ready
    slices: tuple[tuple[Task, ...], ...]


def _planned(config: GateBConfig, root: Path) -> Planned:
    """Raises UsageError for a config that cannot run."""
    from dataclasses import replace

    from experiments.gate.learned.stream import slices_of
    from experiments.gate.workers import require_live
    from experiments.wiring import Splits, definition_of_done, ready

    given = require_live(ready(learner_config(config, root / "corpus.db"), root=root))
    search = given.benchmark.tasks("search")
    slices = slices_of(search, runs=config.runs, size=config.slice, seed=config.seed)
    splits = Splits(train=tuple(task for one in slices for task in one), val=(), dev=())
    return Planned(replace(given, splits=splits, manifest=definition_of_done(given.benchmark, splits)), slices)


def projected(config: GateBConfig, given: Ready) -> str:
    """What a stream costs at most, in one line."""
    from experiments.gate.workers import calls_said, said_of

    most = config.most_attempts
    who = said_of(given.worker.fingerprint, given.benchmark.id)
    return (
        f"Gate B on {given.benchmark.id}, {who}: {config.runs} runs of {config.slice} tasks: at most {most:,} attempts "
        f"by the arms{calls_said(given, most)}; trees and searches between the runs come on top"
    )


async def _streamed(
    config: GateBConfig, planned: Planned, folder: Path, say: Callable[[str], object]
) -> dict[str, object]:
    from dataclasses import replace

    from experiments.gate.learned.slope_figure import FIGURE, draw_slope
    from experiments.gate.learned.stream import Stream, run_stream
    from experiments.gate.learned.stream_report import found_in, report_of
    from experiments.gate.report import publish
    from experiments.wiring import definition_of_done, wired
    from judges.manifest import require_unchanged
    from judges.probes import run_probes
    from signatures.digest import digest_of

    started = time.monotonic()
    learner = learner_config(config, folder / "corpus.db")
    given = replace(planned.given, config=learner)
    with wired(given, folder) as parts:
        identity = (config.identity, parts.manifest, given.worker.fingerprint)
        parts.journal.require_same(digest_of(*identity))
        await run_probes(parts.setup.judge, parts.benchmark.probes())
        say(projected(config, given))
        stream = Stream(config, learner, parts, folder, planned.slices, say)
        streamed = await run_stream(stream)
        require_unchanged(folder / "manifest.json", definition_of_done(parts.benchmark, given.splits))
        await run_probes(parts.setup.judge, parts.benchmark.probes())
        found = found_in(stream, streamed)
        report = report_of(stream, streamed, found)
    title = f"{report.benchmark}, {report.whose}, seed {config.seed}: {found.verdict.verdict}"
    draw_slope(folder / FIGURE, found.points, (found.learned[0], found.null[0]), title=title)
    written, line = publish(folder, report, tracking=config.tracking)
    say(report.sentence)
    files = (f"report: {written.json}", f"page: {written.markdown}", f"figure: {folder / FIGURE}")
    took = f"took {time.monotonic() - started:.0f} s"
    for text in (*(f"  {reason}" for reason in found.verdict.reasons[1:]), *files, *([line] if line else []), took):
        say(text)
    return {"verdict": found.verdict.verdict, "folder": str(folder), **report.model_dump(mode="json")}


@app.command()
def gate_b(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as runs=24 options.noise=0.3.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of slices, arms and searches.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small stream, in minutes.")] = False,
    resume: Annotated[Path | None, typer.Option(help="Run folder to go on with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Say whether what is learned from run to run shows."""
    play(
        "experiments.gate_b_run",
        GateBConfig,
        QUICK,
        run,
        Arguments(config, overrides or [], seed, quick, resume, as_json),
    )


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
