"""What searches spent is kept once: a run that is done again says what it said before."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.search.spending import SPENT, kept_spend, read_spent, spend_metrics
from optimizers.meter import Spend
from signatures.errors import StoreError

FIRST = Spend(compute=30, attempts=4, tokens=100, usd=0.25, wall_s=12.5)


def test_the_wall_time_of_the_first_end_stays(tmp_path: Path) -> None:
    assert kept_spend(tmp_path, "gepa", FIRST) == FIRST
    before = (tmp_path / SPENT).read_bytes()
    assert kept_spend(tmp_path, "gepa", FIRST._replace(wall_s=99.0)) == FIRST
    assert (tmp_path / SPENT).read_bytes() == before
    other = FIRST._replace(wall_s=3.0)
    assert kept_spend(tmp_path, "random search", other) == other
    assert {title: one.wall_s for title, one in read_spent(tmp_path).items()} == {"gepa": 12.5, "random search": 3.0}


def test_a_file_that_is_not_ours_is_named(tmp_path: Path) -> None:
    assert read_spent(tmp_path) == {}
    (tmp_path / SPENT).write_text("[]")
    with pytest.raises(StoreError, match=SPENT):
        read_spent(tmp_path)


def test_a_tracker_gets_every_part_of_it() -> None:
    assert spend_metrics(FIRST) == {
        "spent/compute": 30.0,
        "spent/attempts": 4.0,
        "spent/tokens": 100.0,
        "spent/usd": 0.25,
        "spent/wall_s": 12.5,
    }
