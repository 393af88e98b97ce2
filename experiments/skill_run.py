"""Skill: how well does a model make the controller's decisions, and what do demos and calibration give it?

    python -m experiments.collect_run plan=branching tasks=400 roots=4 depth=2
    python -m experiments.skill_run --lm local:/path/model.gguf

makes questions of recorded decisions whose best action the checkers tell with a margin, half of the tasks held out by
family, and asks the model in several ways: as the policy is (zero-shot), with demos, by log-probabilities, centred and
fitted. The first line says how many questions that is; the last ones are a table with exact intervals and the place of
`report.md`, `report.json`, `asked.jsonl` and `candidate.json`, a controller that asks as the way does that was best on
the calibration questions. A run that was killed goes on with `--resume FOLDER`. Exit code 4: the record holds too
little.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.config import merge
from experiments.skill.config import QUICK, SkillConfig

if TYPE_CHECKING:
    import dspy
    from rich.table import Table

    from experiments.skill.report import PolicyReport
    from experiments.skill.skill_job import Measured

WIDTH = 120
"""Least columns of the tables: piped, they are as readable as on a screen."""

app = new_app()


def run(config: SkillConfig, *, folder: Path | None = None, lm: dspy.LM | None = None, quiet: bool = False) -> Measured:
    """Measure one model. `lm` is used instead of the model that the config names. Raises TillerError."""
    from experiments.skill.skill_job import run_skill

    return asyncio.run(run_skill(config, folder=folder, lm=lm, quiet=quiet))


def project(config: SkillConfig) -> str:
    """What a run would ask, in one line; nothing is asked or written. Raises TillerError."""
    from experiments.skill.material import material_of
    from experiments.skill.skill_job import projection

    return projection(config, asyncio.run(material_of(config)))


def table_of(report: PolicyReport) -> Table:
    """A row per way."""
    from rich.table import Table

    from experiments.skill.report import HEADER, row

    title = f"{report.policy}: {report.n} questions, chance {report.chance * report.n:.1f}"
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(HEADER):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    for one in report.ways:
        table.add_row(*row(one))
    return table


def show(measured: Measured) -> None:
    """Print the tables, the sentence and where the files are."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, soft_wrap=True, highlight=False)
    console.width = max(console.width, WIDTH)
    for one in measured.report.policies:
        console.print(table_of(one))
    for line in (measured.report.sentence, f"report: {measured.folder}", measured.tracked):
        if line:
            console.print(line)


@app.command()
def skill(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as test=48 policies='[\"topology\"]'.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    lm: Annotated[str | None, typer.Option(help="Model string, such as local:/path/model.gguf.")] = None,
    corpus: Annotated[Path | None, typer.Option(help="Path of the corpus.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Benchmark id, or package.module:Class.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Folder of a run that was killed.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few questions: to see that it works.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would ask and do nothing.")] = False,
) -> None:
    """How well a model makes the controller's decisions."""
    with exits():
        given = {"lm": lm, "corpus": None if corpus is None else str(corpus), "benchmark": benchmark}
        flags = [f"{name}={json.dumps(value)}" for name, value in given.items() if value is not None]
        chosen = resolve(config, [*(QUICK if quick else ()), *(overrides or []), *flags], resume)
        if dry_run:
            print(project(chosen))
            return
        measured = run(chosen, folder=resume, quiet=as_json)
        if as_json:
            print(measured.report.model_dump_json(indent=1))
        else:
            show(measured)


def resolve(config: Path | None, overrides: list[str], resume: Path | None) -> SkillConfig:
    """The config of file and overrides, or that of the run to go on with. Raises UsageError."""
    from experiments.gate.run_folder import config_in
    from signatures.errors import UsageError

    if resume is None:
        return merge(SkillConfig, config, overrides)
    if config is not None or overrides:
        raise UsageError("a run that goes on has the config it began with: leave out everything beside --resume")
    return config_in(resume, SkillConfig)


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
