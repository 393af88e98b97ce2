"""Promote a candidate: register its release, let a fresh process prove that it decides by it, then move the champion.

    python -m experiments.promote_run runs/telecom-gepa-s0-1/candidates/g02-c4.json
    python -m experiments.promote_run CANDIDATE --gate runs/telecom-gate-3f9c1d20a7be exploration=0.1
    python -m experiments.promote_run --close-gaps name=telecom

prints a line a step:

    release fd59... of candidate 6ef4...: promote: g04-c0 - continue@3 on 180 tasks of planted holdout 2 of 2: ...
    version 2 of planted is challenger
    canary passed: 64 states (34 recorded, 30 at the edges of rules, 10 of them decided otherwise by the present
    champion), 3 live tasks with 8 attempts of the worker: as compiled
    champion: version 2 of planted, before it version 1

A certificate is needed: of the gate that `--gate` names, else of the newest one below the root that is about this
controller. `--allow-ungated` promotes without one, says so on stderr, and it stays on record in the release, its tags
and the ledger. A WARNING on stderr, which the ledger keeps, says where the gate's baseline is not the present champion,
where the controller decides already, and where it was rolled back from before. Where the canary fails the champion
stays, an activation gap is opened and the exit code is 1; `--close-gaps` tries again what is open. Exit code 2 where
something does not fit or another promotion goes on, 3 where the registry fails, 4 where the gate does not say promote.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import exits, new_app, start
from experiments.config import merge
from signatures.errors import UsageError

if TYPE_CHECKING:
    from experiments.promote.config import PromoteConfig
    from experiments.promote.promoting import Promoted
    from experiments.promote.ready import Nomination

app = new_app()


def run(config: PromoteConfig, asked: Nomination) -> Promoted:
    """The whole promotion. Raises TillerError; ActivationGap where production would not follow."""
    from experiments.preflight import preflight
    from experiments.promote.promoting import promote
    from experiments.promote.ready import ready

    preflight()
    given = ready(config, asked)
    if given.ungated:
        _warn(f"WARNING: promoting WITHOUT A GATE: {given.ungated}")
    return promote(given, say=_say, warn=_warn)


def retried(config: PromoteConfig) -> Promoted | None:
    """Try again what is open. Raises TillerError; ActivationGap where it fails again."""
    from experiments.preflight import preflight
    from experiments.promote.gaps import close_gaps
    from experiments.promote.places import the_name

    preflight()
    root = Path(config.root)
    found = close_gaps(the_name(root, config.name), root, say=_say, warn=_warn)
    if found is None:
        _say("no gap is open")
    return found


@app.command()
def promote(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CANDIDATE [OVERRIDES]", help="File of a saved controller; overrides such as name=shop."
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with config values.")] = None,
    gate: Annotated[Path | None, typer.Option(help="Folder of the gate's run.")] = None,
    allow_ungated: Annotated[
        bool, typer.Option("--allow-ungated", help="Promote without a certificate; it stays on record.")
    ] = False,
    close_gaps: Annotated[bool, typer.Option("--close-gaps", help="Try again what is open.")] = False,
    with_pyfunc: Annotated[
        bool, typer.Option("--with-pyfunc", help="Also register NAME-pyfunc, for `mlflow models serve`; optional.")
    ] = False,
) -> None:
    """Promote a candidate to champion, once a fresh process has shown that it decides by it."""
    with exits():
        from experiments.promote.config import PromoteConfig
        from experiments.promote.ready import Nomination

        files = [word for word in words or [] if "=" not in word]
        chosen = merge(PromoteConfig, config, [word for word in words or [] if "=" in word])
        if close_gaps:
            if files or gate or allow_ungated or with_pyfunc:
                raise UsageError("--close-gaps tries again what was asked before: it takes name=... and root=... alone")
            retried(chosen)
            return
        if len(files) != 1:
            raise UsageError("name one file of a saved controller, such as RUN/candidates/g02-c4.json")
        run(chosen, Nomination(Path(files[0]), gate, allow_ungated, with_pyfunc))


def _say(line: str) -> None:
    print(line, flush=True)


def _warn(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Console script."""
    start(app)


if __name__ == "__main__":
    main()
