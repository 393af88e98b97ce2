"""Proposals: what agrees and loses little, alone and together."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from controllers.baselines import controller_components
from controllers.observe import NoObserver
from controllers.policies.lm import LMPolicy
from controllers.program import Controller, controller_of, policy_of
from controllers.scripted_engine import scripted_lm
from optimizers.replay.asking import Asking
from optimizers.replay.tree import TreeReplay
from optimizers.setup import Grant
from optimizers.tiers.answered import Answered, Row
from optimizers.tiers.asked import Answers
from optimizers.tiers.demotion import Demotion, Proposal, Registered, propose
from optimizers.tiers.regret import Replayer
from signatures.records import Candidate, PolicyName
from tests.worlds.recorded import OBJECTIVES, TASK, Node, tree_of

STEERS = ("none", "fan")
TASKS = [TASK.model_copy(update={"digest": f"t{n:03}"}) for n in range(120)]
NODES = [Node("a"), Node("b", parent="a", action="none"), Node("c", correct=1.0, parent="a", action="fan")]
TREES = TreeReplay({t.digest: tree_of(NODES) for t in TASKS}, NoObserver(), OBJECTIVES, Grant(2, None, STEERS))


def said(action: str) -> str:
    return f"[[ ## action ## ]]\n{action}\n\n[[ ## confidence ## ]]\n1.0\n\n[[ ## completed ## ]]"


def script(prompt: str) -> str:
    legal = json.loads(re.findall(r"\[\[ ## legal ## \]\]\n(\[.*?\])", prompt, re.DOTALL)[-1])
    return said(next(action for action in ("refine_last", "fan", "fanout_1") if action in legal))


def controller(*asking: PolicyName) -> Controller:
    lm, _ = scripted_lm(script)
    rules = controller_of(Candidate(components=controller_components(refine=True, steer={"fan": 1.0})))
    policies = {name: LMPolicy(name, lm) if name in asking else policy for name, policy in rules.policies.items()}
    return Controller(stop=policies["stop"], topology=policies["topology"], steer=policies["steer"])


def rows(action: str, legal: tuple[str, ...]) -> Answered:
    return Answered([Row(task.digest, {"attempts": 1.0}, legal, action) for task in TASKS], asked=len(TASKS))


async def proposal(model: Controller, decided: Mapping[PolicyName, Answered], **registered: float) -> Proposal:
    with Asking() as asking:
        replayer = Replayer(TREES, TASKS, Answers(asking, most=10**6), walks=2)
        return await propose(model, decided, replayer, Registered(**registered))  # type: ignore[arg-type]


def of(found: Proposal, policy: str) -> Demotion:
    return next(one for one in found.demotions if one.policy == policy)


async def test_a_rule_that_does_the_same_is_proposed() -> None:
    model = controller("steer")
    found = await proposal(model, {"steer": rows("fan", STEERS)})
    one = of(found, "steer")
    assert one.proposed and one.rules == ("always: fan",) and found.together == one.regrets
    assert found.candidate is not None
    assert found.candidate.components["stop"] == model.candidate.components["stop"]
    assert policy_of("steer", found.candidate.components["steer"], None).tier == "rule"


async def test_a_rule_that_agrees_and_loses_is_not() -> None:
    """The record of decisions says `none`, what the model answers on the trees is `fan`: agreement is not value."""
    found = await proposal(controller("steer"), {"steer": rows("none", STEERS)})
    one = of(found, "steer")
    assert one.agreement is not None and one.agreement.share.mean == 1.0
    assert not one.proposed and found.candidate is None
    assert any("correct may lose up to 100.0 points" in reason for reason in one.reasons)


async def test_a_rule_that_disagrees_is_not_however_well_it_does() -> None:
    some = rows("fan", STEERS)
    some.rows[::3] = [row._replace(action="none") for row in some.rows[::3]]
    one = of(await proposal(controller("steer"), {"steer": some}), "steer")
    assert not one.proposed and one.reasons == ("it agrees in 66.7% of the decisions, and 90.0% is registered",)


async def test_too_little_evidence_for_the_registered_regret_is_no_proposal() -> None:
    one = of(await proposal(controller("steer"), {"steer": rows("fan", STEERS)}, regret=0.01), "steer")
    assert not one.proposed and all(regret.loss == 0.0 for regret in one.regrets)


async def test_a_policy_without_recorded_decisions_says_so() -> None:
    one = of(await proposal(controller("steer"), {"steer": Answered()}), "steer")
    assert not one.proposed and one.component is None and "decisions on 0 tasks" in one.reasons[0]


async def test_two_rules_are_valued_together() -> None:
    later = rows("refine_last", ("refine_last", "fanout_1"))
    first = [
        row._replace(features={"attempts": 0.0}, legal=("fanout_1", "fanout_2"), action="fanout_1")
        for row in later.rows
    ]
    topology = Answered([*later.rows, *first], asked=2 * len(TASKS))
    decided: dict[PolicyName, Answered] = {"topology": topology, "steer": rows("fan", STEERS)}
    found = await proposal(controller("topology", "steer"), decided)
    assert {one.policy for one in found.demotions if one.proposed} == {"topology", "steer"}
    assert found.together and found.candidate is not None
    assert all(regret.loss == 0.0 for regret in found.together)


async def test_more_policies_that_are_looked_at_widen_every_interval() -> None:
    """What is proposed is chosen among three sets of two policies: a bound that holds for one alone would not hold."""
    model = controller("topology", "steer")
    alone = of(await proposal(model, {"steer": rows("fan", STEERS)}), "steer")
    beside: dict[PolicyName, Answered] = {"steer": rows("fan", STEERS), "topology": Answered()}
    both = of(await proposal(model, beside), "steer")
    assert all(two.hi > one.hi for one, two in zip(alone.regrets, both.regrets, strict=True))
