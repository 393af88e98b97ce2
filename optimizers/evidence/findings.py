"""What every finding has, of production and of a search: an id that the next one says again, and how grave it is."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from controllers.policies.rule import Condition
from optimizers.evidence.signals import Kind as SignalKind
from signatures.digest import digest_of
from signatures.records import PolicyName, Probability, Record

Severity = Literal["high", "medium", "low"]
MoveKind = Literal["action helped", "action harmed", "going on is no use", "never tried"]
NOT_SHOWN: Final[frozenset[str]] = frozenset({"tool failed", "call repeated", "infrastructure"})
"""Kinds whose subject a worker or a provider wrote: models see them as observations alone."""
ORDER: Final[tuple[Severity, ...]] = ("high", "medium", "low")
HIGH: Final = 0.25
"""Share of episodes from which on what spoils them is grave."""
MEDIUM: Final = 0.05
"""Share below which it is not much; what only costs turns is never grave, and not much below `HIGH`."""


class Shown(Record):
    """One episode that shows a finding; one task, where its recorded attempts are looked at together."""

    episode: str
    "empty where a move shows it, whose attempt is named"
    attempts: tuple[str, ...]


class Recommended(Record):
    """A rule that a finding speaks for."""

    policy: PolicyName
    when: tuple[Condition, ...]
    "none: always"
    action: str


class AnalysisFinding(Record):
    """One thing that the moves and attempts of a search show."""

    id: str
    benchmark: str
    kind: MoveKind | SignalKind
    subject: str
    severity: Severity
    said: str
    advice: str
    rule: Recommended | None = None
    shown: int = Field(ge=0)
    "moves, tasks or episodes that show it; of what was never tried none"
    of: int = Field(ge=1)
    "that were looked at"
    share: Probability
    evidence: tuple[Shown, ...]
    "the first of them"
    basis: str
    "digest of everything that shows it: two runs that read the same attempts have one basis"

    @property
    def for_models(self) -> bool:
        """Whether it is in our own words alone."""
        return self.kind not in NOT_SHOWN

    @property
    def line(self) -> str:
        """In one line."""
        return f"[{self.severity}] {self.said} ({self.shown} of {self.of}). {self.advice[:1].upper()}{self.advice[1:]}."


def finding_id(benchmark: str, kind: str, subject: str) -> str:
    """The id under which every harvest and every search of the benchmark names this finding."""
    return digest_of("finding", benchmark, kind, subject)[:12]


def severity_of(share: float, *, serious: bool) -> Severity:
    """How grave it is where this share of episodes shows it."""
    if serious:
        return "high" if share >= HIGH else "medium" if share >= MEDIUM else "low"
    return "medium" if share >= HIGH else "low"
