"""Fitting a readable decision list to recorded answers: a small tree, written as rules that are read from above.

A branch of the tree on `feature > value` becomes rules with that condition; what it leaves over comes after them and
needs no condition, since the first rule that holds decides. A feature that was not observed makes every condition
false, so it goes with the small values, in the fit as in the rule.
Source of the tree: Breiman et al. 1984, with Gini impurity; every task weighs the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from controllers.policies.rule import Condition, Rule, RuleList
from optimizers.tiers.answered import Row
from signatures.errors import NoSupport

if TYPE_CHECKING:
    from sklearn.tree._tree import Tree

Listed = list[tuple[tuple[Condition, ...], str]]
"""Conditions and the action, from above; the last one has no condition."""


@dataclass(frozen=True)
class Size:
    """How large a rule list may get, so that it can be read."""

    depth: int = 3
    "conditions of one rule"
    rules: int = 8
    "rules, the last one without a condition"
    least: int = 5
    "decisions that a rule rests on"


def fit_rules(rows: Sequence[Row], size: Size) -> RuleList:
    """The rule list that reproduces these answers best within `size`. Raises NoSupport without rows.

    It is a function of the rows, whatever their order.
    """
    if not rows:
        raise NoSupport("no recorded decision to fit a rule to")
    rows = sorted(rows, key=lambda row: (row.task, sorted(row.features.items()), row.legal, row.action))
    listed = _listed(rows, size)
    *above, (_, otherwise) = listed
    while above and above[-1][1] == otherwise:  # it says what comes after it anyway
        above.pop()
    return RuleList(
        rules=tuple(Rule(when=when, then={action: 1.0}) for when, action in above), otherwise={otherwise: 1.0}
    )


def said(rules: RuleList) -> list[str]:
    """The rule list in words, a rule a line."""
    lines = []
    for rule in rules.rules:
        when = " and ".join(f"{one.feature} {one.op} {one.value:.6g}" for one in rule.when)
        lines.append(f"if {when}: {_actions(rule.then)}")
    return [*lines, f"otherwise: {_actions(rules.otherwise)}" if lines else f"always: {_actions(rules.otherwise)}"]


def _actions(weights: Mapping[str, float]) -> str:
    return " or ".join(action for action, weight in weights.items() if weight > 0)


def _listed(rows: Sequence[Row], size: Size) -> Listed:
    names = sorted({name for row in rows for name in row.features})
    actions = sorted({row.action for row in rows})
    counts = Counter(row.task for row in rows)
    weights = np.array([1.0 / counts[row.task] for row in rows])
    answer = np.array([actions.index(row.action) for row in rows])
    if not names or len(actions) == 1 or size.rules < 2 or size.depth < 1:
        return [((), actions[int(np.bincount(answer, weights=weights).argmax())])]
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(
        max_depth=size.depth, max_leaf_nodes=size.rules, min_samples_leaf=size.least, random_state=0
    )
    tree.fit(_matrix(rows, names), answer, sample_weight=weights)
    return _emitted(tree.tree_, names, actions, 0)


def _matrix(rows: Sequence[Row], names: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The features, `rows x names`; what was not observed is one below the smallest value that was."""
    values = np.array([[row.features.get(name, np.nan) for name in names] for row in rows], dtype=np.float64)
    return np.where(np.isnan(values), np.nanmin(values, axis=0) - 1.0, values)


def _emitted(tree: Tree, names: Sequence[str], actions: Sequence[str], node: int) -> Listed:
    """The rules of the subtree below `node`."""
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    if left < 0:
        return [((), actions[int(tree.value[node][0].argmax())])]
    condition = Condition(feature=names[int(tree.feature[node])], op=">", value=float(tree.threshold[node]))
    above = _emitted(tree, names, actions, right)
    below = _emitted(tree, names, actions, left)
    if len({action for _, action in (*above, *below)}) == 1:
        return below[-1:]
    return [*((_with(condition, when), action) for when, action in above), *below]


def _with(condition: Condition, when: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """The conditions and one more from above, which a stricter one on the same feature makes needless."""
    stricter = any(one.feature == condition.feature and one.value >= condition.value for one in when)
    return when if stricter else (condition, *when)
