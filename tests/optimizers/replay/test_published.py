"""The one-step formulas that Open Bandit Pipeline publishes, on a record whose sums are worked out by hand.

obp (Saito et al. 2021, "Open Bandit Dataset and Pipeline", and `obp/ope/estimators.py`) values a policy pi_e on rounds
(x_i, a_i, r_i) that pi_b drew, with w_i = pi_e(a_i | x_i) / pi_b(a_i | x_i) and a reward model q:

    DM     mean_i of sum_a pi_e(a | x_i) q(x_i, a)
    IPS    mean_i of w_i r_i
    SNIPS  sum_i w_i r_i / sum_i w_i
    DR     DM + mean_i of w_i (r_i - q(x_i, a_i))
    SNDR   DM + sum_i w_i (r_i - q(x_i, a_i)) / sum_i w_i

The record: 400 rounds, two contexts, two actions. `n` rounds of each pair, `s` of them with r = 1, the others 0:

    x a   pi_b   pi_e    w     n    s    q      n w     s w    n w q
    0 0   1/2    4/5    8/5   100   60  .5     160      96      80
    0 1   1/2    1/5    2/5   100   20  .3      40       8      12
    1 0   1/4    1/2     2     60   30  .6     120      60      72
    1 1   3/4    1/2    2/3   140   63  .4    280/3     42     112/3
    sums                      400            1240/3    206     604/3

    DM    = (200 (4/5 .5 + 1/5 .3) + 200 (1/2 .6 + 1/2 .4)) / 400 = (.46 + .50) / 2 = .48
    IPS   = 206 / 400 = .515
    SNIPS = 206 / (1240/3) = 309/620
    DR    = .48 + (206 - 604/3) / 400 = .48 + (14/3) / 400 = .48 + 7/600
    SNDR  = .48 + (14/3) / (1240/3) = .48 + 7/620

The second objective is 1/4 + r/2 with the model 1/4 + q/2. Where weights are normalised, and for a model, a value V
becomes 1/4 + V/2. IPS becomes (1/4 x 1240/3 + 1/2 x 206) / 400 = (310/3 + 103) / 400 = 619/1200: its weights do not
average to 1. For DR the residuals halve: 1/4 + DR/2 holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.episode_log import EpisodeLog, Floats, Option, Target
from optimizers.replay import Estimator
from optimizers.replay.doubly_robust import DoublyRobust
from optimizers.replay.estimates import require
from optimizers.replay.fqe import FittedQ
from optimizers.replay.ips import Ips
from optimizers.replay.layered import Layered
from optimizers.replay.per_decision import PerDecisionSnips
from optimizers.replay.q_models import Smoother
from optimizers.replay.snips import Snips
from optimizers.replay.testing import ask
from optimizers.replay.weighted_doubly_robust import WeightedDoublyRobust

CELLS: Final = ((0, 100, 60), (1, 100, 20), (2, 60, 30), (3, 140, 63))
"""Option (context x 2 + action), rounds, rounds with r = 1."""
BEHAVIOUR_L: Final = np.array([0.5, 0.5, 0.25, 0.75])
CANDIDATE_L: Final = np.array([0.8, 0.2, 0.5, 0.5])
MODEL_L: Final = np.array([0.5, 0.3, 0.6, 0.4])


@dataclass(frozen=True)
class GivenQ:
    """A Q model that learns nothing: it predicts what it was given for each option of the log and each objective."""

    q_L_M: Floats
    id: str = "given"

    def prepare(self, layers: Layered) -> PreparedGiven:
        return PreparedGiven(self.q_L_M[layers.origin_L], layers)


@dataclass(frozen=True)
class PreparedGiven:
    q_L_M: Floats
    layers: Layered

    def smoother(self, layer: int, count_L: Floats) -> Smoother:
        q_L_M = self.q_L_M[self.layers.layers[layer][0]]
        # columns run over objectives and, within each, over candidates
        return lambda sums_L_MC: np.repeat(q_L_M, sums_L_MC.shape[1] // q_L_M.shape[1], axis=1)


def one_step(option_N: np.ndarray, rewards_N_M: Floats, behaviour_L: Floats) -> EpisodeLog:
    """A log of one-round episodes in contexts of two actions, four tasks in turn."""
    N, contexts = len(option_N), len(behaviour_L) // 2
    return EpisodeLog(
        objectives=("correct", "cheap"),
        tasks=("s", "t", "u", "v"),
        features=("context",),
        actions=(Option(None, "fanout_1"), Option(None, "fanout_2")),
        task_N=(np.arange(N) % 4).astype(np.int32),
        option_N_K=option_N[:, None].astype(np.int32),
        propensity_N_K=behaviour_L[option_N][:, None],
        rewards_N_K_M=rewards_N_M[:, None, :],
        state_L=np.repeat(np.arange(contexts), 2).astype(np.int32),
        action_L=np.tile([0, 1], contexts).astype(np.int32),
        behaviour_L=behaviour_L,
        features_S_F=np.arange(contexts, dtype=np.float64)[:, None],
    )


def by_hand() -> EpisodeLog:
    """The table above, round by round."""
    option_N = np.concatenate([np.full(n, option) for option, n, _ in CELLS])
    r_N = np.concatenate([np.arange(n) < s for _, n, s in CELLS]).astype(np.float64)
    return one_step(option_N, np.column_stack([r_N, 0.25 + r_N / 2]), BEHAVIOUR_L)


def models(q_L_M: Floats) -> dict[str, Estimator]:
    """Each published formula that has a model, as one of our estimators."""
    given = GivenQ(q_L_M)
    return {"DM": FittedQ(given, resamples=2), "DR": DoublyRobust(given), "SNDR": WeightedDoublyRobust(given)}


def without_model() -> dict[str, Estimator]:
    """Each published formula without a model, as one of our estimators; in one round per-decision is SNIPS."""
    return {"IPS": Ips(), "SNIPS": Snips(), "SNIPS by round": PerDecisionSnips()}


def values(estimator: Estimator, log: EpisodeLog, candidate_L: Floats) -> list[float]:
    (answer,) = ask(estimator, log, Target(("pi_e",), candidate_L[:, None]))
    return [bound.value for bound in require(answer).values.values()]


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("DM", Fraction(48, 100)),
        ("DR", Fraction(48, 100) + Fraction(7, 600)),
        ("SNDR", Fraction(48, 100) + Fraction(7, 620)),
    ],
)
def test_formulas_with_a_model(formula: str, value: Fraction) -> None:
    estimator = models(np.column_stack([MODEL_L, 0.25 + MODEL_L / 2]))[formula]
    expected = [float(value), float(Fraction(1, 4) + value / 2)]
    assert values(estimator, by_hand(), CANDIDATE_L) == pytest.approx(expected, abs=1e-9, rel=0)


@pytest.mark.parametrize(
    ("formula", "value", "second"),
    [
        ("IPS", Fraction(515, 1000), Fraction(619, 1200)),
        ("SNIPS", Fraction(309, 620), Fraction(1, 4) + Fraction(309, 1240)),
        ("SNIPS by round", Fraction(309, 620), Fraction(1, 4) + Fraction(309, 1240)),
    ],
)
def test_formulas_without_a_model(formula: str, value: Fraction, second: Fraction) -> None:
    found = values(without_model()[formula], by_hand(), CANDIDATE_L)
    assert found == pytest.approx([float(value), float(second)], abs=1e-9, rel=0)


Formula = Callable[[Floats, Floats, float, Floats], float]
PUBLISHED: Final[dict[str, Formula]] = {
    "DM": lambda w, r, dm, q: dm,
    "IPS": lambda w, r, dm, q: float((w * r).mean()),
    "SNIPS": lambda w, r, dm, q: float((w * r).sum() / w.sum()),
    "SNIPS by round": lambda w, r, dm, q: float((w * r).sum() / w.sum()),
    "DR": lambda w, r, dm, q: dm + float((w * (r - q)).mean()),
    "SNDR": lambda w, r, dm, q: dm + float((w * (r - q)).sum() / w.sum()),
}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), contexts=st.integers(1, 6))
def test_formulas_on_drawn_records(seed: int, contexts: int) -> None:
    """As they are published, on 600 rounds of random policies, rewards and models; clipped to the scale as ours are."""
    rng = np.random.default_rng(seed)
    first_S, wanted_S = rng.uniform(0.3, 0.7, (2, contexts))
    behaviour_L, candidate_L = (np.column_stack([p, 1 - p]).ravel() for p in (first_S, wanted_S))
    state_N = rng.integers(contexts, size=600)
    option_N = 2 * state_N + (rng.random(600) >= first_S[state_N])
    rewards_N_M, q_L_M = rng.random((600, 2)), rng.random((2 * contexts, 2))
    log = one_step(option_N, rewards_N_M, behaviour_L)
    w_N = (candidate_L / behaviour_L)[option_N]
    for name, estimator in {**models(q_L_M), **without_model()}.items():
        for m, value in enumerate(values(estimator, log, candidate_L)):
            dm = float((candidate_L * q_L_M[:, m]).reshape(-1, 2).sum(axis=1)[state_N].mean())
            published = PUBLISHED[name](w_N, rewards_N_M[:, m], dm, q_L_M[option_N, m])
            assert value == pytest.approx(min(1.0, max(0.0, published)), abs=1e-9, rel=0), name
