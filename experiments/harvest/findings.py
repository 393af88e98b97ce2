"""Findings: the signals of many episodes, each kind and subject once, with how grave it is and what shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from optimizers.evidence.findings import ORDER, Severity, Shown, finding_id, severity_of
from optimizers.evidence.signals import MEANING, Kind, Signal
from signatures.records import Probability, Record


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
    return tuple(sorted(found, key=lambda one: (ORDER.index(one.severity), -one.episodes, one.kind, one.subject)))
