from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.policies import View
from controllers.policies.rule import Condition, Rule, RuleList, RulePolicy, parse_rules
from signatures.errors import UsageError
from tests.controllers.parts import a_task

LEGAL = ("refine_last", "refine_best", "fanout_1")
NAMES = st.text(max_size=6)
WEIGHTS = st.dictionaries(NAMES, st.floats(0, 1e6), min_size=1, max_size=3)
CONDITIONS = st.builds(
    Condition, feature=NAMES, op=st.sampled_from(["<=", ">"]), value=st.floats(allow_nan=False, allow_infinity=False)
)
RULES = st.builds(Rule, when=st.lists(CONDITIONS, max_size=2).map(tuple), then=WEIGHTS)
LISTS = st.builds(RuleList, rules=st.lists(RULES, max_size=3).map(tuple), otherwise=WEIGHTS)


def policy(*rules: dict[str, object], otherwise: dict[str, float] | None = None) -> RulePolicy:
    return RulePolicy(parse_rules(json.dumps({"rules": rules, "otherwise": otherwise or {"fanout_1": 1.0}})))


def when(feature: str, op: str, value: float, **then: float) -> dict[str, object]:
    return {"when": [{"feature": feature, "op": op, "value": value}], "then": then}


async def decided(chosen: RulePolicy, features: dict[str, float], legal: tuple[str, ...] = LEGAL) -> dict[str, float]:
    answer = await chosen.decide(View(a_task(), features, legal))
    return dict(answer.weights)


@pytest.mark.parametrize(
    ("op", "value", "holds"), [("<=", 0.5, True), ("<=", 0.4, False), (">", 0.4, True), (">", 0.5, False)]
)
def test_a_condition_compares(op: str, value: float, holds: bool) -> None:
    condition = Condition.model_validate({"feature": "progress", "op": op, "value": value})
    assert condition.holds({"progress": 0.5}) is holds


@pytest.mark.parametrize("op", ["<=", ">"])
def test_a_feature_that_was_not_observed_makes_a_condition_false(op: str) -> None:
    assert not Condition.model_validate({"feature": "progress", "op": op, "value": 0.0}).holds({"other": 1.0})


async def test_the_first_rule_that_holds_decides() -> None:
    chosen = policy(
        when("stalled", ">", 1, refine_best=1.0), when("stalled", ">", 0, refine_last=1.0), otherwise={"fanout_1": 2.0}
    )
    assert await decided(chosen, {"stalled": 2}) == {"refine_best": 1.0}
    assert await decided(chosen, {"stalled": 1}) == {"refine_last": 1.0}
    assert await decided(chosen, {"stalled": 0}) == {"fanout_1": 2.0}
    assert await decided(chosen, {}) == {"fanout_1": 2.0}


async def test_all_conditions_of_a_rule_must_hold() -> None:
    both = {
        "when": [{"feature": "a", "op": ">", "value": 0}, {"feature": "b", "op": ">", "value": 0}],
        "then": {"refine_last": 1.0},
    }
    chosen = policy(both)
    assert await decided(chosen, {"a": 1, "b": 1}) == {"refine_last": 1.0}
    assert await decided(chosen, {"a": 1, "b": 0}) == {"fanout_1": 1.0}


@pytest.mark.parametrize("then", [{"refine_best": 1.0}, {"refine_best": 1.0, "refine_last": 0.0}])
async def test_a_rule_with_no_legal_action_is_passed_over(then: dict[str, float]) -> None:
    chosen = policy({"when": [], "then": then}, when("stalled", ">", 0, refine_last=1.0))
    legal = ("refine_last", "fanout_1")
    assert await decided(chosen, {"stalled": 1}, legal) == {"refine_last": 1.0}
    assert await decided(chosen, {"stalled": 0}, legal) == {"fanout_1": 1.0}
    assert await decided(chosen, {"stalled": 0}) == then


