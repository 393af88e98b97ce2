"""The reward model: it orders candidates, is honest about tasks it has not seen, and is a function of its log."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from optimizers.episode_log import EpisodeLog, Option, Target
from optimizers.reward.calibration import rank_correlation
from optimizers.reward.prediction_log import PredictionLog
from optimizers.reward.question import Extra
from optimizers.reward_model import RewardModel, RewardModels, best_first
from signatures.errors import NoSupport, UsageError
from tests.worlds.lamps import GROUPS, TEXTS, Lamps, Policy, State
from tests.worlds.single import single

WORLD = Lamps()
BELT = Option("continue", "refine_last", "belt")


def fit(log: EpisodeLog, *, texts: Mapping[str, str] | None = None) -> RewardModel:
    """The model of that log, whatever is kept of it thrown away."""
    with TemporaryDirectory() as folder, closing(PredictionLog(Path(folder) / "predictions.jsonl")) as kept:
        return RewardModels(kept, texts=texts).model_for("1", log)


@pytest.fixture(scope="module")
def log() -> EpisodeLog:
    return WORLD.log(700, 60, seed=1)


@pytest.fixture(scope="module")
def model(log: EpisodeLog) -> RewardModel:
    return fit(log, texts=TEXTS)


def cheap_only(log: EpisodeLog) -> EpisodeLog:
    """The log with its second objective alone, a regressor, which is quick to train."""
    return replace(log, objectives=("cheap",), rewards_N_K_M=log.rewards_N_K_M[:, :, 1:])


def follower(obedience: float, stopping: float) -> Policy:
    """Names a lit group that often, stops early that often, and stops for certain when no lamp is lit."""

    def policy(state: State, options: object) -> list[float]:
        listed = WORLD.options[state]
        lit = [group for group, on in zip(GROUPS, state[1], strict=True) if on]
        if len(listed) == 1:
            return [1.0]
        if not lit:
            return [float(option.stop == "done") for option in listed]
        named = [option.steer in lit for option in listed]
        other = [option.stop == "continue" and not name for option, name in zip(listed, named, strict=True)]
        shares = zip(named, other, listed, strict=True)
        return [
            stopping * (o.stop == "done")
            + (1 - stopping) * (obedience * name / sum(named) + (1 - obedience) * rest / sum(other))
            for name, rest, o in shares
        ]

    return policy


def constant(option: Option) -> Policy:
    """Always this option, where there is a choice."""
    return lambda state, options: [1.0] if len(options) == 1 else [float(one == option) for one in options]


POLICIES: dict[str, Policy] = {
    "uniform": WORLD.uniform,
    "done": constant(Option("done")),
    "fresh": constant(Option("continue", "fanout_1")),
    **{group: constant(Option("continue", "refine_last", group)) for group in ("fan", "none")},
    **{f"follow {o}/{s}": follower(o, s) for o in (0.0, 0.25, 0.5, 0.75, 1.0) for s in (0.0, 0.4)},
}


def test_candidates_are_ordered_as_they_truly_are(log: EpisodeLog, model: RewardModel) -> None:
    truth = np.array([WORLD.value(policy, 600, seed=9) for policy in POLICIES.values()])
    ranked = model.rank(log, WORLD.target(POLICIES, log))
    # What obeying saves comes rounds later, as an early stop: one step does not see that of `cheap`.
    for place, (objective, least) in enumerate({"correct": 0.9, "cheap": 0.75}.items()):
        predicted = np.array([one.predicted[objective] for one in ranked])
        assert (rank_correlation(predicted, truth[:, place]) or 0) > least
    assert [one.candidate for one in ranked] == list(POLICIES)
    assert {one.unsupported for one in ranked} == {0.0}
    best = best_first(ranked, ["correct"])[0].candidate
    assert truth[list(POLICIES).index(best), 0] >= np.sort(truth[:, 0])[-3]


def test_the_behaviour_is_predicted_to_be_worth_what_it_was(log: EpisodeLog, model: RewardModel) -> None:
    (ranked,) = model.rank(log, WORLD.target({"uniform": WORLD.uniform}, log))
    rounds = (log.option_N_K >= 0).sum(axis=1)
    for place, objective in enumerate(log.objectives):
        realised = float(rounds @ log.values_N_M[:, place] / rounds.sum())
        assert ranked.predicted[objective] == pytest.approx(realised, abs=0.02)


def test_it_beats_the_base_rate_on_tasks_it_has_not_seen(log: EpisodeLog, model: RewardModel) -> None:
    correct, cheap = model.calibration
    assert (correct.kind, cheap.kind) == ("classifier", "regressor")
    assert correct.n == (log.option_N_K >= 0).sum() and correct.tasks == 60
    assert correct.brier < 0.8 * correct.base_brier
    assert correct.ece < 0.04
    assert correct.options == len(log.actions)
    assert correct.options_spearman is not None and correct.options_spearman > 0.9


def test_calibration_is_near_perfect_where_probabilities_are_functions_of_features() -> None:
    rng = np.random.default_rng(0)
    features = rng.random((4_000, 2))
    chance = 0.1 + 0.8 * features[:, 0]
    outcome = (rng.random(4_000) < chance).astype(float)
    (found,) = fit(single(features, outcome, tasks=200)).calibration
    assert found.ece < 0.03
    assert found.brier == pytest.approx(float(np.mean(chance * (1 - chance))), abs=0.006)


def test_labels_that_only_the_task_explains_are_not_found_on_other_tasks() -> None:
    """A feature names the task, its label is a coin's: what is seen in sample is gone out of fold."""
    rng = np.random.default_rng(5)
    tasks = 100
    names, labels = rng.permutation(tasks) / tasks, rng.integers(0, 2, tasks).astype(float)
    log = single(np.tile(names, 10)[:, None], np.tile(labels, 10), tasks=tasks)
    model = fit(log)
    (found,) = model.calibration
    seen = rank_correlation(model.predict(log)[:, 0, 0], log.values_N_M[:, 0])
    assert seen is not None and seen > 0.5
    assert found.spearman is not None and abs(found.spearman) < 0.2
    assert found.brier >= found.base_brier


