"""When an alarm is left to a person: where the record reaches back to an earlier reign of the same candidate."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from experiments.drift.measured import DriftReport
from experiments.drift.unasked import why_not
from experiments.promote.ledger import Activated, PromotionLedger, RolledBack, ledger_path
from optimizers.drift.records import Limits

AT = datetime(2026, 1, 1, tzinfo=UTC)


def report(candidate: str) -> DriftReport:
    return DriftReport(
        name="planted",
        release=f"release of {candidate}",
        candidate=candidate,
        limits=Limits(),
        episodes=100,
        failed=0,
        unreadable=0,
        features=(),
        success=None,
        alarm=True,
        sentence="drift in 100 production episodes",
    )


def activated(version: str, candidate: str, before: str | None) -> Activated:
    return Activated(
        name="planted",
        version=version,
        release=f"release of {candidate}",
        candidate=candidate,
        from_version=before,
        certificate=None,
        ungated="a test",
        verdict="passed",
        evidence=("looked at",),
        at=AT,
    )


def test_a_first_reign_may_end_unasked_and_a_second_may_not(tmp_path: Path) -> None:
    assert why_not(report("b"), tmp_path) is None
    with PromotionLedger(ledger_path(tmp_path, "planted")) as ledger:
        ledger.add(activated("1", "a", None))
        ledger.add(activated("2", "b", "1"))
        assert why_not(report("b"), tmp_path) is None
        back = activated("1", "a", "2").model_dump(exclude={"kind"})
        ledger.add(RolledBack.model_validate(back))
        ledger.add(activated("3", "b", "1"))
    for candidate in ("a", "b"):
        assert f"candidate {candidate} became champion 2 times" in (why_not(report(candidate), tmp_path) or "")
    assert why_not(report("c"), tmp_path) is None
