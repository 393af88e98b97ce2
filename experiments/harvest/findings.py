"""Findings: the signals of many episodes, each kind and subject once, with how grave it is and what shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from pydantic import Field

from experiments.harvest.signals import MEANING, Kind, Signal
from signatures.digest import digest_of
from signatures.records import Probability, Record

Severity = Literal["high", "medium", "low"]
HIGH: Final = 0.25
"""Share of episodes from which on what spoils them is grave."""
MEDIUM: Final = 0.05
"""Share below which it is not much; what only costs turns is never grave, and not much below `HIGH`."""
_ORDER: Final = ("high", "medium", "low")


class Shown(Record):
    """One episode that shows a finding."""

    episode: str
    attempts: tuple[str, ...]


class Finding(Record):
    """One thing to look at. The id is a function of benchmark, kind and subject: a later harvest says it again."""

    id: str
    kind: Kind
    subject: str
    severity: Severity
    said: str
    advice: str
    episodes: int = Field(ge=1)
    "that show it"
    share: Probability
    "of the episodes of this harvest"
    evidence: tuple[Shown, ...]
    "the first of them"
    first_seen: str = ""
    "the earliest harvest that has this finding"


def findings_of(
    benchmark: str, shown: Sequence[tuple[str, Iterable[Signal]]], *, evidence: int, before: dict[str, str]
) -> tuple[Finding, ...]:
    """The findings of these episodes (id, signals), the gravest and most frequent first.

    `evidence`: episodes that one names at most; `before`: finding id -> the harvest that had it first.
    """
    by_key: dict[tuple[Kind, str], list[Shown]] = {}
    for episode, signals in shown:
        for signal in signals:
            rows = by_key.setdefault((signal.kind, signal.subject), [])
            rows.append(Shown(episode=episode, attempts=signal.attempts))
    found = []
    for (kind, subject), rows in by_key.items():
        share, meaning, id = len(rows) / len(shown), MEANING[kind], finding_id(benchmark, kind, subject)
        found.append(
            Finding(
                id=id,
                kind=kind,
                subject=subject,
                severity=severity_of(share, serious=meaning.serious),
                said=meaning.said.format(subject=subject),
                advice=meaning.advice.format(subject=subject),
                episodes=len(rows),
                share=share,
                evidence=tuple(rows[:evidence]),
                first_seen=before.get(id, ""),
            )
        )
    return tuple(sorted(found, key=lambda one: (_ORDER.index(one.severity), -one.episodes, one.kind, one.subject)))


def finding_id(benchmark: str, kind: Kind, subject: str) -> str:
    """The id under which every harvest of the benchmark names this finding."""
    return digest_of("finding", benchmark, kind, subject)[:12]


def severity_of(share: float, *, serious: bool) -> Severity:
    """How grave it is where this share of episodes shows it."""
    if serious:
        return "high" if share >= HIGH else "medium" if share >= MEDIUM else "low"
    return "medium" if share >= HIGH else "low"
