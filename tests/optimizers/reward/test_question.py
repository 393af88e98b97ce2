"""What is asked: how much of a candidate is where, by hand, and what is not a question."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.episode_log import EpisodeLog, Option, Target
from optimizers.reward.question import Extra, Question
from signatures.errors import UsageError

NEW = Option("continue", "refine_last", "new")


def by_hand() -> EpisodeLog:
    """Three episodes over two states; the third option of state 1 could never be drawn, state 2 was never seen."""
    return EpisodeLog(
        objectives=("correct",),
        tasks=("t",),
        features=("attempts",),
        actions=(
            Option(None, "fanout_1"),
            Option("done"),
            Option("continue", "fanout_1"),
            Option("continue", "fanout_2"),
        ),
        task_N=np.zeros(3, np.int32),
        option_N_K=np.array([[0, 1], [0, 2], [0, -1]], np.int32),
        propensity_N_K=np.array([[1.0, 0.5], [1.0, 0.5], [1.0, 1.0]]),
        rewards_N_K_M=np.zeros((3, 2, 1)),
        state_L=np.array([0, 1, 1, 1, 2], np.int32),
        action_L=np.array([0, 1, 2, 3, 1], np.int32),
        behaviour_L=np.array([1.0, 0.5, 0.5, 0.0, 1.0]),
        features_S_F=np.array([[0.0], [1.0], [2.0]]),
    )


def target(*columns: list[float]) -> Target:
    return Target(tuple(f"c{n}" for n in range(len(columns))), np.array(columns).T)


def test_visits_are_shares_of_the_recorded_rounds() -> None:
    visits = Question(by_hand(), target([1, 1, 0, 0, 1])).visits_S_K
    assert visits.tolist() == [[0.6, 0], [0, 0.4], [0, 0]]


def test_what_no_record_could_hold_is_counted_where_the_record_was() -> None:
    asked = Question(by_hand(), target([1, 1, 0, 0, 0], [1, 0.5, 0, 0.5, 0], [1, 0.25, 0.25, 0, 0], [0, 0, 0, 0, 0]))
    assert asked.unsupported_C == pytest.approx([0, 0.2, 0.2, 1])
    assert asked.missing_S_C[:, 2] == pytest.approx([0, 0.2, 0])
    assert asked.missing_S_C[:, :2].any() is np.False_


def test_rounding_is_not_missing_probability() -> None:
    asked = Question(by_hand(), target([1, 0.1 + 0.2, 0.7 - 1e-16, 0, 0]))
    assert not asked.missing_S_C.any()


def test_shares_of_a_candidate_sum_to_one() -> None:
    extra = [Extra("c0", NEW, share=3), Extra("c1", NEW), Extra("c0", NEW, "other")]
    asked = Question(by_hand(), target([1, 1, 0, 0, 1], [1, 1, 0, 0, 1]), extra)
    assert (asked.shares("c0"), asked.shares("c1")) == ({0: 0.75, 2: 0.25}, {1: 1.0})


def test_a_digest_names_what_is_asked_of_a_candidate_and_nothing_else() -> None:
    log, one = by_hand(), [1.0, 1.0, 0.0, 0.0, 1.0]
    alone = Question(log, target(one)).digests[0]
    assert Question(log, target(one, [1, 0, 1, 0, 1]), [Extra("c1", NEW)]).digests[0] == alone
    assert Question(log.take([2, 0, 1]), target(one)).digests[0] == alone
    others = [
        Question(log, target([1, 0.5, 0.5, 0, 1])).digests[0],
        Question(log, target(one), [Extra("c0", NEW)]).digests[0],
        Question(log, target(one), [Extra("c0", NEW, "text")]).digests[0],
        Question(log, target(one), [Extra("c0", NEW._replace(steer="newer"))]).digests[0],
        Question(log.take([0, 1]), target(one)).digests[0],
    ]
    assert len({alone, *others}) == 6


def test_what_is_no_question_is_refused() -> None:
    log, one = by_hand(), [1.0, 1.0, 0.0, 0.0, 1.0]
    with pytest.raises(UsageError, match="4 options where the log has 5"):
        Question(log, target(one[:4]))
    with pytest.raises(UsageError, match="belongs to c9"):
        Question(log, target(one), [Extra("c9", NEW)])
    for share in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(UsageError, match="not above 0"):
            Question(log, target(one), [Extra("c0", NEW, share=share)])
    with pytest.raises(UsageError, match="no round"):
        Question(log.take(np.zeros(3, bool)), target(one))
