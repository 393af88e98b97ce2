"""The record of a confirmation: covered, agreeing, and as metrics; what is not known is left out."""

from __future__ import annotations

import pytest

from experiments.search.confirmed import Confirmed, Pair

PAIR = Pair(
    n=8,
    offline=0.5,
    offline_lo=0.4,
    offline_hi=0.6,
    live=0.55,
    live_lo=0.3,
    live_hi=0.7,
    gap_lo=-0.1,
    gap_hi=0.02,
)


@pytest.mark.parametrize(("live", "covered"), [(0.4, True), (0.6, True), (0.39, False), (0.61, False), (None, None)])
def test_a_live_mean_in_the_offline_interval_is_covered(live: float | None, covered: bool | None) -> None:
    assert PAIR.model_copy(update={"live": live}).covered is covered


def test_without_an_offline_interval_nothing_is_covered_or_missed() -> None:
    assert PAIR.model_copy(update={"offline_lo": None, "offline_hi": None}).covered is None


@pytest.mark.parametrize(
    ("lo", "hi", "agree"), [(-0.1, 0.0, True), (0.01, 0.1, False), (-0.1, -0.01, False), (None, None, None)]
)
def test_estimates_agree_where_both_noises_explain_the_gap(
    lo: float | None, hi: float | None, agree: bool | None
) -> None:
    assert PAIR.model_copy(update={"gap_lo": lo, "gap_hi": hi}).agree is agree


def test_the_metrics_name_both_and_leave_out_what_is_not_known() -> None:
    bare = Pair(n=2, offline=None, offline_lo=None, offline_hi=None, live=1.0, live_lo=None, live_hi=None)
    record = Confirmed(
        name="g01-c0",
        search="gepa",
        digest="d",
        tasks=8,
        replayed=6,
        unsupported=0.01,
        attempts=20,
        values={"correct": PAIR, "fast": bare},
    )
    assert record.metrics == {
        "offline/unsupported": 0.01,
        "offline/tasks": 6.0,
        "offline/correct": 0.5,
        "offline/correct_lo": 0.4,
        "offline/correct_hi": 0.6,
        "live/correct": 0.55,
        "live/correct_lo": 0.3,
        "live/correct_hi": 0.7,
        "live/fast": 1.0,
    }
    assert Confirmed.model_validate_json(record.model_dump_json()) == record
