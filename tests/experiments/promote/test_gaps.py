"""What is open, read off the ledger; trying it again is in test_promoting.py."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from experiments.promote.gaps import close_gaps, unfinished
from experiments.promote.ledger import (
    Activated,
    Challenged,
    GapClosed,
    GapOpened,
    PromotionLedger,
    RolledBack,
    ledger_path,
)
from signatures.errors import UsageError

AT = datetime(2026, 1, 1, tzinfo=UTC)


def challenged(version: str) -> Challenged:
    return Challenged(
        name="shop",
        version=version,
        release=f"r{version}",
        candidate="c",
        from_version=None,
        certificate=None,
        ungated="a test",
        at=AT,
    )


def told(version: str) -> dict[str, object]:
    return {**challenged(version).model_dump(exclude={"kind"}), "verdict": "v", "evidence": ("e",)}


def activated(version: str) -> Activated:
    return Activated.model_validate(told(version))


def opened(version: str) -> GapOpened:
    return GapOpened.model_validate({**told(version), "next_step": "n"})


def closed(version: str) -> GapClosed:
    given = told(version)
    return GapClosed.model_validate({name: given[name] for name in GapClosed.model_fields if name in given})


def test_a_challenge_that_was_broken_off_and_a_gap_are_open() -> None:
    assert unfinished([]) == ()
    assert unfinished([challenged("1")]) == (challenged("1"),)
    assert unfinished([challenged("1"), activated("1")]) == ()
    assert unfinished([challenged("1"), opened("1")]) == (opened("1"),)
    assert unfinished([challenged("1"), opened("1"), challenged("2"), activated("2")]) == (opened("1"),)
    assert unfinished([challenged("1"), opened("1"), activated("1")]) == (opened("1"),)
    assert unfinished([challenged("1"), opened("1"), activated("1"), closed("1")]) == ()


def test_a_challenge_that_production_is_past_is_not_tried_again() -> None:
    """To try it would take production back from the later version, unasked."""
    assert unfinished([challenged("1"), challenged("2"), activated("2")]) == ()
    back = RolledBack.model_validate({**told("1"), "from_version": "2"})
    assert unfinished([activated("1"), challenged("2"), back]) == ()
    assert unfinished([activated("1"), challenged("3"), back]) == (challenged("3"),)
    assert unfinished([activated("1"), challenged("2"), opened("2"), back]) == (opened("2"),)


def test_a_gap_of_a_version_that_is_gone_says_so(tmp_path: Path, root: Path) -> None:
    with PromotionLedger(ledger_path(root, "shop")) as ledger:
        ledger.add(challenged("1"))
        ledger.add(opened("1"))
    with pytest.raises(UsageError, match="its version was deleted; promote the candidate anew"):
        close_gaps("shop", root, say=lambda line: None)


def test_a_model_that_nobody_promoted_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no version of shop was promoted with this run root"):
        close_gaps("shop", tmp_path, say=lambda line: None)
    assert list(tmp_path.iterdir()) == []
