"""Findings: stable ids, counted episodes, and how grave each is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from experiments.harvest.findings import findings_of
from optimizers.evidence.findings import HIGH, MEDIUM, finding_id, severity_of
from optimizers.evidence.signals import Signal

FAILED = Signal("not passed", "correct", ("a",))
SLOW = Signal("went on", "rule")


def test_a_finding_is_one_kind_and_subject_over_all_its_episodes() -> None:
    shown = [("e1", [FAILED, SLOW]), ("e2", [FAILED]), ("e3", []), ("e4", [])]
    first, second = findings_of("planted", shown, evidence=50, before={})
    assert (first.kind, first.subject, first.episodes, first.share, first.severity) == (
        "not passed",
        "correct",
        2,
        0.5,
        "high",
    )
    assert [(one.episode, one.attempts) for one in first.evidence] == [("e1", ("a",)), ("e2", ("a",))]
    assert (second.kind, second.severity) == ("went on", "medium")
    assert "`correct`" in first.said and "search_run" in first.advice


def test_the_id_is_the_same_in_every_harvest_and_says_when_it_was_first_seen() -> None:
    (one,) = findings_of("planted", [("e1", [FAILED])], evidence=1, before={})
    (later,) = findings_of("planted", [("e9", [FAILED]), ("e8", [])], evidence=1, before={one.id: "planted-harvest-1"})
    assert one.id == later.id == finding_id("planted", "not passed", "correct")
    assert (one.first_seen, later.first_seen) == ("", "planted-harvest-1")
    assert finding_id("telecom", "not passed", "correct") != one.id != finding_id("planted", "not passed", "clean")


def test_evidence_is_cut_and_the_count_is_not() -> None:
    (one,) = findings_of("planted", [(f"e{n}", [FAILED]) for n in range(9)], evidence=3, before={})
    assert (one.episodes, len(one.evidence)) == (9, 3)


def test_of_no_episodes_there_is_no_finding() -> None:
    assert findings_of("planted", [], evidence=1, before={}) == ()


@given(share=st.floats(0, 1), more=st.floats(0, 1))
def test_more_is_never_less_grave_and_what_costs_turns_is_never_graver_than_what_spoils(
    share: float, more: float
) -> None:
    order = ("low", "medium", "high")
    low, high = sorted((share, more))
    for serious in (True, False):
        assert order.index(severity_of(low, serious=serious)) <= order.index(severity_of(high, serious=serious))
    assert order.index(severity_of(share, serious=False)) <= order.index(severity_of(share, serious=True))


def test_the_bounds_of_severity() -> None:
    assert [severity_of(s, serious=True) for s in (HIGH, MEDIUM, MEDIUM / 2)] == ["high", "medium", "low"]
    assert [severity_of(s, serious=False) for s in (HIGH, MEDIUM)] == ["medium", "low"]
