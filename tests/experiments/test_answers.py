"""The table of answers: every estimate with what it rests on, every refusal once per reason."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from experiments.answers import bound_text, print_answers, refusal_lines
from optimizers.replay.estimates import Bound, Estimate, Refusal, Support

SUPPORT = Support(
    n=720,
    tasks=30,
    left_out=2,
    ess=184.4,
    largest_share=0.011,
    unsupported=0.014,
    mean_weight=0.97,
    mean_weight_se=0.02,
)
BOUND = Bound(value=0.7625, lo=0.69, hi=0.8301)


def estimate(support: Support = SUPPORT) -> Estimate:
    return Estimate(candidate="fan", estimator="snips", values={"correct": BOUND}, support=support)


def printed(*answers: Estimate | Refusal) -> str:
    file = io.StringIO()
    print_answers(answers, Console(file=file, width=200))
    return file.getvalue()


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (BOUND, ".762 [.69, .83]"),
        (Bound(value=1.0, lo=0.95, hi=1.0), "1.000 [.95, 1.00]"),
        (Bound(value=0.5, lo=None, hi=None), ".500"),
    ],
)
def test_a_bound_in_few_characters(bound: Bound, text: str) -> None:
    assert bound_text(bound) == text


def test_what_an_estimate_rests_on_is_beside_it() -> None:
    text = printed(estimate())
    for shown in ("fan", "snips", ".762 [.69, .83]", "720", "184", "1.1%", "1.4%", "0.97"):
        assert shown in text
    assert "!" not in text


def test_a_failed_audit_is_marked() -> None:
    assert "0.50 !" in printed(estimate(SUPPORT.model_copy(update={"mean_weight": 0.5})))


def test_a_reason_is_said_once() -> None:
    refusals = [Refusal(candidate="c", estimator=id, reason="too few") for id in ("ips", "dr")]
    other = Refusal(candidate="c", estimator="tree", reason="no tree")
    assert refusal_lines([*refusals, estimate(), other]) == [
        "c  ips, dr  refused: too few",
        "c  tree  refused: no tree",
    ]
    assert "value on [0, 1]" not in printed(other)
