"""The proposer of what recurs: the rule, the runs that speak for it, and nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from controllers.baselines import seed_candidate
from controllers.policies.rule import Condition, Rule, parse_rules
from controllers.program import lm_component
from controllers.scripted_engine import scripted_lm
from optimizers.evaluator import Request
from optimizers.evidence.analysis import analyse
from optimizers.evidence.findings import AnalysisFinding, Recommended, finding_id
from optimizers.evidence.recurring import Findings, Recurrence
from optimizers.journal import Proposal
from optimizers.proposers.mined import MinedProposer
from optimizers.proposers.recurring import RecurringProposer
from optimizers.space import Space, with_rule
from signatures.records import Candidate, Cost, PolicyName
from tests.worlds.lab import ACTIONS, Lab, value_of, with_components

SPACE = Space(thresholds={"lit.fan": (0.5,)}, actions=ACTIONS)
LIT = Condition(feature="lit.fan", op=">", value=0.5)


def recurrence(action: str = "fan", runs: int = 2, *, when: bool = True, policy: PolicyName = "steer") -> Recurrence:
    subject = f"{policy} {action} {when}"
    finding = AnalysisFinding(
        id=finding_id("planted", "action helped", subject),
        benchmark="planted",
        kind="action helped",
        subject=subject,
        severity="high",
        said=f"where lit.fan > 0.5, `{action}` helped",
        advice="try it",
        rule=Recommended(policy=policy, when=(LIT,) if when else (), action=action),
        shown=1,
        of=2,
        share=0.5,
        evidence=(),
        basis="b",
    )
    return Recurrence(finding=finding, runs=tuple(f"run {n}" for n in range(runs)))


async def proposed(
    recurrences: Sequence[Recurrence],
    seeds: int = 40,
    candidate: Candidate | None = None,
    component: PolicyName = "steer",
) -> list[Proposal]:
    proposer = RecurringProposer(SPACE, recurrences)
    found = [await proposer.propose(candidate or seed_candidate(), component, [], seed=n) for n in range(seeds)]
    assert all(cost == Cost() for _, cost in found)
    return [one for one, _ in found if one is not None]


async def test_the_rule_is_proposed_with_its_hypothesis_and_the_runs_that_speak_for_it() -> None:
    (one, *others) = await proposed([recurrence(runs=3)])
    assert others == [one] * 39
    wanted = with_rule(seed_candidate(), "steer", Rule(when=(LIT,), then={"fan": 1.0}))
    assert one.text == wanted.components["steer"] and one.proposer == "recurring"
    assert one.evidence == "where lit.fan > 0.5, `fan` helped; found in 3 runs: run 0, run 1, run 2"
    assert one.hypothesis == "`fan` is what is missing: where lit.fan > 0.5, `fan` helped."


async def test_the_more_runs_the_likelier() -> None:
    texts = Counter(one.text for one in await proposed([recurrence(runs=2), recurrence("pump", runs=8)], 200))
    assert len(texts) == 2 and "pump" in texts.most_common(1)[0][0]


async def test_without_a_condition_the_default_is_changed() -> None:
    (one, *_) = await proposed([recurrence(when=False)])
    assert parse_rules(one.text).otherwise == {"fan": 1.0}


@pytest.mark.parametrize("component", ["stop", "topology", "program"])
async def test_it_is_for_its_own_component(component: PolicyName) -> None:
    assert await proposed([recurrence()], component=component) == []


async def test_what_was_adopted_or_nobody_may_draw_is_not_proposed() -> None:
    adopted = with_rule(seed_candidate(), "steer", Rule(when=(LIT,), then={"fan": 1.0}))
    assert await proposed([recurrence()], candidate=adopted) == []
    assert await proposed([recurrence("elsewhere")]) == [] and await proposed([]) == []


async def test_a_models_policy_is_left_alone() -> None:
    lm, _ = scripted_lm(lambda prompt: "")
    assert await proposed([recurrence()], candidate=with_components(steer=lm_component("steer", lm))) == []


class Other:
    """A proposer that says that it was asked."""

    name = "other"

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: object, *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        return Proposal(text="t", evidence="e", proposer=self.name, hypothesis="h"), Cost(usd=1.0)


async def test_another_proposer_has_two_in_three_and_everything_once_nothing_recurs() -> None:
    both = RecurringProposer(SPACE, [recurrence()], Other())
    asked = [(await both.propose(seed_candidate(), "steer", [], seed=n)) for n in range(300)]
    share = sum(one is not None and one.proposer == "recurring" for one, _ in asked) / 300
    assert 0.25 < share < 0.42
    assert all((cost.usd is None) == (one is not None and one.proposer == "recurring") for one, cost in asked)
    assert asked == [(await both.propose(seed_candidate(), "steer", [], seed=n)) for n in range(300)]
    stop = [await both.propose(seed_candidate(), "stop", [], seed=n) for n in range(20)]
    assert {one.proposer for one, _ in stop if one is not None} == {"other"}


async def test_what_two_runs_found_helps_on_tasks_that_neither_saw(lab: Lab) -> None:
    kept = Findings(lab.folder / "findings-planted.jsonl")
    tasks = lab.benchmark.tasks("search")
    for name, part in (("one", tasks[:30]), ("two", tasks[30:60])):
        replay = await lab.replay(part)
        moves = [move for digest in replay.trees for move in replay.moves(digest)]
        kept.add(name, analyse(moves, benchmark="planted", actions=ACTIONS))
    proposer = RecurringProposer(lab.space(replay), kept.recurrent(), MinedProposer(lab.space(replay)))
    candidate = seed_candidate()
    for seed in range(12):
        proposal, _ = await proposer.propose(candidate, "steer", [], seed=seed)
        if proposal is not None:
            assert proposal.proposer == "recurring" and "found in 2 runs: one, two" in proposal.evidence
            candidate = Candidate(components={**candidate.components, "steer": proposal.text})
    evaluator = lab.evaluator()
    before, after = [
        value_of([one.score for one in await evaluator.evaluate(Request(c, tasks[60:120], seed=1))])
        for c in (seed_candidate(), candidate)
    ]
    assert after > before + 0.05
