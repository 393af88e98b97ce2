"""What all commands share: one clear line and an exit code for an error, an app with plain tracebacks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn, cast

import typer
from pydantic import ValidationError

from experiments.config import explain
from signatures.errors import TillerError, UsageError

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of SIGINT, as shells have it."""

_REFUSED: Final = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])
"""click's `UsageError`, wherever this release of typer keeps it."""


def new_app(help: str | None = None) -> typer.Typer:
    """An empty typer app with plain help and tracebacks.

    Rich would add 0.1 s to `--help`, and its tracebacks print the locals, keys among them.
    """
    return typer.Typer(help=help, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def start(app: typer.Typer, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command on `arguments`, or on those of the process, and exit.

    What typer refuses, such as an unknown option, is one line on stderr and code 2.
    """
    try:
        code = app(args=arguments, standalone_mode=False)
    except _REFUSED as error:
        raise SystemExit(_say(UsageError(error.format_message()))) from None
    raise SystemExit(code if isinstance(code, int) else 0)


@contextmanager
def exits(resume: Callable[[], str | None] | None = None) -> Iterator[None]:
    """End the command with `error: <one line>` on stderr and the error's own exit code.

    A TillerError ends with its `exit_code`; a ValidationError of a model named `...Config` is a UsageError;
    Ctrl-C ends with 130 and names the command that `resume()` gives, if any. All else is a bug and passes.
    """
    try:
        yield
    except TillerError as error:
        raise SystemExit(_say(error)) from error
    except ValidationError as error:
        if not error.title.endswith("Config"):
            raise
        raise SystemExit(_say(UsageError(explain(error)))) from error
    except KeyboardInterrupt as error:
        command = resume() if resume else None
        print(f"interrupted; resume with: {command}" if command else "interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from error


def _say(error: TillerError) -> int:
    """Print the error; its exit code. A message may quote a worker: the unprintable becomes a space."""
    message = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
    print(f"error: {message or type(error).__name__}", file=sys.stderr, flush=True)
    return error.exit_code
