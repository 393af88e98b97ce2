"""Support and refusal: what an estimate rests on, by hand; every reason, with what to collect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.episode_log import EpisodeLog, Floats, Target
from optimizers.replay import Asked, Evidence
from optimizers.replay import support as module
from optimizers.replay.support import BLOCK, BLOCK_CELLS, blocks, refusals, support_of
from signatures.errors import UsageError
from tests.worlds.enumerated import BEHAVIOUR_L, enumerated, noisy, policies


def target_of(probability_L: Sequence[float] | Floats, **fields: Sequence[tuple[str, ...]]) -> Target:
    return Target(("c",), np.asarray(probability_L, dtype=np.float64)[:, None], **fields)


def without_last(log: EpisodeLog) -> EpisodeLog:
    """The log with its last option never drawn, as a behaviour without it would have it."""
    behaviour_L = np.array([4 / 13, 9 / 13, 2 / 3, 1 / 3, 0.0])  # what is left of 16 episodes, exactly
    kept = log.take((log.option_N_K != 4).all(axis=1))
    live = kept.option_N_K >= 0
    return replace(kept, behaviour_L=behaviour_L, propensity_N_K=np.where(live, behaviour_L[kept.option_N_K], 1.0))


def test_support_on_policy_counts_every_episode_once() -> None:
    log = replace(enumerated(copies=20), left_out={"infra_error": 3, "judge": 2})
    (found,) = support_of(log, target_of(BEHAVIOUR_L))
    assert (found.n, found.tasks, found.left_out, found.unsupported) == (320, 10, 5, 0)
    assert found.ess == pytest.approx(320) and found.largest_share == pytest.approx(1 / 320)
    assert found.mean_weight == pytest.approx(1) and found.mean_weight_se == pytest.approx(0, abs=1e-12)
    assert found.audited


def test_support_by_hand() -> None:
    """Ends at once with 1/2: of 16 episodes 4 weigh 2; of the rest 3 weigh (1/2) / (3/4) x 1 / (1/4) = 8/3."""
    (found,) = support_of(enumerated(copies=10), target_of([0.5, 0.5, 0, 1, 0]))
    total, square = 10 * (4 * 2 + 3 * 8 / 3), 10 * (4 * 4 + 3 * 64 / 9)
    assert found.ess == pytest.approx(total**2 / square)
    assert found.largest_share == pytest.approx(8 / 3 / total)
    assert found.mean_weight == pytest.approx(1)


def test_the_error_of_the_mean_weight_is_clustered_by_task() -> None:
    log, target = noisy(0), policies(0, C=1)
    (found,) = support_of(log, target)
    ratio = np.append(target.probability_L_C[:, 0] / log.behaviour_L, 1.0)
    weight_N = ratio[log.option_N_K].prod(axis=1)
    sums_T = np.array([(weight_N - weight_N.mean())[log.task_N == t].sum() for t in range(12)])
    assert found.mean_weight_se == pytest.approx(np.sqrt(12 / 11 * (sums_T**2).sum()) / log.n)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_unsupported_mass_is_what_the_mean_weight_lacks(seed: int) -> None:
    """Exact frequencies: 1 - the mean weight, for gaps in the first state, the second, and in options never drawn."""
    target = policies(seed)
    lacking = np.random.default_rng(seed).uniform(0.5, 1, target.probability_L_C.shape)
    for log in (enumerated(), without_last(enumerated())):
        for support in support_of(log, Target(target.names, target.probability_L_C * lacking)):
            assert support.mean_weight == pytest.approx(1 - support.unsupported, abs=1e-9)


def test_unsupported_mass_at_the_second_state_is_weighted_by_who_gets_there() -> None:
    log = enumerated()
    (found,) = support_of(log, target_of([0.2, 0.8, 0.5, 0.2, 0.2]))
    assert found.unsupported == pytest.approx(0.8 * 0.1)


@pytest.mark.parametrize("path", ["numpy", "numba"])
def test_both_paths_and_any_number_of_candidates_give_the_same(path: module.Path) -> None:
    log, target = noisy(1), policies(1, C=2 * BLOCK + 3)
    lacking = Target(target.names, target.probability_L_C * np.linspace(0.9, 1, 5)[:, None])
    together = support_of(log, lacking, path=path)
    for c in (0, BLOCK, 2 * BLOCK + 2):
        (alone,) = support_of(log, Target(("c",), lacking.probability_L_C[:, [c]]))
        for name, value in alone.model_dump().items():
            assert getattr(together[c], name) == pytest.approx(value, rel=1e-9)


def test_blocks_get_smaller_where_memory_would_fill() -> None:
    target = policies(0, C=BLOCK + 1)
    assert [b.stop - b.start for b in blocks(target)] == [BLOCK, 1]
    assert max(b.stop - b.start for b in blocks(target, cells=BLOCK_CELLS // 8)) == 8
    assert max(b.stop - b.start for b in blocks(target, cells=2 * BLOCK_CELLS)) == 1


def reasons(log: EpisodeLog, target: Target) -> list[str | None]:
    return refusals(support_of(log, target), log, target)


def test_what_is_supported_is_not_refused() -> None:
    assert reasons(enumerated(), policies(2)) == [None] * 5


def test_a_missing_or_zero_propensity_refuses_all_and_says_how_many() -> None:
    log = enumerated()
    propensity_N_K = log.propensity_N_K.copy()
    propensity_N_K[0, 0] = propensity_N_K[20, 1] = propensity_N_K[30, 0] = np.nan
    propensity_N_K[40, 0] = 0
    rounds = int((log.option_N_K >= 0).sum())
    for reason in reasons(replace(log, propensity_N_K=propensity_N_K), policies(0)):
        assert reason and f"of {rounds} recorded rounds 3 have no propensity and 1 one of zero" in reason


def test_few_effective_episodes_are_refused_with_how_many_more() -> None:
    (reason,) = reasons(enumerated(copies=5), target_of(BEHAVIOUR_L))
    assert reason and "80 episodes weigh as much as 80.0, and 100 are needed" in reason and "1.3 times" in reason
    (reason,) = reasons(enumerated().take(np.zeros(0, dtype=np.int64)), target_of(BEHAVIOUR_L))
    assert reason and "0 episodes" in reason


def test_an_unknown_action_is_refused_by_name() -> None:
    (reason,) = reasons(enumerated(), target_of(BEHAVIOUR_L, unknown=(("sing", "dance"),)))
    assert reason and "no recorded state offers sing, dance" in reason


@settings(deadline=None)
@given(share=st.floats(0.07, 1), seed=st.integers(0, 1000))
def test_a_candidate_without_support_is_always_refused(share: float, seed: int) -> None:
    """However many episodes there are, and whatever the candidate does elsewhere."""
    log = without_last(enumerated(copies=100))
    first = np.random.default_rng(seed).uniform(0, 0.2)
    (reason,) = reasons(log, target_of([first, 1 - first, (1 - share) / 2, (1 - share) / 2, share]))
    assert reason and "never recorded" in reason and "refine_last look" in reason


def test_what_is_never_done_is_refused_even_where_no_gap_is_left() -> None:
    """Its only way was legal and just never drawn: nothing weighs anything."""
    log = enumerated()
    some = log.take(log.option_N_K[:, 0] != 0)
    (reason,) = reasons(some, target_of([1, 0, 1, 0, 0]))
    assert reason and "weigh as much as 0.0" in reason


def test_without_evidence_the_caller_is_told() -> None:
    with pytest.raises(UsageError, match="no log"):
        module.given(Evidence(), Asked(names=("c",), target=policies(0)))
    with pytest.raises(UsageError, match=r"Asked\.target"):
        module.given(Evidence(log=enumerated()), Asked(names=("c",)))
