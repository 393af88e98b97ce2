"""The tree of everything Tiller raises.

TillerError
+- UsageError (ValueError)        the caller's: bad config, unknown id, overlapping splits      exit 2
|  +- ReleaseRefused              a release was edited, is unsigned, or was made for something else
|  +- ProgramRefused              a text is no strategy program: the line, what it is and the mend
|  +- ProgramFault                a strategy program broke a rule or failed while it ran
+- InfraError (RuntimeError)      it did not happen: recorded, re-tried or left out, never scored  exit 3
|  +- ProviderError               a language-model provider failed
|  +- WorkerError                 the worker itself failed (not its answer)
|  +- StoreError                  a corpus, ledger or journal could not be read or written
|  +- JudgeUnavailable            the judge could not say
|  +- Outage                      too many failures in a row: the run stops
+- EvidenceError (ArithmeticError)  we refuse to conclude                                       exit 4
|  +- NoSupport  Underpowered  UnequalCompute  HoldoutSpent
+- ActivationGap (RuntimeError)   promoted is not shipped: production does not make the new decisions   exit 1
+- BudgetExceeded (RuntimeError)  a reservation was larger than what is left
+- FirewallBreach (PermissionError)  a verdict reached steering: always fatal                   exit 5
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from signatures.records import Cost


class TillerError(Exception):
    """Base of every error that Tiller raises on purpose."""

    exit_code = 1


class UsageError(TillerError, ValueError):
    """The caller asked for something that cannot be: the message names it and the mend."""

    exit_code = 2


class ReleaseRefused(UsageError):
    """A release that production must not load: the message names the field that does not fit."""


class ProgramRefused(UsageError):
    """A text is not in the language of strategy programs: the message names the line, what it is and the mend."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_refused, (str(self), self.line))


def _rebuild_refused(message: str, line: int | None) -> ProgramRefused:
    return ProgramRefused(message, line=line)


FaultKind = Literal["error", "cpu", "wall", "memory", "processes", "protocol", "illegal"]


class ProgramFault(UsageError):
    """A strategy program failed by its own doing, which is worth nothing and is never infrastructure.

    `kind`: error (it raised), cpu (too many steps, calls or seconds), wall, memory, processes, protocol (it spoke out
    of turn), illegal (it asked for what cannot be). `cost`: of the models it consulted in the failed decision.
    """

    def __init__(self, message: str, *, kind: FaultKind = "error", cost: Cost | None = None) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind
        self.cost = cost

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_fault, (str(self), self.kind, self.cost))


def _rebuild_fault(message: str, kind: FaultKind, cost: Cost | None) -> ProgramFault:
    return ProgramFault(message, kind=kind, cost=cost)


class InfraError(TillerError, RuntimeError):
    """Something around the attempt failed, so there is nothing to score."""

    exit_code = 3

    def __init__(self, message: str, *, retryable: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_infra, (type(self), str(self), self.retryable, self.retry_after_s))


def _rebuild_infra(kind: type[InfraError], message: str, retryable: bool, retry_after_s: float | None) -> InfraError:
    return kind(message, retryable=retryable, retry_after_s=retry_after_s)


class ProviderError(InfraError):
    """A language-model provider failed, refused the connection or sent what cannot be read."""


class WorkerError(InfraError):
    """The worker failed to run; what it answered, even nothing, is not an error."""


class StoreError(InfraError):
    """A corpus, ledger or journal cannot be read or written."""


class JudgeUnavailable(InfraError):
    """The judge could not be asked, so there is no verdict."""


class Outage(InfraError):
    """Too many infrastructure failures in a row: the run stops before it spends more."""


class EvidenceError(TillerError, ArithmeticError):
    """The record does not carry the conclusion that was asked for."""

    exit_code = 4


class NoSupport(EvidenceError):
    """The corpus holds no evidence for what the candidate would do."""


class Underpowered(EvidenceError):
    """Too few pairs to find the effect that was registered."""


class UnequalCompute(EvidenceError):
    """A treatment spent more than its control."""


class HoldoutSpent(EvidenceError):
    """This slice of the holdout was read before."""


class ActivationGap(TillerError, RuntimeError):
    """A promotion that production does not follow: the message says what was seen and what to do next."""

    exit_code = 1


class BudgetExceeded(TillerError, RuntimeError):
    """A reservation asked for more than the pool has left."""

    exit_code = 2


class FirewallBreach(TillerError, PermissionError):
    """A verdict, or text of unknown origin, reached a place that may only see observations."""

    exit_code = 5
