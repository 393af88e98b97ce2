"""Contract suite for estimators that read a log: subclass it, give the `estimator` fixture, and pytest runs it.

The simulated worlds that it runs on are here as well, for tests of one's own: their true values are known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar, Final

import numpy as np

from optimizers.episode_log import EpisodeLog, Floats, Target
from optimizers.replay import Asked, Estimator, Evidence
from optimizers.replay.estimates import MAX_UNSUPPORTED, MIN_ESS, Bound, Estimate, Refusal, Support, require
from optimizers.replay.simulator import UNSEEN, World, WorldConfig
from signatures.errors import UsageError

__all__ = ["UNSEEN", "EstimatorContract", "World", "WorldConfig", "ask"]

EPISODES: Final = 2_000
_FEW = WorldConfig(candidates=4)
_LISTED = replace(_FEW, unseen=0.01)
"""A world whose states list an option that the behaviour never draws."""


def ask(estimator: Estimator, log: EpisodeLog, target: Target) -> list[Estimate | Refusal]:
    """What `estimator` answers for the candidates of `target` on `log`; runs an event loop of its own."""
    return asyncio.run(estimator.estimate(Evidence(log=log), Asked(names=target.names, target=target)))


class EstimatorContract:
    """Subclass it in a test as `class TestMine(EstimatorContract)` with a fixture `estimator` that returns one."""

    exact_on_policy: ClassVar[bool] = True
    "whether on-policy the estimate is the plain mean to rounding; a Q model is right only to sampling"

    def test_one_answer_per_candidate_in_order(self, estimator: Estimator) -> None:
        """Each under the candidate's name and the estimator's id, with a value for each objective."""
        log, target, _ = _main()
        answers = ask(estimator, log, target)
        assert [answer.candidate for answer in answers] == list(target.names), "one answer per candidate, in order"
        assert {answer.estimator for answer in answers} == {estimator.id}
        for answer in answers:
            assert tuple(require(answer).values) == log.objectives, "one value per objective, in the log's order"

    def test_values_lie_on_the_scale_and_in_their_intervals(self, estimator: Estimator) -> None:
        """0 <= lo <= value <= hi <= 1."""
        for bound in _bounds(ask(estimator, *_main()[:2])):
            assert bound.lo is not None and bound.hi is not None, "200 tasks are enough for an interval"
            assert 0 <= bound.lo <= bound.value <= bound.hi <= 1, f"{bound} is not an interval around a value"
            assert bound.lo < bound.hi, "an interval without width claims to know"

    def test_values_are_near_the_truth(self, estimator: Estimator) -> None:
        """Rough, at 10,000 episodes: it finds what is broken, and does not measure."""
        world = World(_FEW, 1)
        answers = ask(estimator, world.log(10_000, 1), world.target())
        error_C_M = np.abs(_values(answers) - world.truth_C_M)
        assert error_C_M.max() < 0.1, f"off by {error_C_M.max():.3f}"

    def test_support_says_what_an_estimate_rests_on(self, estimator: Estimator) -> None:
        """Episodes, tasks, effective sample size, the largest share, unsupported mass."""
        log, target, _ = _main()
        for support in _supports(ask(estimator, log, target)):
            assert (support.n, support.tasks, support.unsupported) == (log.n, len(log.tasks), 0)
            assert MIN_ESS <= support.ess <= log.n and 1 / log.n <= support.largest_share < 1

    def test_on_policy_it_is_the_plain_mean(self, estimator: Estimator) -> None:
        """To rounding for importance weights (`exact_on_policy`), else well inside the interval."""
        world = World(replace(_FEW, overlap=1.0), 2)
        log = world.log(EPISODES, 2)
        for answer in ask(estimator, log, world.target()):
            for bound, mean in zip(require(answer).values.values(), log.values_N_M.mean(axis=0), strict=True):
                assert bound.lo is not None and bound.hi is not None
                allowed = 1e-9 if self.exact_on_policy else (bound.hi - bound.lo) / 2
                assert abs(bound.value - mean) <= allowed, f"{bound.value} is not the mean {mean}"
        for support in _supports(ask(estimator, log, world.target())):
            assert abs(support.ess - log.n) < 1e-6 * log.n, "on-policy each episode counts once"

    def test_permuting_episodes_changes_nothing(self, estimator: Estimator) -> None:
        """Values and intervals to rounding, whatever order episodes come in."""
        log, target, _ = _main()
        shuffled = log.take(np.random.default_rng(0).permutation(log.n))
        _assert_same(ask(estimator, log, target), ask(estimator, shuffled, target))

    def test_a_candidate_is_valued_for_itself(self, estimator: Estimator) -> None:
        """The same alone as among others, and in another order."""
        log, target, _ = _main()
        answers = ask(estimator, log, target)
        backwards = ask(estimator, log, _columns(target, [3, 2, 1, 0]))
        _assert_same(answers, backwards[::-1])
        _assert_same(answers[1:2], ask(estimator, log, _columns(target, [1])))

    def test_it_is_deterministic(self, estimator: Estimator) -> None:
        """Asked twice, it answers the same to the last bit."""
        log, target, _ = _main()
        assert ask(estimator, log, target) == ask(estimator, log, target)

    def test_zero_support_is_always_refused(self, estimator: Estimator) -> None:
        """The reason names the option that was never drawn; its worth elsewhere does not matter."""
        log, target = _listed()
        for share in (MAX_UNSUPPORTED + 0.05, 0.5, 1.0):
            for answer in ask(estimator, log, _with_unseen(log, target, share)):
                assert isinstance(answer, Refusal), f"{share:.0%} of each round was never recorded: {answer}"
                assert "unseen" in answer.reason, f"the reason does not name what is missing: {answer.reason}"

    def test_probability_that_no_option_holds_is_unsupported(self, estimator: Estimator) -> None:
        """Probabilities of a state that sum to less than 1 leave the record, too."""
        log, target, _ = _main()
        lacking = Target(target.names, 0.9 * target.probability_L_C)
        assert all(isinstance(answer, Refusal) for answer in ask(estimator, log, lacking))

    def test_an_unknown_action_is_refused_by_name(self, estimator: Estimator) -> None:
        """That candidate alone; the others are answered as before."""
        log, target, _ = _main()
        unknown = replace(target, unknown=((), ("sing",), (), ()))
        answers = ask(estimator, log, unknown)
        assert isinstance(answers[1], Refusal) and "sing" in answers[1].reason
        _assert_same([answers[0], *answers[2:]], ask(estimator, log, _columns(target, [0, 2, 3])))

    def test_a_missing_or_zero_propensity_is_refused(self, estimator: Estimator) -> None:
        """What cannot be weighed is not guessed."""
        log, target, _ = _main()
        for wrong in (np.nan, 0.0):
            propensity_N_K = log.propensity_N_K.copy()
            propensity_N_K[log.n // 2, 0] = wrong
            answers = ask(estimator, replace(log, propensity_N_K=propensity_N_K), target)
            reasons = [answer.reason for answer in answers if isinstance(answer, Refusal)]
            assert len(reasons) == len(answers), f"answered with a propensity of {wrong}"
            assert all("propensit" in reason for reason in reasons)

    def test_few_effective_episodes_are_refused(self, estimator: Estimator) -> None:
        """Below an effective sample size of 100 there is no estimate, and none without episodes."""
        log, target, _ = _main()
        for episodes in (int(MIN_ESS) - 10, 0):
            for answer in ask(estimator, log.take(np.arange(episodes)), target):
                assert isinstance(answer, Refusal), f"{episodes} episodes gave an estimate"
                assert answer.reason

    def test_unsupported_mass_never_narrows(self, estimator: Estimator) -> None:
        """As a candidate does more of what is not recorded, the share says so and no interval gets smaller."""
        log, target = _listed()
        shares = (0.0, 0.002, 0.005, 0.01)
        answers = [ask(estimator, log, _with_unseen(log, target, share)) for share in shares]
        unsupported = np.array([[support.unsupported for support in _supports(each)] for each in answers])
        assert (unsupported[0] == 0).all() and (np.diff(unsupported, axis=0) > 0).all()
        widths = np.array([_widths(each) for each in answers])
        assert (np.diff(widths, axis=0) >= -1e-9).all(), "an interval got smaller with less support"

    def test_left_out_episodes_are_counted_and_change_nothing(self, estimator: Estimator) -> None:
        """A failure of infrastructure is never a zero: it is in no mean, and in `left_out`."""
        log, target, _ = _main()
        lossy = replace(log, left_out={"infra_error": 7, "judge could not say": 5})
        answers = ask(estimator, lossy, target)
        assert [support.left_out for support in _supports(answers)] == [12] * len(answers)
        _assert_same(ask(estimator, log, target), answers)

    def test_one_task_has_no_interval(self, estimator: Estimator) -> None:
        """The task is the unit: with one of them there is a value, and nothing to say how sure it is."""
        log, target, _ = _main()
        single = replace(log, tasks=("task",), task_N=np.zeros_like(log.task_N))
        for bound in _bounds(ask(estimator, single, target)):
            assert bound.lo is None and bound.hi is None, "an interval from one task"

    def test_without_a_log_it_says_so(self, estimator: Estimator) -> None:
        """The evidence that it reads is not there at all: the caller's mistake, not a refusal."""
        log, target, _ = _main()
        asked = (Asked(names=target.names, target=target), Asked(names=target.names))
        for evidence, question in zip((Evidence(), Evidence(log=log)), asked, strict=True):
            with _refused():
                asyncio.run(estimator.estimate(evidence, question))


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except UsageError:
        return
    raise AssertionError("UsageError was not raised")


