"""Switch within-run refining, the learned controller and the tuned search on and off, and say what each adds.

    python -m experiments.ablation_run --quick

needs no key and no server. It records trees of some search tasks, tunes the settings of a search on them, learns a
controller for each combination of factors that learns, plays every combination on the same dev tasks at one grant, and
prints the mean of each, the marginal effect of each factor with its interval, p and q (one family), and the paths of
the report. `settings=FILE` takes the settings that a meta run tuned. A run that was stopped goes on with
`--resume FOLDER`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import new_app, start
from experiments.gate.learned.ablation_config import QUICK, AblationConfig, search_config
from experiments.gate.learned.command import Arguments, play, resolved

if TYPE_CHECKING:
    from experiments.gate.report import GateReport
    from experiments.wiring import Ready

app = new_app()


def resolve(config: Path | None, overrides: list[str], *, quick: bool, seed: int | None = None) -> AblationConfig:
    """The config of file and overrides, over what `quick` sets. Raises UsageError in one line."""
    return resolved(AblationConfig, QUICK, Arguments(config, overrides, seed, quick))


def run(
    config: AblationConfig,
    *,
    resume: Path | None = None,
    say: Callable[[str], object] = print,
    began: Callable[[Path], object] = lambda folder: None,
) -> dict[str, object]:
    """Run an ablation in a folder of its own, or go on with the one in `resume`; the report as JSON-able data.

    `began` is told the folder as soon as there is one. Raises TillerError.
    """
    from experiments.gate.report import publish
    from experiments.gate.run_folder import claim_folder
    from experiments.gate.workers import require_live
    from experiments.preflight import preflight
    from experiments.wiring import ready

    preflight()
    started = time.monotonic()
    root = Path(config.root) if resume is None else resume.absolute().parent
    given = require_live(ready(search_config(config, root / "corpus.db"), root=root))
    folder = resume or claim_folder(config, root, f"{config.benchmark}-ablation-s{config.seed}")
    began(folder)
    say(projected(config, given))
    report = asyncio.run(_measured(config, given, folder.absolute(), say))
    written, line = publish(folder, report, tracking=config.tracking)
    files = (f"report: {written.json}", f"page: {written.markdown}")
    took = f"took {time.monotonic() - started:.0f} s"
    for text in (report.sentence, *report.notes, *files, *([line] if line else []), took):
        say(text)
    return {"folder": str(folder), **report.model_dump(mode="json")}


def projected(config: AblationConfig, given: Ready) -> str:
    """What the combinations cost at most, in one line."""
    from experiments.gate.learned.ablation import FACTORS
    from experiments.gate.workers import calls_said, said_of

    cells = 2 ** len(FACTORS)
    most = cells * config.tasks * config.repeats * config.attempts
    who = said_of(given.worker.fingerprint, given.benchmark.id)
    return (
        f"Ablation on {given.benchmark.id}, {who}: {cells} combinations on {config.tasks} dev tasks, {config.repeats} "
        f"times each: at most {most:,} attempts{calls_said(given, most)}; trees and searches come on top"
    )


async def _measured(config: AblationConfig, given: Ready, folder: Path, say: Callable[[str], object]) -> GateReport:
    from dataclasses import replace

    from experiments.gate.learned.ablation import FACTORS, Bench, arm_of, cells_of, effects_of, measure_cells
    from experiments.gate.learned.ablation_report import report_of
    from experiments.gate.learned.learning import recorded
    from experiments.meta.tuned import settings_for
    from experiments.wiring import definition_of_done, wired
    from judges.manifest import require_unchanged
    from judges.probes import run_probes
    from signatures.digest import digest_of

    search = search_config(config, folder / "corpus.db")
    given = replace(given, config=search)
    with wired(given, folder) as parts:
        parts.journal.require_same(digest_of(config.identity, parts.manifest, given.worker.fingerprint))
        await run_probes(parts.setup.judge, parts.benchmark.probes())
        trees = await recorded(search, parts, folder / "trees", parts.splits.train[: config.train])
        say(f"{len(trees.tasks)} trees recorded: {trees.attempts} attempts")
        settings = await settings_for(config, parts, trees, folder)
        say(f"a tuned search has {settings.model_dump_json(exclude={'schema_version'})}")
        bench = Bench(config, search, parts, trees, settings)
        made = [await arm_of(bench, cell) for cell in cells_of(FACTORS)]
        say(f"{len(made)} combinations on {len(parts.splits.dev)} dev tasks, {config.repeats} times each")
        measured = await measure_cells(bench, [arm for arm, _ in made], lambda: None)
        require_unchanged(folder / "manifest.json", definition_of_done(parts.benchmark, given.splits))
        await run_probes(parts.setup.judge, parts.benchmark.probes())
        objectives = [objective.name for objective in parts.setup.objectives]
        effects = effects_of(measured, FACTORS, objectives, config)
        return report_of(bench, measured, effects, [lesson for _, lesson in made if lesson is not None])


@app.command()
def ablation(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as tasks=240 options.noise=0.3.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of searches and episodes.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small one, in a minute or two.")] = False,
    resume: Annotated[Path | None, typer.Option(help="Run folder to go on with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Say what refining and the learned controller each add."""
    play(
        "experiments.ablation_run",
        AblationConfig,
        QUICK,
        run,
        Arguments(config, overrides or [], seed, quick, resume, as_json),
    )


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
