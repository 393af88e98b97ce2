"""The planted problem of the contract: what is planted is there, and a search can be paid in it."""

from __future__ import annotations

from pathlib import Path

from controllers.baselines import seed_candidate
from controllers.program import rule_component
from optimizers.evaluator import Request
from optimizers.testing_world import PRICE, STEERS, TASKS, WORDS, Editing, Problem, needed
from signatures.records import Candidate

RULES = [{"when": [{"feature": "planted.left", "op": ">", "value": 0.5}], "then": {"left": 1.0}}]


async def test_the_right_word_helps(tmp_path: Path) -> None:
    problem = Problem()
    best = Candidate(components={**seed_candidate().components, "steer": rule_component(list(RULES), {"right": 1.0})})
    with problem.evaluator(tmp_path) as evaluator:
        means = []
        for candidate in (seed_candidate(), best):
            scored = await evaluator.evaluate(Request(candidate, TASKS, seed=3))
            means.append(sum(one.score.values["correct"] or 0.0 for one in scored) / len(TASKS))
        spent = evaluator.meter.spent()
    assert means[1] > means[0] + 0.3
    assert spent.attempts == problem.worker.attempts
    assert spent.tokens == spent.attempts * ((PRICE.tokens_in or 0) + (PRICE.tokens_out or 0))


def test_both_words_are_needed() -> None:
    assert {needed(task) for task in TASKS} == set(WORDS) and STEERS[0] == "none"


async def test_proposals_have_a_price_and_a_hypothesis() -> None:
    proposal, cost = await Editing().propose(seed_candidate(), "steer", (), seed=1)
    assert proposal is not None and proposal.hypothesis and cost.usd
    assert (proposal, cost) == await Editing().propose(seed_candidate(), "steer", (), seed=1)
