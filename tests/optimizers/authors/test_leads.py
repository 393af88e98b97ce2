"""What recorded moves speak for."""

from __future__ import annotations

import random

import pytest

from controllers.policies.rule import Condition
from optimizers.authors.leads import LEAST_ROWS, MOST, leads_of
from optimizers.evidence.reflection import Reflection
from optimizers.space import Space
from signatures.records import PolicyName

SPACE = Space(
    thresholds={"lamp": (0.5,), "noise": (0.25, 0.75)},
    actions={"stop": ("continue", "done"), "topology": ("refine_last", "fanout_1"), "steer": ("none", "fan", "pump")},
)
LIT = Condition(feature="lamp", op=">", value=0.5)
DARK = Condition(feature="lamp", op="<=", value=0.5)


def moves(policy: PolicyName, seed: int = 0, n: int = 300) -> list[Reflection]:
    """Where the lamp is lit, `fan` and going on gain; where it is dark a further attempt gains nothing."""
    rng = random.Random(seed)
    actions = {"stop": ("continue",), "topology": ("refine_last", "fanout_1"), "steer": ("none", "fan", "pump")}
    found = []
    for _ in range(n):
        lit, action = float(rng.random() < 0.5), rng.choice(actions[policy])
        good = lit and action in ("fan", "refine_last", "continue")
        features = {"lamp": lit, "noise": rng.random()}
        gain = rng.choice((0.0, 0.4)) if good else 0.0
        found.append(Reflection(policy=policy, features=features, action=action, gain=gain, turns=2))
    return found


def test_the_action_that_improved_where_the_lamp_was_lit_leads() -> None:
    lead = leads_of(moves("steer"), SPACE)[0]
    assert (lead.kind, lead.action, lead.when) == ("steer", "fan", LIT)
    assert lead.strength > 5 and "+0.1" in lead.evidence
    assert all(one.action != "pump" for one in leads_of(moves("steer"), SPACE))


def test_going_on_and_starting_again_are_compared() -> None:
    leads = leads_of(moves("topology"), SPACE)
    assert (leads[0].kind, leads[0].when) == ("carry", LIT)
    assert not any(lead.kind == "fresh" for lead in leads)


def test_where_nothing_more_came_stopping_is_a_lead() -> None:
    leads = leads_of(moves("stop"), SPACE)
    assert {(lead.kind, lead.when) for lead in leads} == {("stop", DARK)}
    assert "0% of" in leads[0].evidence


@pytest.mark.parametrize("policy", ["steer", "topology", "stop"])
def test_too_few_moves_lead_nowhere(policy: PolicyName) -> None:
    assert leads_of(moves(policy, n=LEAST_ROWS - 1), SPACE) == ()
    assert leads_of([], SPACE) == ()


def test_the_order_is_by_strength_and_does_not_depend_on_that_of_the_moves() -> None:
    every = [*moves("steer"), *moves("topology"), *moves("stop")]
    leads = leads_of(every, SPACE)
    assert [lead.strength for lead in leads] == sorted((lead.strength for lead in leads), reverse=True)
    assert 0 < len(leads) <= MOST
    shuffled = random.Random(3).sample(every, len(every))
    assert [(x.kind, x.action, x.when) for x in leads_of(shuffled, SPACE)] == [
        (x.kind, x.action, x.when) for x in leads
    ]
