"""Learn in some domains and try it in another: does what was learned carry over?

    python -m experiments.transfer_run --quick
    python -m experiments.transfer_run 'domains=["telecom","terminal"]' options.telecom.noise=0.3 tasks=120

records trees of some search tasks of each domain, learns a controller on each domain alone and on all but one
together, and tries every controller on every domain's dev tasks at one grant, beside the frozen controller that all
searches start from. The first lines say what it costs at most. It ends with a line for each pair of domains (learned
less frozen, with interval, n and q over the whole matrix) and a sentence, and leaves `report.json`, `report.md` and
`matrix.png` in its run folder, which MLflow gets as one run. A run that was killed goes on when it is started again.
The exit code is 0 whatever came out, and 4 where infrastructure spoilt the comparison.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.config import merge
from experiments.transfer.config import QUICK, TransferConfig

if TYPE_CHECKING:
    from experiments.transfer.transfer import Outcome

app = new_app()


def run(config: TransferConfig, *, say: Callable[[str], object] = print) -> Outcome:
    """The whole transfer. Raises TillerError; EvidenceError where it refuses to conclude."""
    from experiments.preflight import preflight
    from experiments.transfer.transfer import prepare, run_transfer

    preflight()
    return asyncio.run(run_transfer(prepare(config), say))


def project(config: TransferConfig, *, as_json: bool) -> None:
    """Print the most that a run of this config would cost. Raises UsageError where it cannot run."""
    from experiments.transfer.transfer import cost_of, prepare, projection

    plan = prepare(config)
    print(json.dumps({"attempts": cost_of(plan).total}) if as_json else projection(plan))


@app.command()
def transfer(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Config overrides such as tasks=120 options.telecom.noise=0.3.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of searches and episodes.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few tasks and a short search: minutes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost and do nothing.")] = False,
) -> None:
    """Learn in some domains, try it in the others, and say what carries over."""
    with exits(lambda: f"python -m experiments.transfer_run {shlex.join(sys.argv[1:])}"):
        given = [] if seed is None else [f"seed={seed}"]
        chosen = merge(TransferConfig, config, [*(QUICK if quick else ()), *(overrides or []), *given])
        if dry_run:
            project(chosen, as_json=as_json)
            return
        outcome = run(chosen, say=lambda line: print(line, file=sys.stderr if as_json else sys.stdout, flush=True))
        if as_json:
            print(json.dumps({**outcome.report.model_dump(mode="json"), "paths": outcome.paths}, indent=1))


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
