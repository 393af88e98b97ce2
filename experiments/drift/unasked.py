"""Whether an alarm may roll a champion back unasked: not where its record reaches back to before it became champion."""

from __future__ import annotations

from pathlib import Path

from experiments.drift.measured import DriftReport
from experiments.promote.ledger import Activated, PromotionLedger, RolledBack, ledger_path


def why_not(report: DriftReport, root: Path) -> str | None:
    """The reason to leave it to a person; None: there is none.

    A corpus keeps candidates and no clock. Where one became champion more than once, the alarm may be about an earlier
    time, after which somebody put it back, or a rollback did: then one alarm would lead to the next, champion after
    champion. Raises StoreError.
    """
    path = ledger_path(root, report.name)
    if not path.is_file():
        return None
    with PromotionLedger(path) as ledger:
        entries = ledger.entries()
    times = sum(isinstance(one, Activated | RolledBack) and one.candidate == report.candidate for one in entries)
    if times < 2:
        return None
    return f"candidate {report.candidate} became champion {times} times, and the alarm may be of an earlier time"