def test_episodes_that_end_early_have_no_prediction_after_their_end(log: EpisodeLog, model: RewardModel) -> None:
    predicted = model.predict(log)
    assert predicted.shape == (log.n, 3, 2)
    assert np.array_equal(np.isnan(predicted[:, :, 0]), log.option_N_K < 0)
    assert np.nanmin(predicted) >= 0 and np.nanmax(predicted) <= 1


def test_the_order_of_episodes_and_a_second_fit_change_nothing() -> None:
    log = WORLD.log(100, 10, seed=3)
    order = np.random.default_rng(0).permutation(log.n)
    target = WORLD.target(POLICIES, log)
    first = fit(log, texts=TEXTS)
    second = fit(log.take(order), texts=TEXTS)
    assert first.trained == second.trained
    assert first.rank(log, target) == second.rank(log.take(order), target)
    np.testing.assert_allclose(first.predict(log)[order], second.predict(log.take(order)), rtol=0, atol=1e-9)


def test_what_was_left_out_is_counted_and_never_a_zero() -> None:
    log = cheap_only(WORLD.log(200, 20, seed=3))
    whole = fit(log).calibration[0]
    censored = fit(replace(log, left_out={"infrastructure": 3, "no verdict": 2})).calibration[0]
    assert censored == whole.model_copy(update={"left_out": 5})


def test_a_text_that_was_never_tried_is_ranked_by_what_it_names() -> None:
    """Of two new steers the one that names a lit group is worth more than the one that names nothing."""
    world = Lamps(known=("fan", "pump", "valve", "none"))
    log = world.log(600, 60, seed=2)
    model = fit(log, texts=TEXTS)
    root = [float(options == (Option(None, "fanout_1"),)) for options in world.options.values() for _ in options]
    target = Target(("belt", "nothing", "silent"), np.array([root] * 3).T)
    extra = [Extra("belt", BELT, TEXTS["belt"]), Extra("nothing", BELT._replace(steer="pray"), "Hope for the best.")]
    belt, nothing, silent = model.rank(log, target, extra)
    assert belt.predicted["correct"] > nothing.predicted["correct"] + 0.01
    assert belt.unsupported == nothing.unsupported == silent.unsupported > 0.5
    (behaviour,) = model.rank(log, Target(("b",), log.behaviour_L[:, None]))
    assert silent.predicted == pytest.approx(behaviour.predicted), "without a description it is no better than usual"