@given(LISTS)
def test_a_list_comes_back_from_its_text(rules: RuleList) -> None:
    chosen = RulePolicy(rules)
    assert parse_rules(chosen.text) == rules
    assert RulePolicy(parse_rules(chosen.text)).text == chosen.text


@given(LISTS, st.dictionaries(NAMES, st.floats(-1e6, 1e6), max_size=3), st.lists(NAMES, min_size=1, max_size=3))
async def test_it_decides_for_any_features(rules: RuleList, features: dict[str, float], legal: list[str]) -> None:
    answer = await RulePolicy(rules).decide(View(a_task(), features, tuple(legal)))
    assert answer.weights in [rules.otherwise, *(rule.then for rule in rules.rules)]
    assert answer.cost.tokens_in is None


def plainly(rules: RuleList, features: dict[str, float], legal: tuple[str, ...]) -> dict[str, float]:
    """What a decision list means, rule by rule, as it is written."""
    for rule in rules.rules:
        if any(rule.then.get(name, 0.0) > 0 for name in legal) and all(one.holds(features) for one in rule.when):
            return dict(rule.then)
    return dict(rules.otherwise)


FEW = st.sampled_from(["a", "b", "c"])
FEW_CONDITIONS = st.builds(Condition, feature=FEW, op=st.sampled_from(["<=", ">"]), value=st.integers(-2, 2).map(float))
FEW_RULES = st.builds(
    Rule,
    when=st.lists(FEW_CONDITIONS, max_size=3).map(tuple),
    then=st.dictionaries(FEW, st.sampled_from([0.0, 1.0, 2.0]), min_size=1),
)
FEW_LISTS = st.builds(
    RuleList, rules=st.lists(FEW_RULES, max_size=5).map(tuple), otherwise=st.dictionaries(FEW, st.just(1.0), min_size=1)
)


@given(
    FEW_LISTS,
    st.dictionaries(FEW, st.integers(-3, 3).map(float) | st.just(float("nan"))),
    st.lists(FEW, min_size=1, max_size=3, unique=True),
)
async def test_unpacked_rules_decide_as_the_written_ones(
    rules: RuleList, features: dict[str, float], legal: list[str]
) -> None:
    assert await decided(RulePolicy(rules), features, tuple(legal)) == plainly(rules, features, tuple(legal))


def test_the_text_is_made_once() -> None:
    chosen = policy(when("a", ">", 0, done=1.0))
    assert chosen.text is chosen.text


OK = {"rules": [when("a", ">", 0, done=1.0)], "otherwise": {"continue": 1.0}}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "the text"),
        ("not JSON", "the text"),
        ("[]", "the text"),
        ("{}", "otherwise"),
        (json.dumps({**OK, "extra": 1}), "extra"),
        (json.dumps({**OK, "tier": "frontier"}), "tier"),
        (json.dumps({**OK, "otherwise": {}}), "otherwise"),
        (json.dumps({**OK, "otherwise": {"done": -1}}), "otherwise.done"),
        (json.dumps({**OK, "otherwise": {"done": "yes"}}), "otherwise.done"),
        ('{"otherwise": {"done": NaN}}', "otherwise.done"),
        ('{"otherwise": {"done": 1e999}}', "otherwise.done"),
        (json.dumps({**OK, "rules": [when("a", "==", 0, done=1.0)]}), "rules.0.when.0.op"),
        (json.dumps({**OK, "rules": [when("a", ">", 0)]}), "rules.0.then"),
        (
            json.dumps({**OK, "rules": [{"when": [{"feature": "a", "op": ">"}], "then": {"x": 1}}]}),
            "rules.0.when.0.value",
        ),
        (json.dumps({**OK, "rules": [{"then": {"x": 1}}]}), "rules.0.when"),
    ],
)
def test_what_is_no_list_is_one_clear_line(text: str, place: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rules(text)
    message = str(caught.value)
    assert message.startswith(f"not a decision list: {place}: ")
    assert "\n" not in message
