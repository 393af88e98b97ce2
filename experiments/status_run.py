"""Where a registered model stands: champion, challenger, certificate, age, decisions served, drift, open gaps.

    python -m experiments.status_run
    python -m experiments.status_run telecom root=runs --json

prints

    champion: version 2, release 8b8f3c..., candidate 9d7928..., 3 hours old
    challenger: version 2, release 8b8f3c..., candidate 9d7928..., 3 hours old
    previous_champion: version 1, release 6b320e..., candidate e7b795..., 2 days old
    certificate: promote: lamp - continue@3 on 180 tasks of planted holdout 1 of 1: ... (planted-gate-3f9c1d20a7be)
    served: 97 decisions (rule 97) in 20 episodes; exploration is 0.05: replay can use 20 of the 20 episodes for ...
    drift: no drift shown in 20 production episodes: 17 features against 72 tasks; correct 0.933 of 20 tasks, ...
    in order: no gap is open, ledger and aliases agree (5 entries)

The exit code is 1 where a gap is open, or where the aliases are not what the ledger says: moved by hand, dropped with a
version that was deleted, or left by a promotion that was broken off. Each such line ends with the next step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.config import RunConfig, merge
from signatures.errors import UsageError

if TYPE_CHECKING:
    from experiments.promote.status import Status

app = new_app()
OPEN = 1
"""Exit code where something is open."""


class StatusConfig(RunConfig):
    """Which registered model."""

    name: str | None = None
    "None: the only one below the root"
    root: str = "runs"


def run(config: StatusConfig) -> Status:
    """Ask ledger, registry and corpus. Raises UsageError where nothing was promoted, StoreError."""
    from experiments.promote.places import the_name
    from experiments.promote.status import status_of

    root = Path(config.root)
    return status_of(the_name(root, config.name), root)


@app.command()
def status(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME] [OVERRIDES]", help="Registered model; root=... if not runs.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as one JSON object.")] = False,
) -> None:
    """Show where a registered model stands; exit code 1 where something is open."""
    with exits():
        names = [word for word in words or [] if "=" not in word]
        if len(names) > 1:
            raise UsageError(f"one registered model at a time, not {', '.join(names)}")
        given = [f"name={json.dumps(name)}" for name in names]
        found = run(merge(StatusConfig, None, [*(word for word in words or [] if "=" in word), *given]))
        if as_json:
            print(json.dumps({**found.model_dump(mode="json"), "in_order": found.in_order}, indent=1))
        else:
            from experiments.promote.status import lines_of

            for line in lines_of(found):
                print(line)
    if not found.in_order:
        raise SystemExit(OPEN)


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
