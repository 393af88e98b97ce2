"""Decision lists that say what a small tree says."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.policies import View
from controllers.policies.rule import RuleList, RulePolicy, parse_rules
from optimizers.tiers.answered import Row
from optimizers.tiers.fitting import Size, fit_rules, said
from signatures.errors import NoSupport
from signatures.records import Task

LEGAL = ("a", "b", "c")
TASK = Task(digest="t", benchmark="hand", prompt="")


def rows(pairs: list[tuple[dict[str, float], str]]) -> list[Row]:
    return [Row(f"t{number}", features, LEGAL, action) for number, (features, action) in enumerate(pairs)]


def decided(rules: RuleList, features: dict[str, float]) -> str:
    weights = asyncio.run(RulePolicy(rules).decide(View(TASK, features, LEGAL))).weights
    return max(weights, key=lambda action: weights[action])


def test_a_planted_list_is_found_and_reads_well() -> None:
    pairs = [({"x": float(x), "noise": float(x * 7 % 5)}, "a" if x > 10 else "b") for x in range(20)]
    rules = fit_rules(rows(pairs), Size())
    assert said(rules) == ["if x > 10.5: a", "otherwise: b"]
    assert all(decided(rules, features) == action for features, action in pairs)


def test_a_feature_that_was_not_observed_goes_with_the_small_values() -> None:
    pairs = [({"x": 1.0}, "a")] * 10 + [({}, "b")] * 10 + [({"x": 5.0}, "c")] * 10
    rules = fit_rules(rows(pairs), Size())
    assert [decided(rules, features) for features in ({"x": 1.0}, {}, {"x": 5.0})] == ["a", "b", "c"]


def test_one_answer_is_a_rule_without_conditions() -> None:
    rules = fit_rules(rows([({"x": float(n)}, "b") for n in range(9)]), Size())
    assert rules.rules == () and said(rules) == ["always: b"]


def test_a_task_counts_once_however_often_it_was_decided() -> None:
    many = [Row("t0", {}, LEGAL, "a")] * 50
    assert fit_rules([*many, *rows([({}, "b"), ({}, "b")])[1:], Row("t9", {}, LEGAL, "b")], Size()).otherwise == {
        "b": 1.0
    }


def test_the_order_of_rows_changes_nothing() -> None:
    rng = random.Random(3)
    some = rows([({"x": rng.random(), "y": rng.random()}, rng.choice(LEGAL)) for _ in range(60)])
    shuffled = list(some)
    rng.shuffle(shuffled)
    assert fit_rules(some, Size()) == fit_rules(shuffled, Size())


def test_without_rows_nothing_is_fitted() -> None:
    with pytest.raises(NoSupport, match="no recorded decision"):
        fit_rules([], Size())


VALUE = st.none() | st.integers(-3, 3).map(float)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(VALUE, VALUE, st.sampled_from(LEGAL)), min_size=1, max_size=40), st.integers(1, 3))
def test_the_list_says_what_the_tree_says_within_its_size(
    drawn: list[tuple[float | None, float | None, str]], depth: int
) -> None:
    from sklearn.tree import DecisionTreeClassifier

    pairs = [({n: v for n, v in (("x", x), ("y", y)) if v is not None}, action) for x, y, action in drawn]
    size = Size(depth=depth, rules=6, least=1)
    rules = fit_rules(rows(pairs), size)
    assert len(rules.rules) + 1 <= size.rules and all(len(rule.when) <= depth for rule in rules.rules)
    assert RulePolicy(parse_rules(RulePolicy(rules).text)).text == RulePolicy(rules).text
    names = sorted({name for features, _ in pairs for name in features})
    ours = sum(decided(rules, features) == action for features, action in pairs)
    if not names:
        return
    low = {name: min(f[name] for f, _ in pairs if name in f) - 1 for name in names}
    ordered = sorted(rows(pairs), key=lambda row: (row.task, sorted(row.features.items()), row.legal, row.action))
    table = [[row.features.get(name, low[name]) for name in names] for row in ordered]
    tree = DecisionTreeClassifier(max_depth=depth, max_leaf_nodes=6, random_state=0).fit(
        table, [row.action for row in ordered]
    )
    theirs = sum(said == row.action for said, row in zip(tree.predict(table), ordered, strict=True))
    assert ours == theirs
