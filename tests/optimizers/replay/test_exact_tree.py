"""Tree replay as an estimator: means over tasks, unsupported mass refuses or widens, unknown outcomes are counted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from controllers.baselines import seed_candidate
from controllers.observe import NoObserver
from controllers.program import controller_of
from optimizers.episode_log import Target
from optimizers.replay import Asked, Evidence
from optimizers.replay.estimates import Estimate, Refusal, require
from optimizers.replay.exact_tree import ExactTree, answer_of
from optimizers.replay.tree import Replayed, TreeReplay
from optimizers.setup import Grant
from signatures.errors import UsageError
from signatures.records import Amounts, Task
from tests.worlds.recorded import OBJECTIVES, Node, tree_of

ASKED = Asked(("seed",), (controller_of(seed_candidate()),))


def task(name: str) -> Task:
    return Task(digest=name, benchmark="hand", prompt="do it")


def answer(trees: Mapping[str, Sequence[Node]], tasks: Sequence[str] | None = None) -> Estimate | Refusal:
    recorded = {name: tree_of([_of(name, node) for node in nodes]) for name, nodes in trees.items()}
    replay = TreeReplay(recorded, NoObserver(), OBJECTIVES, Grant(2, None, ("none",)))
    evidence = Evidence(trees=replay, tasks=[task(name) for name in (trees if tasks is None else tasks)])
    return asyncio.run(ExactTree().estimate(evidence, ASKED))[0]


def _of(name: str, node: Node) -> Node:
    """The node with an id of its task: an attempt's id is unique in a corpus."""
    return replace(node, id=f"{name}/{node.id}", parent=node.parent and f"{name}/{node.parent}")


SOLVED = [Node("a", correct=1.0, turns=2)]
RESCUED = [Node("a", correct=0.0, turns=4), Node("b", correct=1.0, parent="a", turns=2)]
LOST = [Node("a", correct=0.0, turns=4)]


def test_the_value_is_the_mean_over_tasks() -> None:
    one = require(answer({"s": SOLVED, "r": RESCUED, "f": [*LOST, Node("b", parent="a", turns=4)]}))
    assert one.values["correct"].value == pytest.approx(2 / 3)
    assert one.values["fast"].value == pytest.approx(1 - (2 + 6 + 8) / 3 / 20)
    assert (one.support.n, one.support.ess, one.support.unsupported) == (3, 3.0, 0.0)
    assert one.support.mean_weight is None and one.support.audited is None


def test_unrecorded_tasks_are_no_evidence() -> None:
    assert require(answer({"s": SOLVED}, tasks=["s", "elsewhere"])).support.n == 1
    refused = answer({"s": SOLVED}, tasks=["elsewhere"])
    assert isinstance(refused, Refusal) and "no task" in refused.reason


def test_much_that_is_unsupported_refuses_and_says_how_much() -> None:
    refused = answer({"s": SOLVED, "f": LOST})
    assert isinstance(refused, Refusal) and "50.0%" in refused.reason
    assert refused.support is not None and refused.support.unsupported == pytest.approx(0.5)


def test_little_that_is_unsupported_widens() -> None:
    many = {f"s{i}": [Node("a", correct=float(i % 2), turns=2), Node("b", parent="a", turns=2)] for i in range(40)}
    whole, part = require(answer(many)), require(answer({**many, "f": LOST}))
    assert part.support.unsupported == pytest.approx(1 / 41)
    for name in ("correct", "fast"):
        inner, outer = whole.values[name], part.values[name]
        assert inner.lo is not None and inner.hi is not None and outer.lo is not None and outer.hi is not None
        assert outer.hi - outer.lo > inner.hi - inner.lo


def test_an_unknown_outcome_is_left_out_and_counted() -> None:
    known = Replayed({"correct": 1.0}, 0.0, Amounts())
    unknown = Replayed({"correct": None}, 0.0, Amounts())
    one = require(answer_of("c", "tree", {"a": known, "b": unknown, "c": known}))
    assert (one.support.n, one.support.left_out, one.values["correct"].value) == (2, 1, 1.0)
    refused = answer_of("c", "tree", {"b": unknown})
    assert isinstance(refused, Refusal) and "known" in refused.reason


def test_an_action_that_was_never_recorded_refuses() -> None:
    replay = TreeReplay({"s": tree_of(SOLVED)}, NoObserver(), OBJECTIVES, Grant(2, None, ("none",)))
    target = Target(("seed",), np.zeros((0, 1)), (("shout",),))
    asked = Asked(ASKED.names, ASKED.controllers, target)
    refused = asyncio.run(ExactTree().estimate(Evidence(trees=replay, tasks=[task("s")]), asked))[0]
    assert isinstance(refused, Refusal) and "shout" in refused.reason


def test_what_it_needs_is_named() -> None:
    with pytest.raises(UsageError, match="recorded trees"):
        asyncio.run(ExactTree().estimate(Evidence(), ASKED))
