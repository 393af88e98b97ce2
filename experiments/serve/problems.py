"""Refusals over the wire: which error is which status, and what of it a client may read."""

from __future__ import annotations

from controllers.served import NotDue, ReportConflict
from experiments.serve.bodies import Problem, ProblemTold
from signatures.errors import InfraError, TillerError, UsageError


class UnknownEpisode(UsageError):
    """An episode was named that was not begun here."""


class KeyConflict(UsageError):
    """A key began an episode about one task and was given again with another."""


class TooMany(UsageError):
    """More episodes are open than are allowed."""


class Refused(UsageError):
    """A request was refused before it was looked at: its status says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.status, str(self)))


UNAVAILABLE = "the server cannot read or write what it needs now; what it acknowledged is kept: ask again"
BROKEN = "the server failed at this request; what it acknowledged is kept"


def status_of(error: TillerError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, UnknownEpisode):
        return 404
    if isinstance(error, NotDue | ReportConflict | KeyConflict):
        return 409
    if isinstance(error, TooMany):
        return 429
    if isinstance(error, UsageError):
        return 422
    return 503 if isinstance(error, InfraError) else 500


def line_of(error: TillerError) -> str:
    """One line for the client: its own mistakes in words; ours, which may name files and models, only as such."""
    if isinstance(error, UsageError):
        return " ".join(str(error).split())
    return UNAVAILABLE if isinstance(error, InfraError) else BROKEN


def told(error: TillerError) -> bytes:
    """The body of the answer."""
    return body_of(type(error).__name__, line_of(error))


def body_of(type: str, message: str) -> bytes:
    """The body of a refusal."""
    return ProblemTold(error=Problem(type=type, message=message)).model_dump_json().encode()