def test_shares_of_extras_are_averaged(log: EpisodeLog, model: RewardModel) -> None:
    zeros = Target(("a", "b", "both"), np.zeros((len(log.state_L), 3)))
    first, second = (BELT, TEXTS["belt"]), (Option("done"), "")
    extra = [Extra("a", *first), Extra("b", *second), Extra("both", *first, 3.0), Extra("both", *second, 1.0)]
    a, b, both = (one.predicted["correct"] for one in model.rank(log, zeros, extra))
    assert both == pytest.approx(0.75 * a + 0.25 * b)


def test_best_first_sorts_by_the_objectives_in_turn(log: EpisodeLog, model: RewardModel) -> None:
    one, *_ = model.rank(log, WORLD.target({"uniform": WORLD.uniform}, log))
    made = [
        one.model_copy(update={"candidate": name, "predicted": {"correct": c, "cheap": p}})
        for name, c, p in (("z", 0.5, 0.5), ("a", 0.5, 0.5), ("m", 0.5, 0.9), ("x", 0.4, 1.0))
    ]
    assert [p.candidate for p in best_first(made, ["correct", "cheap"])] == ["m", "a", "z", "x"]
    assert [p.candidate for p in best_first(made, ["cheap"])] == ["x", "m", "a", "z"]
    with pytest.raises(UsageError, match="clean"):
        best_first(made, ["clean"])


def test_a_question_is_answered_from_what_was_kept_without_training(tmp_path: Path) -> None:
    log = cheap_only(WORLD.log(200, 20, seed=4))
    target = WORLD.target(POLICIES, log)
    path = tmp_path / "predictions.jsonl"
    models = RewardModels(PredictionLog(path), texts=TEXTS)
    first = models.rank("1", log, target)
    assert (models.fits, len(models.kept)) == (1, len(POLICIES))
    models.kept.close()
    again = RewardModels(PredictionLog(path), texts=TEXTS)
    assert again.rank("1", log, target) == first
    assert again.fits == 0
    more = Target((*target.names, "behaviour"), np.column_stack([target.probability_L_C, log.behaviour_L]))
    assert again.rank("1", log, more)[:-1] == first
    assert (again.fits, len(again.kept)) == (1, len(POLICIES) + 1)
    assert again.kept.trained(first[0].fingerprint) == again.model_for("1", log).trained
    again.kept.close()


def test_another_corpus_version_trains_another_model(tmp_path: Path) -> None:
    log = cheap_only(WORLD.log(200, 20, seed=4))
    target = WORLD.target({"uniform": WORLD.uniform}, log)
    models = RewardModels(PredictionLog(tmp_path / "predictions.jsonl"), texts=TEXTS)
    (old,) = models.rank("1", log, target)
    assert models.model_for("1", log).fingerprint == old.fingerprint
    assert models.fits == 1
    (new,) = models.rank("2", log, target)
    assert (models.fits, new.version) == (2, "2")
    assert new.fingerprint != old.fingerprint
    assert models.model_for("2", log.take(np.arange(150))).fingerprint != new.fingerprint, "a version named twice"
    assert len(models.kept) == 2
    models.kept.close()
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.jsonl"], "no model is written"


def test_a_record_of_few_tasks_trains_nothing() -> None:
    with pytest.raises(NoSupport, match="5 tasks"):
        fit(WORLD.log(100, 4, seed=1))


def test_a_candidate_of_another_log_is_refused(model: RewardModel, log: EpisodeLog) -> None:
    with pytest.raises(UsageError, match="options"):
        model.rank(log, Target(("a",), np.zeros((3, 1))))