def _main() -> tuple[EpisodeLog, Target, Floats]:
    """Two hundred tasks of ten episodes, four candidates, their truth."""
    world = World(_FEW, 0)
    return world.log(EPISODES, 0), world.target(), world.truth_C_M


def _listed() -> tuple[EpisodeLog, Target]:
    world = World(_LISTED, 0)
    return world.log(EPISODES, 0), world.target()


def _with_unseen(log: EpisodeLog, target: Target, share: float) -> Target:
    """The candidates with `share` of each later round on the option that was never drawn."""
    unseen_L = log.action_L == log.actions.index(UNSEEN)
    later_L = np.isin(log.state_L, log.state_L[unseen_L])
    known_L_C = np.where(unseen_L[:, None], 0.0, target.probability_L_C)
    total_S_C = np.stack([np.bincount(log.state_L, weights=column) for column in known_L_C.T], axis=1)
    known_L_C /= total_S_C[log.state_L]
    moved_L_C = np.where(later_L[:, None], (1 - share) * known_L_C, known_L_C)
    return Target(target.names, np.where(unseen_L[:, None], share, moved_L_C))


def _columns(target: Target, chosen: Sequence[int]) -> Target:
    return Target(tuple(target.names[c] for c in chosen), target.probability_L_C[:, list(chosen)])


def _bounds(answers: Sequence[Estimate | Refusal]) -> list[Bound]:
    return [bound for answer in answers for bound in require(answer).values.values()]


def _supports(answers: Sequence[Estimate | Refusal]) -> list[Support]:
    return [require(answer).support for answer in answers]


def _values(answers: Sequence[Estimate | Refusal]) -> Floats:
    return np.array([[bound.value for bound in require(answer).values.values()] for answer in answers])


def _widths(answers: Sequence[Estimate | Refusal]) -> list[float]:
    return [(bound.hi or 0.0) - (bound.lo or 0.0) for bound in _bounds(answers)]


def _assert_same(one: Sequence[Estimate | Refusal], other: Sequence[Estimate | Refusal]) -> None:
    """Candidates, values and intervals are equal to 1e-9."""
    assert [answer.candidate for answer in one] == [answer.candidate for answer in other]
    for a, b in zip(_bounds(one), _bounds(other), strict=True):
        pairs = ((a.value, b.value), (a.lo, b.lo), (a.hi, b.hi))
        assert all(x == y or (x is not None and y is not None and abs(x - y) <= 1e-9) for x, y in pairs), f"{a}, {b}"
