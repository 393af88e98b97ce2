"""Tiers: the share of decisions, tokens and money by tier, per run and over time.

    python -m experiments.tiers_run
    python -m experiments.tiers_run split=production periods=20

reads a corpus and prints a row per run (split, condition, candidate) and per period: how many decisions frontier
models, resident models and rules made, and what the models' cost. A corpus keeps no clock, so the periods are parts of
as many episodes each in order of arrival. `tiers.json` and `tiers.png` lie in `<root>/<benchmark>-tiers-<n>`, and
MLflow gets one run with a step per period.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.config import merge
from experiments.tiers.config import TiersConfig

if TYPE_CHECKING:
    from rich.table import Table

    from experiments.tiers.scoring import Scored
    from optimizers.tiers.scoreboard import TierCount, TierRow

WIDTH = 110
"""Least columns of the tables: piped, they are as readable as on a screen."""

app = new_app()


def run(config: TiersConfig) -> Scored:
    """The scoreboard of one corpus, written and mirrored. Raises TillerError."""
    from experiments.tiers.scoring import run_tiers

    return asyncio.run(run_tiers(config))


def table_of(title: str, rows: Sequence[TierRow]) -> Table:
    """A row per run or period."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for name in ("episodes", "decisions", "frontier", "resident", "rule", "tokens", "usd"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shares = [row.share(one.tier) for one in row.tiers]
        told = ["-" if share is None else f"{share:.1%}" for share in shares]
        amounts = [_total(row.tiers, "tokens", ",.0f"), _total(row.tiers, "usd", ".4f")]
        table.add_row(row.name, str(row.episodes), str(row.decisions), *told, *amounts)
    return table


def _total(counts: Sequence[TierCount], name: str, form: str) -> str:
    """The sum over tiers; with `+` where some decision's was not measured, `-` where none was."""
    lacking = "unmeasured" if name == "tokens" else "unpriced"
    known = [value for one in counts if (value := getattr(one, name)) is not None]
    missing: int = sum(getattr(one, lacking) for one in counts)
    calls = sum(one.decisions for one in counts if one.tier != "rule")
    return "-" if calls and missing == calls else f"{sum(known):{form}}{'+' if missing else ''}"


@app.command()
def tiers(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as split=production periods=20.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Benchmark id, or package.module:Class.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scoreboard as JSON.")] = False,
) -> None:
    """Who decides, and what it costs, per run and over time."""
    with exits():
        flags = [] if benchmark is None else [f"benchmark={json.dumps(benchmark)}"]
        scored = run(merge(TiersConfig, config, [*(overrides or []), *flags]))
        if as_json:
            print(scored.board.model_dump_json(indent=1))
            return
        from rich.console import Console

        console = Console(markup=False, emoji=False, soft_wrap=True, highlight=False)
        console.width = max(console.width, WIDTH)
        console.print(table_of("by run: split, condition, candidate", (*scored.board.runs, scored.board.total)))
        console.print(table_of("by period: episodes in order of arrival", scored.board.periods))
        for line in (f"scoreboard: {scored.folder}", scored.tracked):
            if line:
                console.print(line)


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
