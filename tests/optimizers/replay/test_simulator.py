"""The simulator: its truth is what long simulation finds, its logs are coherent, and each knob does what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizers.episode_log import EpisodeLog, Floats, Target
from optimizers.replay.simulator import OBJECTIVES, UNSEEN, World, WorldConfig
from signatures.errors import UsageError
from tests.worlds import short_horizon as designs

DESIGNS = {name: value for name, value in vars(designs).items() if isinstance(value, WorldConfig)}


def weights_N_C(log: EpisodeLog, target: Target) -> Floats:
    """Importance weight of each episode, from the definition: the product over rounds of the two probabilities."""
    probability_N_K_C = target.probability_L_C[log.option_N_K]
    ratio_N_K_C = probability_N_K_C / log.propensity_N_K[:, :, None]
    weights: Floats = np.where((log.option_N_K >= 0)[:, :, None], ratio_N_K_C, 1.0).prod(axis=1)
    return weights


def ess_share(config: WorldConfig, seed: int) -> float:
    """ESS/N, mean over candidates."""
    world = World(config, seed)
    weight_N_C = weights_N_C(world.log(2_000, seed), world.target())
    return float((weight_N_C.sum(axis=0) ** 2 / (weight_N_C**2).sum(axis=0)).mean() / 2_000)


@pytest.mark.parametrize("name", ["MAIN", "ALIASED", "HARD_TASKS", "UNSEEN", "LOW_OVERLAP"])
def test_the_truth_is_what_long_simulation_finds(name: str) -> None:
    """On-policy means of 60,000 episodes lie within four standard errors, clustered by task, of the exact values."""
    world = World(DESIGNS[name], 7)
    for candidate in (0, 5, 9):
        log = world.log(60_000, candidate, under=candidate)
        mean_T_M = log.values_N_M.reshape(len(log.tasks), -1, len(OBJECTIVES)).mean(axis=1)
        error_M = mean_T_M.std(axis=0, ddof=1) / np.sqrt(len(log.tasks))
        assert (np.abs(mean_T_M.mean(axis=0) - world.truth_C_M[candidate]) < 4 * error_M).all()


@pytest.mark.parametrize("name", DESIGNS)
def test_a_log_is_coherent(name: str) -> None:
    """Values on [0, 1], rounds contiguous, propensities those of the table, nothing drawn that cannot be."""
    world = World(DESIGNS[name], 3)
    log, target = world.log(1_500, 1), world.target()
    assert log.values_N_M.min() >= -1e-12 and log.values_N_M.max() <= 1 + 1e-12
    live_N_K = log.option_N_K >= 0
    assert live_N_K[:, 0].all() and (live_N_K[:, 1:] <= live_N_K[:, :-1]).all()
    assert np.array_equal(log.propensity_N_K[live_N_K], log.behaviour_L[log.option_N_K[live_N_K]])
    assert (log.propensity_N_K[~live_N_K] == 1).all() and (log.propensity_N_K > 0).all()
    assert (log.rewards_N_K_M[~live_N_K] == 0).all()
    assert (np.diff(log.state_L) >= 0).all() and len(log.features_S_F) == world.states == log.state_L.max() + 1
    for table in (log.behaviour_L, *target.probability_L_C.T):
        assert np.allclose(np.bincount(log.state_L, weights=table), 1.0)
    assert ((world.truth_C_M > 0) & (world.truth_C_M < 1)).all()


def test_episodes_end_early_and_spend_their_attempts() -> None:
    """After `done` nothing follows; without it an episode ends when its attempts are spent."""
    log = World(designs.MAIN, 0).log(2_000, 0)
    attempts_A = np.array([{None: 0, "fanout_1": 1, "fanout_2": 2}.get(a.topology, 1) for a in log.actions])
    live_N_K = log.option_N_K >= 0
    spent_N = np.where(live_N_K, attempts_A[log.action_L][log.option_N_K], 0).sum(axis=1)
    last_N = log.option_N_K[np.arange(log.n), live_N_K.sum(axis=1) - 1]
    done_N = np.array([log.actions[a].stop == "done" for a in log.action_L[last_N]])
    assert 0.05 < done_N.mean() < 0.95
    assert (spent_N[~done_N] == designs.MAIN.rounds).all() and (spent_N[done_N] < designs.MAIN.rounds).all()


def test_equal_seeds_give_equal_worlds_and_logs() -> None:
    one, same, other = World(designs.MAIN, 1), World(designs.MAIN, 1), World(designs.MAIN, 2)
    assert np.array_equal(one.truth_C_M, same.truth_C_M) and not np.array_equal(one.truth_C_M, other.truth_C_M)
    assert np.array_equal(one.log(300, 5).rewards_N_K_M, same.log(300, 5).rewards_N_K_M)
    assert not np.array_equal(one.log(300, 5).rewards_N_K_M, one.log(300, 6).rewards_N_K_M)


def test_overlap_is_how_near_the_candidates_are() -> None:
    shares = [ess_share(replace(designs.MAIN, overlap=overlap), 2) for overlap in (0.3, 0.67, 0.9, 1.0)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_spread_is_met_where_levels_allow_it() -> None:
    for wanted in (0.02, 0.1):
        truth_C_M = World(replace(designs.MAIN, spread=wanted), 4).truth_C_M
        assert np.ptp(truth_C_M[:, 0]) == pytest.approx(wanted)
    most = np.ptp(World(replace(designs.MAIN, spread=1.0), 4).truth_C_M[:, 0])
    assert 0.15 < most < 1


def test_the_main_and_the_failing_designs_are_what_they_are_called() -> None:
    """Means over 20 worlds: spread .29 and ESS/N .37 in the main one; ESS/N .05 where overlap is low."""
    spreads = [float(np.ptp(World(designs.MAIN, seed).truth_C_M[:, 0])) for seed in range(20)]
    assert np.mean(spreads) == pytest.approx(0.29, abs=0.02)
    assert np.mean([ess_share(designs.MAIN, seed) for seed in range(20)]) == pytest.approx(0.37, abs=0.03)
    assert np.mean([ess_share(designs.LOW_OVERLAP, seed) for seed in range(20)]) == pytest.approx(0.05, abs=0.02)


def test_without_noise_an_episode_yields_its_expectation() -> None:
    world = World(replace(designs.MAIN, noise=0.0, difficulty=0.0), 0)
    assert len(np.unique(world.log(2_000, 0).values_N_M[:, 0].round(9))) == designs.MAIN.looks
    noisy = World(designs.MAIN, 0).log(2_000, 0).values_N_M[:, 0]
    assert set(np.unique(noisy)) == {0.0, 1.0}


def test_difficulty_makes_episodes_of_a_task_alike() -> None:
    """The variance of task means exceeds what independent episodes would give."""
    for width, alike in ((0.0, False), (0.3, True)):
        log = World(replace(designs.HARD_TASKS, difficulty=width), 0).log(40_000, 0)
        fast_T_E = log.values_N_M[:, 1].reshape(len(log.tasks), -1)
        ratio = fast_T_E.mean(axis=1).var(ddof=1) / (fast_T_E.var() / fast_T_E.shape[1])
        assert bool(ratio > 1.5) is alike


def test_a_wrong_propensity_is_in_the_record_alone() -> None:
    """Episodes and truth are those of the same world recorded rightly; mean weights are not near 1."""
    right, wrong = World(designs.MAIN, 0), World(designs.MISRECORDED, 0)
    assert np.array_equal(right.truth_C_M, wrong.truth_C_M)
    right_log, wrong_log = right.log(4_000, 0), wrong.log(4_000, 0)
    assert np.array_equal(right_log.option_N_K, wrong_log.option_N_K)
    assert abs(weights_N_C(right_log, right.target()).mean() - 1) < 0.05
    assert abs(weights_N_C(wrong_log, wrong.target()).mean() - 1) > 0.05


def test_the_unseen_option_is_never_drawn_and_always_wanted() -> None:
    world = World(designs.UNSEEN, 0)
    log, target = world.log(3_000, 0), world.target()
    unseen_L = log.action_L == log.actions.index(UNSEEN)
    assert (log.behaviour_L[unseen_L] == 0).all() and not np.isin(log.option_N_K, np.flatnonzero(unseen_L)).any()
    assert np.allclose(target.probability_L_C[unseen_L], designs.UNSEEN.unseen)
    assert np.isin(world.log(500, 0, under=0).option_N_K, np.flatnonzero(unseen_L)).any()


def test_aliased_levels_look_the_same() -> None:
    plain, aliased = World(designs.MAIN, 0), World(designs.ALIASED, 0)
    assert plain.states == aliased.states
    values = World(replace(designs.ALIASED, noise=0.0, difficulty=0.0), 0).log(4_000, 0).values_N_M[:, 0]
    assert len(np.unique(values.round(9))) == designs.MAIN.looks * designs.ALIASED.aliasing


def test_lost_episodes_are_counted_and_not_there() -> None:
    log = World(designs.LOSSY, 0).log(3_000, 0)
    assert log.n + sum(log.left_out.values()) == 3_000
    assert 200 < log.left_out["infra_error"] < 400


@pytest.mark.parametrize(
    "wrong",
    [{"rounds": 1}, {"overlap": 1.5}, {"floor": 0.2}, {"lost": 1.0}, {"difficulty": 0.6}, {"propensity_error": -1.0}],
)
def test_what_cannot_be_a_world_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        WorldConfig(**wrong)  # type: ignore[arg-type]  # rounds is whole; the rest are shares
