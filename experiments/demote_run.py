"""Demote: which decisions of a model could a readable rule make, on what is recorded, and at what loss?

    python -m experiments.demote_run runs/telecom-gepa-s0-1/candidates/g04-c2.json
    python -m experiments.demote_run CONTROLLER --ask regret=0.03 depth=2

fits, for each decision that a model makes, a decision list to its recorded answers (search and production), and says
how often the list agrees on tasks that it was not fitted to. Then it replays both controllers on the recorded trees
and proposes the rules that agree often enough and lose little enough, by the upper end of the interval. No model is
called without `--ask`; what nobody asked it yet then counts against the rule. A model whose saved name does not say
where it is, such as `local/NAME@DIGEST`, is named by `--lm local:PATH`, and must be that very model.

It writes `report.json`, `report.md` and, where something is proposed, `demoted.json` into
`<root>/<benchmark>-demote-<n>`, and prints the command that registers the gate: the gate decides. The exit code is 0
whatever is found, and 4 where nothing is recorded to judge by.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.config import merge
from experiments.tiers.config import DemoteConfig

if TYPE_CHECKING:
    import dspy
    from rich.table import Table

    from experiments.tiers.demoting import Ended

WIDTH = 110
"""Least columns of the tables: piped, they are as readable as on a screen."""

app = new_app()


def run(config: DemoteConfig, *, lm: dspy.LM | None = None) -> Ended:
    """Look at one controller. `lm` is used instead of the model that it names. Raises TillerError."""
    from experiments.tiers.demoting import run_demotion

    return asyncio.run(run_demotion(config, lm))


def table_of(ended: Ended) -> Table:
    """A row per decision of a model and objective."""
    from rich.table import Table

    table = Table(title="rule in the model's place, replayed on recorded trees", title_justify="left")
    for name in ("policy", "agreement", "constant", "objective", "loss", "at most", "not on record", "proposed"):
        table.add_column(name, justify="left" if name in ("policy", "objective") else "right", no_wrap=True)
    for one in ended.proposal.demotions:
        mean = None if one.agreement is None else one.agreement.share.mean
        constant = None if one.agreement is None else one.agreement.constant
        first = (one.policy, *("-" if share is None else f"{share:.3f}" for share in (mean, constant)))
        said = "yes" if one.proposed else "no"
        if not one.regrets:
            table.add_row(*first, "-", "-", "-", "-", said)
        for number, regret in enumerate(one.regrets):
            loss = "-" if regret.loss is None else f"{regret.loss * 100:+.1f}"
            lead = ("", "", "") if number else first
            last = "" if number else said
            table.add_row(*lead, regret.objective, loss, f"{regret.hi * 100:+.1f}", f"{regret.unsupported:.1%}", last)
        table.add_section()
    return table


def show(ended: Ended) -> None:
    """Print the table, the rules, the sentence and the gate's command."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, soft_wrap=True, highlight=False)
    console.width = max(console.width, WIDTH)
    console.print(table_of(ended))
    for note in ended.report.notes:
        if not note.startswith("decide it:"):
            console.print(note)
    console.print(ended.report.sentence)
    for line in (f"report: {ended.folder}", ended.tracked, f"next: {ended.command}" if ended.command else ""):
        if line:
            console.print(line)


@app.command()
def demote(
    controller: Annotated[Path, typer.Argument(help="File of a saved controller.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Config overrides such as regret=0.03 depth=2.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Benchmark id, or package.module:Class.")] = None,
    lm: Annotated[str | None, typer.Option(help="Model string (docs/models.md) of the model that it asks.")] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the model live what nobody asked it yet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Fit rules to a model's recorded decisions, and propose those that would do as well."""
    with exits():
        given = {"controller": str(controller), "benchmark": benchmark, "lm": lm, "ask": ask or None}
        flags = [f"{name}={json.dumps(value)}" for name, value in given.items() if value is not None]
        ended = run(merge(DemoteConfig, config, [*(overrides or []), *flags]))
        if as_json:
            print(ended.report.model_dump_json(indent=1))
        else:
            show(ended)


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
