"""The contract suite: a plain estimator, written from its definition, keeps it; each wrong one breaks its test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from optimizers.episode_log import EpisodeLog, Floats, Option, Target
from optimizers.replay import Asked, Estimator, Evidence
from optimizers.replay.estimates import MAX_UNSUPPORTED, MIN_ESS, Bound, Estimate, Refusal, Support, widened
from optimizers.replay.testing import EstimatorContract, World, WorldConfig, ask
from signatures.errors import UsageError


@dataclass(frozen=True)
class Plain:
    """SNIPS as the textbook has it: self-normalised weights, a delete-nothing linearised error by task.

    Each flag makes it wrong in one way.
    """

    id: str = "plain"
    always_answers: bool = False
    silent: bool = False
    ignores_unsupported: bool = False
    trusts_order: bool = False
    forgets_left_out: bool = False
    counts_episodes: bool = False
    halves: bool = False
    backwards: bool = False
    sure: bool = False
    drifts: bool = False

    async def estimate(self, evidence: Evidence, asked: Asked) -> list[Estimate | Refusal]:
        """As in `Estimator`."""
        if evidence.log is None or asked.target is None:
            raise UsageError("a log and probabilities are needed")
        log, target = evidence.log, asked.target
        answers = [self._one(log, target, c) for c in range(len(target.names))]
        return answers[::-1] if self.backwards else answers

    def _one(self, log: EpisodeLog, target: Target, c: int) -> Estimate | Refusal:
        name, probability_L = target.names[c], target.probability_L_C[:, c]
        live_N_K = log.option_N_K >= 0
        if self.always_answers and (not log.n or not (log.propensity_N_K > 0).all()):
            return Estimate(candidate=name, estimator=self.id, values={}, support=_nothing(log))
        if not (log.propensity_N_K > 0).all():
            return Refusal(candidate=name, estimator=self.id, reason="a propensity is missing")
        ratio_N_K = np.where(live_N_K, probability_L[log.option_N_K] / log.propensity_N_K, 1.0)
        after_N_K = np.cumprod(ratio_N_K, axis=1)
        before_N_K = np.column_stack([np.ones(log.n), after_N_K[:, :-1]])
        gap_S = 1 - np.bincount(log.state_L, weights=np.where(log.behaviour_L > 0, probability_L, 0.0))
        gap_N_K = np.where(live_N_K, gap_S[log.state_L[log.option_N_K]], 0.0)
        unsupported = float((before_N_K * gap_N_K).sum() / max(log.n, 1))
        unsupported = unsupported if unsupported > 1e-9 else 0.0
        weight_N = after_N_K[:, -1]
        ess = float(weight_N.sum() ** 2 / (weight_N**2).sum()) if weight_N.any() else 0.0
        reason = self._reason(log, target, c, unsupported=unsupported, ess=ess)
        if reason and not self.always_answers:
            return Refusal(candidate=name, estimator=self.id, reason="" if self.silent else reason)
        kept = 0.0 if self.ignores_unsupported else unsupported
        values = {m: self._bound(log, weight_N, m, kept) for m in range(len(log.objectives))}
        return Estimate(
            candidate=name,
            estimator=self.id,
            values={log.objectives[m]: bound for m, bound in values.items()},
            support=Support(
                n=log.n,
                tasks=len(np.unique(log.task_N)),
                left_out=0 if self.forgets_left_out else sum(log.left_out.values()),
                ess=ess,
                largest_share=float(weight_N.max() / weight_N.sum()) if weight_N.any() else 0.0,
                unsupported=min(1.0, unsupported),
            ),
        )

    def _reason(self, log: EpisodeLog, target: Target, c: int, *, unsupported: float, ess: float) -> str:
        if target.unknown and target.unknown[c]:
            return f"never recorded: {target.unknown[c]}"
        if unsupported > MAX_UNSUPPORTED:
            wanted_L = (log.behaviour_L == 0) & (target.probability_L_C[:, c] > 0)
            return f"{unsupported:.0%} was never recorded: {[log.actions[a] for a in set(log.action_L[wanted_L])]}"
        return f"only {ess:.0f} effective episodes" if ess < MIN_ESS else ""

    def _bound(self, log: EpisodeLog, weight_N: Floats, m: int, unsupported: float) -> Bound:
        from scipy.stats import t

        value_N = log.values_N_M[:, m]
        total = float(weight_N.sum())
        value = float((weight_N * value_N).sum() / total) if total else 0.0
        value = value / 2 if self.halves else value
        if self.trusts_order:
            value = 0.9 * value + 0.1 * float(value_N[0])
        if self.drifts:
            value += 0.01 * np.random.default_rng().random()
        influence_T = np.bincount(log.task_N, weights=weight_N * (value_N - value) / max(total, 1e-9))
        if self.counts_episodes:
            influence_T = weight_N * (value_N - value) / max(total, 1e-9)
        if len(influence_T) < 2:
            return Bound(value=value, lo=None, hi=None)
        half = 0.0 if self.sure else float(t.ppf(0.975, len(influence_T) - 1) * np.sqrt((influence_T**2).sum()))
        return widened(value, max(0.0, value - half), min(1.0, value + half), unsupported)


def _nothing(log: EpisodeLog) -> Support:
    return Support(n=log.n, tasks=0, ess=0.0, largest_share=0.0, unsupported=0.0)


class TestPlain(EstimatorContract):
    """The reference keeps the contract."""

    @pytest.fixture
    def estimator(self) -> Plain:
        return Plain()


_SUITE = EstimatorContract()
BROKEN: Mapping[str, tuple[Estimator, Callable[[Estimator], None]]] = {
    "answers backwards": (Plain(backwards=True), _SUITE.test_one_answer_per_candidate_in_order),
    "claims to know": (Plain(sure=True), _SUITE.test_values_lie_on_the_scale_and_in_their_intervals),
    "halves values": (Plain(halves=True), _SUITE.test_values_are_near_the_truth),
    "trusts the order": (Plain(trusts_order=True), _SUITE.test_permuting_episodes_changes_nothing),
    "is not the mean on-policy": (Plain(trusts_order=True), _SUITE.test_on_policy_it_is_the_plain_mean),
    "drifts": (Plain(drifts=True), _SUITE.test_it_is_deterministic),
    "drifts, candidate by candidate": (Plain(drifts=True), _SUITE.test_a_candidate_is_valued_for_itself),
    "guesses the unseen": (Plain(always_answers=True), _SUITE.test_zero_support_is_always_refused),
    "gives no reason": (Plain(silent=True), _SUITE.test_zero_support_is_always_refused),
    "guesses the missing": (Plain(always_answers=True), _SUITE.test_probability_that_no_option_holds_is_unsupported),
    "guesses the unknown": (Plain(always_answers=True), _SUITE.test_an_unknown_action_is_refused_by_name),
    "guesses propensities": (Plain(always_answers=True), _SUITE.test_a_missing_or_zero_propensity_is_refused),
    "needs no episodes": (Plain(always_answers=True), _SUITE.test_few_effective_episodes_are_refused),
    "does not widen": (Plain(ignores_unsupported=True), _SUITE.test_unsupported_mass_never_narrows),
    "forgets who was left out": (
        Plain(forgets_left_out=True),
        _SUITE.test_left_out_episodes_are_counted_and_change_nothing,
    ),
    "takes episodes for tasks": (Plain(counts_episodes=True), _SUITE.test_one_task_has_no_interval),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_wrong_estimator_breaks_the_contract(how: str) -> None:
    estimator, check = BROKEN[how]
    with pytest.raises(AssertionError):
        check(estimator)


def test_worlds_and_the_contract_come_from_one_place() -> None:
    """What a third party needs: a world, its log and target, an answer to hold against the truth."""
    world = World(WorldConfig(candidates=2), 0)
    answers = ask(Plain(), world.log(2_000, 0), world.target())
    assert [answer.candidate for answer in answers] == ["c00", "c01"]
    assert Option("done") in world.actions
