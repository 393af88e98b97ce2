"""The proposer with a model, on a scripted engine: what is accepted, refused, billed and asked once."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from controllers.baselines import seed_candidate
from controllers.program import controller_of, lm_component
from controllers.scripted_engine import ScriptedEngine, scripted_lm
from optimizers.evaluator import Request
from optimizers.evidence.analysis import analyse
from optimizers.evidence.contrast import tree_pairs
from optimizers.evidence.gathered import Evidence, gather
from optimizers.evidence.reflection import Reflection
from optimizers.proposers.lm import (
    INSTRUCTIONS_FORM,
    MOST_LEARNED,
    MOST_PAIRS,
    MOST_RECORDS,
    LMProposer,
    Material,
    telling,
)
from optimizers.replay.tree import TreeReplay
from optimizers.space import Space
from signatures.errors import ProviderError
from signatures.records import Amounts, Candidate, Cost, PolicyName
from tests.worlds.lab import ACTIONS, Lab, with_components

SPACE = Space(thresholds={"planted.lit.fan": (0.5,), "stalled": (0.5, 1.5)}, actions=ACTIONS)
GOOD = {
    "tier": "rule",
    "rules": [{"when": [{"feature": "planted.lit.fan", "op": ">", "value": 0.5}], "then": {"fan": 1.0}}],
    "otherwise": {"none": 1.0},
}


def answer(proposal: object, evidence: str = "record 3", hypothesis: str = "The fan is not looked at.") -> str:
    text = proposal if isinstance(proposal, str) else json.dumps(proposal)
    return (
        f"[[ ## hypothesis ## ]]\n{hypothesis}\n\n[[ ## proposal ## ]]\n{text}\n\n"
        f"[[ ## evidence ## ]]\n{evidence}\n\n[[ ## completed ## ]]"
    )


def record(gain: float, *, policy: PolicyName = "steer", said: str = "") -> Reflection:
    return Reflection(
        policy=policy, features={"stalled": 1.0, "errors": 0.0}, action="fan", gain=gain, turns=3, observed=(said,)
    )


def proposing(text: str) -> tuple[LMProposer, ScriptedEngine]:
    lm, engine = scripted_lm(lambda prompt: text)
    return LMProposer(lm, SPACE), engine


async def test_a_valid_decision_list_is_accepted_in_canonical_form() -> None:
    proposer, engine = proposing(answer(GOOD))
    proposal, cost = await proposer.propose(seed_candidate(), "steer", [record(0.5)], seed=1)
    assert proposal is not None
    assert (proposal.proposer, proposal.evidence) == (proposer.name, "record 3")
    assert proposal.hypothesis == "The fan is not looked at."
    child = with_components(steer=proposal.text)
    assert json.loads(proposal.text)["rules"] == GOOD["rules"]
    assert controller_of(child).candidate == child
    assert len(engine.prompts) == 1
    assert cost.tokens_in == len(engine.prompts[0].split()) and cost.tokens_out == len(answer(GOOD).split())


@pytest.mark.parametrize(
    "text",
    [
        "I would rather not.",
        "",
        answer(""),
        answer(GOOD, hypothesis=""),
        answer(GOOD, hypothesis=" \n "),
        answer(GOOD).replace("[[ ## hypothesis ## ]]", "Hypothesis:"),
        answer("change the first rule"),
        answer({"rules": []}),
        answer({**GOOD, "otherwise": {}}),
        answer({**GOOD, "otherwise": {"none": -1.0}}),
        answer({**GOOD, "rules": [{"when": [{"feature": "x", "op": "==", "value": 1}], "then": {"fan": 1.0}}]}),
        answer({**GOOD, "extra": 1}),
        answer({**GOOD, "otherwise": {"fanout_1": 1.0}}),
        answer({**GOOD, "rules": [{"when": [], "then": {"done": 1.0}}]}),
        answer({"tier": "frontier", "model": "scripted"}),
        answer({"tier": "frontier", "model": "scripted", "instructions": "do", "demos": [3]}),
        answer([1, 2]),
        answer("null"),
        answer(json.dumps(GOOD).replace("0.5", "NaN")),
    ],
)
async def test_what_is_no_component_of_this_policy_is_refused_and_still_billed(text: str) -> None:
    proposer, engine = proposing(text)
    proposal, cost = await proposer.propose(seed_candidate(), "steer", [record(0.5)], seed=1)
    assert proposal is None
    assert len(engine.prompts) == 1, "a bad answer is not asked for again"
    assert cost.tokens_in == len(engine.prompts[0].split())


async def test_a_rule_that_stands_may_stay_even_where_the_space_does_not_name_it() -> None:
    topology = json.loads(seed_candidate().components["topology"])
    space = replace(SPACE, actions={**ACTIONS, "topology": ("fanout_2",)})
    lm, _ = scripted_lm(lambda prompt: answer({**topology, "otherwise": {"fanout_2": 1.0}}))
    proposal, _ = await LMProposer(lm, space).propose(seed_candidate(), "topology", [], seed=1)
    assert proposal is not None
    assert json.loads(proposal.text)["rules"] == topology["rules"]


async def test_of_a_models_policy_the_instructions_are_rewritten() -> None:
    lm, engine = scripted_lm(lambda prompt: answer("Look at the lamps first."))
    candidate = with_components(steer=lm_component("steer", lm))
    proposal, _ = await LMProposer(lm, SPACE).propose(candidate, "steer", [record(0.5)], seed=1)
    assert proposal is not None
    before, after = json.loads(candidate.components["steer"]), json.loads(proposal.text)
    assert after == {**before, "instructions": "Look at the lamps first."}
    controller_of(with_components(steer=proposal.text), lm)
    assert INSTRUCTIONS_FORM in engine.prompts[0]
    assert before["instructions"].splitlines()[0] in engine.prompts[0]


async def test_it_is_shown_the_form_the_component_and_what_happened() -> None:
    proposer, engine = proposing(answer(GOOD))
    told = record(-0.25, said="<observation source='tool work turn=0'>slipped</observation>")
    await proposer.propose(seed_candidate(), "steer", [told, record(0.9, policy="stop")], seed=1)
    (prompt,) = engine.prompts
    for piece in ("planted.lit.fan, stalled", "none, fan, pump, valve, core", "slipped</observation>", "-0.25"):
        assert piece in prompt
    assert seed_candidate().components["steer"] in prompt
    assert "0.9" not in prompt, "another policy's moves are not shown"


def test_the_worst_and_the_best_moves_are_told() -> None:
    rows = [record(n / 100) for n in range(100)] + [record(9.0, policy="stop")]
    gains = [row.gain for row in telling(rows, "steer")]
    half = MOST_RECORDS // 2
    assert gains == [n / 100 for n in (*range(half), *range(100 - half, 100))]
    assert telling(rows, "steer") == telling(rows[::-1], "steer"), "the order of arrival changes nothing"
    assert len(telling(rows[:5], "steer")) == 5


async def test_a_provider_that_fails_is_an_error() -> None:
    def fail(prompt: str) -> str:
        raise ConnectionError("refused")

    lm, _ = scripted_lm(fail)
    with pytest.raises(ProviderError, match="refused"):
        await LMProposer(lm, SPACE).propose(seed_candidate(), "steer", [], seed=1)


@pytest.mark.parametrize("text", [answer(GOOD), "unparsable"], ids=["proposal", "none"])
async def test_through_the_evaluator_it_is_asked_once_and_billed_each_run(lab: Lab, text: str) -> None:
    proposer, engine = proposing(text)
    told: list[tuple[object, Amounts]] = []
    for _ in range(3):
        evaluator = lab.evaluator(budget=Amounts(tokens=100_000))
        proposal = await evaluator.propose(proposer, seed_candidate(), "steer", [record(0.5)], number=1)
        told.append((proposal, evaluator.budget.spent))
        lab.close_journals()
    assert len(engine.prompts) == 1
    assert told[0] == told[1] == told[2]
    assert told[0][1].tokens == len(engine.prompts[0].split()) + len(text.split())


async def test_no_candidate_is_changed_by_asking() -> None:
    proposer, _ = proposing(answer(GOOD))
    candidate = Candidate(components=dict(seed_candidate().components))
    await proposer.propose(candidate, "steer", [], seed=1)
    assert candidate == seed_candidate()


async def test_what_was_learned_is_shown_beside_the_own_moves_and_says_where_it_was_learned() -> None:
    lm, engine = scripted_lm(lambda prompt: answer(GOOD))
    lessons = [record(n / 100).model_copy(update={"origin": "machines production"}) for n in range(40)]
    proposer = LMProposer(lm, SPACE, lessons)
    own = [record(n / 100 + 0.001) for n in range(40)]
    assert (await proposer.propose(seed_candidate(), "steer", own, seed=1))[0] is not None
    assert engine.prompts[0].count("machines production") == MOST_LEARNED
    assert engine.prompts[0].count("change of `correct` by the checkers") == MOST_RECORDS + MOST_LEARNED
    assert (await proposer.propose(seed_candidate(), "stop", [], seed=1)) is not None
    assert "machines production" not in engine.prompts[1]


async def evidence(lab: Lab, tasks: int = 4) -> tuple[Evidence, TreeReplay]:
    chosen = lab.benchmark.tasks("search")[:tasks]
    trees = await lab.replay(chosen)
    scored = await lab.evaluator().evaluate(Request(seed_candidate(), chosen, seed=2, keep_rollouts=True))
    told = {task.digest: task for task in chosen}
    return await gather(seed_candidate(), scored, lab.setup(), tasks=told, trees=trees, seed=7), trees


async def test_it_is_shown_whole_episodes_pairs_and_findings(lab: Lab) -> None:
    told, trees = await evidence(lab)
    histories = {digest: tree.history for digest, tree in trees.trees.items()}
    findings = analyse(told.moves, benchmark="planted", actions=ACTIONS, histories=histories)
    lm, engine = scripted_lm(lambda prompt: answer(GOOD))
    space = replace(SPACE, actions=ACTIONS)
    proposer = LMProposer(lm, space, material=Material(pairs=tree_pairs(trees, trees.trees), findings=findings))
    proposal, _ = await proposer.propose(seed_candidate(), "steer", told, seed=1)
    assert proposal is not None
    (prompt,) = engine.prompts
    for piece in ("an episode of this candidate", "what this candidate does on recorded attempts", "probabilities"):
        assert piece in prompt
    assert prompt.count("two ways on from one place") == MOST_PAIRS
    assert all(one.line in prompt for one in findings if one.for_models)
    worker_written = [one for one in findings if not one.for_models]
    assert worker_written and not any(one.line in prompt for one in worker_written)
    in_the_instructions = 1
    assert prompt.count("<observation") - in_the_instructions == prompt.count("</observation>") > 50


async def test_what_does_not_fit_is_said_to_be_left_out(lab: Lab) -> None:
    told, _ = await evidence(lab)
    lm, engine = scripted_lm(lambda prompt: answer(GOOD))
    for most in (8_000, 30_000):
        proposer = LMProposer(lm, SPACE, material=Material(most_chars=most))
        await proposer.propose(seed_candidate(), "steer", told, seed=1)
        assert len(engine.prompts[-1]) < most + 6_000
        assert "more episodes are left out" in engine.prompts[-1]
    assert "more records are left out" in engine.prompts[0]


async def test_a_narrow_batch_is_shown_other_tasks_pairs_of_the_widest_spread_and_not_always_the_same(lab: Lab) -> None:
    _, trees = await evidence(lab, 30)
    pairs = [pair for pair in tree_pairs(trees, trees.trees) if pair.policy == "steer"]
    lm, engine = scripted_lm(lambda prompt: answer(GOOD))
    proposer = LMProposer(lm, SPACE, material=Material(pairs=pairs))
    for seed in (1, 2, 1):
        await proposer.propose(seed_candidate(), "steer", [], seed=seed)
    first, second, again = engine.prompts
    assert first == again != second
    widest, least = {pair.task[:12] for pair in pairs[: 4 * MOST_PAIRS]}, pairs[-1].task[:12]
    shown = set(re.findall(r'"task\\":\\"(\w+)', first + second))
    assert len(shown) > 1 and shown <= widest and least not in shown


async def test_a_program_has_its_own_authors() -> None:
    proposer, engine = proposing(answer(GOOD))
    program = Candidate(components={"program": '{"source":"","tier":"rule"}'})
    assert await proposer.propose(program, "program", [], seed=1) == (None, Cost())  # type: ignore[arg-type]
    assert engine.prompts == []
