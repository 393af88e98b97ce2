from __future__ import annotations

import random

import pytest

from controllers.policies.choice import calibrated
from optimizers.skill.ways import Known
from optimizers.skill.ways.fitted import Fitted
from signatures.errors import NoSupport
from tests.worlds.asked import LEGAL, question, reply


def leaning(n: int, *, signal: float, seed: int = 0) -> Known:
    """Answers that lean to the first action, with a signal for the right one and noise."""
    rng = random.Random(seed)
    found = []
    for k in range(n):
        logs = [4.0 * (place == 0) + signal * (place == k % 3) + rng.gauss(0, 0.3) for place in range(3)]
        found.append((question(f"t{k}", LEGAL[k % 3]), reply(*logs)))
    return found


def right(known: Known, way: Fitted, asked: Known) -> int:
    decide = way.fit(known)
    return sum(decide(one, said) == one.label for one, said in asked)


def test_a_leaning_is_fitted_away() -> None:
    known, asked = leaning(24, signal=1.5), leaning(60, signal=1.5, seed=1)
    assert right(known, Fitted(demos=False), asked) >= 50


def test_a_signal_is_trusted_more_than_noise() -> None:
    strong = Fitted(demos=False).calibration(leaning(24, signal=2.0)).scale
    none = Fitted(demos=False).calibration(leaning(24, signal=0.0)).scale
    assert none < 1.0 < strong


def test_a_policy_weighs_by_it_as_the_way_chooses() -> None:
    known = leaning(24, signal=1.0)
    way = Fitted(demos=False)
    found, decide = way.calibration(known), way.fit(known)
    for one, said in known:
        assert said is not None
        weights = calibrated(said.logprobs, found.bias, found.scale)
        assert max(weights, key=weights.__getitem__) == decide(one, said)


def test_without_an_answer_nothing_is_fitted() -> None:
    with pytest.raises(NoSupport):
        Fitted(demos=True).fit([])
