"""Roll back: the champion of before decides again, in one command.

    python -m experiments.rollback_run
    python -m experiments.rollback_run telecom root=runs --reason "success fell"

prints

    champion: version 1 of planted again, before it version 2: by hand
    canary passed: 13 states (0 recorded, 13 at the edges of rules): as compiled

The release of before is loaded and checked before the alias moves, and a fresh process is looked at afterwards. Where
that does not follow, a gap is opened and the exit code is 1. A second rollback goes back further, never to what was
rolled back. Where the alias was dropped or moved by hand, it goes back to the champion that the ledger knows. Exit code
2 where there is nothing to go back to, 3 where the registry fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.config import RunConfig, merge
from signatures.errors import UsageError

if TYPE_CHECKING:
    from experiments.promote.rolling_back import Restored

app = new_app()


class RollbackConfig(RunConfig):
    """Which registered model."""

    name: str | None = None
    "None: the only one below the root"
    root: str = "runs"
    reason: str = "by hand"
    "for the ledger"


def run(config: RollbackConfig) -> Restored:
    """Restore the previous champion. Raises TillerError; ActivationGap where a fresh process does not follow."""
    from experiments.preflight import preflight
    from experiments.promote.places import the_name
    from experiments.promote.rolling_back import roll_back

    preflight()
    root = Path(config.root)
    return roll_back(the_name(root, config.name), root, reason=config.reason, say=lambda line: print(line, flush=True))


@app.command()
def rollback(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME] [OVERRIDES]", help="Registered model; root=... if not runs.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the ledger.")] = None,
) -> None:
    """Restore the previous champion."""
    with exits():
        run(named(RollbackConfig, words or [], {"reason": reason}))


def named(model: type[RollbackConfig], words: list[str], flags: dict[str, str | None]) -> RollbackConfig:
    """The config of a name and overrides. Raises UsageError."""
    import json

    names = [word for word in words if "=" not in word]
    if len(names) > 1:
        raise UsageError(f"one registered model at a time, not {', '.join(names)}")
    given = {**flags, "name": names[0] if names else None}
    put = [f"{name}={json.dumps(value)}" for name, value in given.items() if value is not None]
    return merge(model, None, [*(word for word in words if "=" in word), *put])


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
