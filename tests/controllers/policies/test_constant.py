from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controllers.policies import View
from controllers.policies.constant import ConstantPolicy
from controllers.policies.rule import RulePolicy, parse_rules
from signatures.records import Cost
from tests.controllers.parts import a_task

WEIGHTS = st.dictionaries(st.text(max_size=5), st.floats(0, 1e6), min_size=1, max_size=4)
FEATURES = st.dictionaries(st.sampled_from(["passed", "attempts"]), st.floats(-5, 5))


@given(WEIGHTS, FEATURES)
async def test_it_says_the_same_whatever_was_observed(weights: dict[str, float], features: dict[str, float]) -> None:
    answer = await ConstantPolicy(weights).decide(View(a_task(), features, tuple(weights)))
    assert answer.weights == weights
    assert (answer.shown, answer.cost) == ((), Cost())


@given(WEIGHTS)
async def test_its_text_loads_as_a_rule_list_that_decides_alike(weights: dict[str, float]) -> None:
    policy = ConstantPolicy(weights)
    loaded = RulePolicy(parse_rules(policy.text))
    view = View(a_task(), {"passed": 1.0}, tuple(weights))
    assert await loaded.decide(view) == await policy.decide(view)
    assert loaded.tier == policy.tier == "rule"
    assert RulePolicy(parse_rules(loaded.text)).text == loaded.text


async def test_what_the_caller_does_later_changes_nothing() -> None:
    weights = {"done": 1.0}
    policy = ConstantPolicy(weights)
    weights["done"] = 9.0
    assert (await policy.decide(View(a_task(), {}, ("done",)))).weights == {"done": 1.0}
