"""random@k in closed form for every objective: tree replay of random@k agrees with it, and others are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.baselines import control_arms, seed_candidate
from controllers.observe import NoObserver
from controllers.program import controller_of
from optimizers.replay import Asked, Evidence
from optimizers.replay.closed_form import random_at_k
from optimizers.replay.estimates import Estimate, Refusal, require
from optimizers.replay.exact_tree import ExactTree
from optimizers.replay.fresh_draws import FreshDraws
from optimizers.replay.tree import TreeReplay
from optimizers.setup import Grant
from signatures.errors import NoSupport, UsageError
from tests.worlds.recorded import OBJECTIVES, TASK, Node, tree_of

WIDE = tuple(one if one.name == "correct" else one.model_copy(update={"worst": 100.0}) for one in OBJECTIVES)


def evidence_of(nodes: Sequence[Node], k: int) -> Evidence:
    replay = TreeReplay({TASK.digest: tree_of(nodes)}, NoObserver(), WIDE, Grant(k, None, ("none",)))
    return Evidence(trees=replay, tasks=(TASK,))


def asked(k: int) -> Asked:
    candidates = [control_arms(k, None, (), placebo=False)[0].candidate, seed_candidate()]
    return Asked(("random", "other"), tuple(controller_of(one) for one in candidates))


def both(nodes: Sequence[Node], k: int) -> list[Estimate | Refusal]:
    evidence = evidence_of(nodes, k)
    closed, _ = asyncio.run(FreshDraws(k, WIDE).estimate(evidence, asked(k)))
    walked, _ = asyncio.run(ExactTree().estimate(evidence, asked(k)))
    return [closed, walked]


nodes = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 1.0]), st.integers(1, 5)), min_size=1, max_size=6
)


@settings(max_examples=80, deadline=None)
@given(drawn=nodes, k=st.integers(1, 4))
def test_tree_replay_agrees_for_every_objective(drawn: list[tuple[float, float, int]], k: int) -> None:
    recorded = [Node(f"a{i}", correct=c, judged=j, turns=t) for i, (c, j, t) in enumerate(drawn)]
    closed, walked = both(recorded, k)
    if isinstance(walked, Refusal):
        assert isinstance(closed, Refusal) and closed.support is not None and walked.support is not None
        assert closed.support.unsupported == pytest.approx(walked.support.unsupported, abs=1e-9)
        return
    for name, bound in require(closed).values.items():
        assert bound.value == pytest.approx(walked.values[name].value, abs=1e-9)


@given(counts=st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_where_the_checker_is_right_it_is_the_published_form(counts: tuple[int, int, int]) -> None:
    n, c, k = counts
    tree = tree_of([Node(f"a{i}", correct=float(i < c)) for i in range(n)])
    assert FreshDraws(k, WIDE).task_value(tree).values["correct"] == pytest.approx(random_at_k(n, c, k), abs=1e-9)


def test_by_hand() -> None:
    """n = 3, k = 2. `a` passes (judge: 0), `b` .5 (judge: 1), `c` 0 (judge: 0); turns 1, 2, 4.

    Kept: `a` with 1/3 + 2/3 x 1/2 = 2/3, else `b`, which the selector prefers to `c`, with 1/3.
    Drawn: `a` 2/3; `b` first 1/3, or after `c` 1/3 x 1/2; `c` likewise: 1/2 each.
    """
    recorded = [
        Node("a", correct=1.0, judged=0.0, turns=1),
        Node("b", correct=0.5, judged=1.0, turns=2),
        Node("c", correct=0.0, judged=0.0, turns=4),
    ]
    values = FreshDraws(2, WIDE).task_value(tree_of(recorded)).values
    assert values["correct"] == pytest.approx(1 / 3, abs=1e-12)
    assert values["fast"] == pytest.approx(1 - (2 / 3 * 1 + 1 / 2 * 2 + 1 / 2 * 4) / 100, abs=1e-12)
    assert values["cheap"] == pytest.approx(1 - (2 / 3 * 1 + 1 / 3 * 2) / 100, abs=1e-12)


def test_another_controller_is_refused() -> None:
    _, other = asyncio.run(FreshDraws(2, WIDE).estimate(evidence_of([Node("a"), Node("b")], 2), asked(2)))
    assert isinstance(other, Refusal) and "use tree replay" in other.reason


def test_too_few_attempts_are_refused() -> None:
    refused, _ = asyncio.run(FreshDraws(3, WIDE).estimate(evidence_of([Node("a"), Node("b")], 3), asked(3)))
    assert isinstance(refused, Refusal) and refused.support is not None and refused.support.unsupported == 1


def test_a_sum_that_would_be_clipped_has_no_closed_form() -> None:
    nodes = [Node("a", turns=15), Node("b", turns=15)]
    with pytest.raises(NoSupport, match="fast"):
        FreshDraws(2, OBJECTIVES).task_value(tree_of(nodes))
    refused, _ = asyncio.run(FreshDraws(2, OBJECTIVES).estimate(evidence_of(nodes, 2), asked(2)))
    assert isinstance(refused, Refusal) and "closed form" in refused.reason


def test_what_it_needs_is_named() -> None:
    with pytest.raises(UsageError, match="recorded trees"):
        asyncio.run(FreshDraws(2, WIDE).estimate(Evidence(), asked(2)))
    with pytest.raises(UsageError, match="at least 1"):
        FreshDraws(0, WIDE)
