"""Trees whose values can be worked out by hand: the best action, the margin, and what is no question."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.observe import NoObserver
from optimizers.replay.tree import TreeReplay
from optimizers.setup import Grant
from optimizers.skill.mining import Mining, mined
from optimizers.skill.question import Question
from signatures.records import PolicyName
from tests.worlds.recorded import OBJECTIVES, TASK, Node, tree_of

STEERS = ("none", "up")


def asked(nodes: Sequence[Node], policy: PolicyName, margin: float = 0.1) -> list[Question]:
    trees = TreeReplay({TASK.digest: tree_of(nodes)}, NoObserver(), OBJECTIVES, Grant(3, None, STEERS))
    return mined(trees, [TASK], {TASK.digest: ("family",)}, Mining(policy, margin))


def grown(roots: Sequence[float], children: Sequence[Sequence[float]]) -> list[Node]:
    """Roots with one child under each steer."""
    found = [Node(f"r{n}", correct=value) for n, value in enumerate(roots)]
    for n, values in enumerate(children):
        found += [
            Node(f"r{n}.{steer}", correct=value, parent=f"r{n}", action=steer)
            for steer, value in zip(STEERS, values, strict=True)
        ]
    return found


def test_a_topology_is_valued_by_the_checkers_after_one_more_attempt() -> None:
    nodes = grown([0.4, 0.2, 0.3], [(0.8, 0.6), (0.2, 0.5), (0.3, 0.3)])
    found = asked(nodes, "topology")
    first = next(one for one in found if one.features["correct"] == 0.2 and one.values["fanout_1"] == 0.4)
    assert first.values == {"refine_last": 0.45, "refine_best": 0.7, "fanout_1": 0.4}
    assert (first.label, first.margin) == ("refine_best", 0.25)
    assert first.legal == ("refine_last", "refine_best", "fanout_1")
    assert (first.families, first.features["attempts_left"]) == (("family",), 1.0)
    assert first.observations[0] == "Attempt 1:" and "value=0.4" in first.observations[1]
    # of each pair the better one comes first: (0.4, 0.2), (0.4, 0.3), (0.3, 0.2)
    assert all(one.features["attempts"] == 2.0 for one in found) and len({one.id for one in found}) <= 3


def test_no_verdict_is_read() -> None:
    nodes = grown([0.4, 0.2, 0.3], [(0.8, 0.6), (0.2, 0.5), (0.3, 0.3)])
    judged = [Node(n.id, n.correct, 1.0 - n.correct, n.parent, n.action) for n in nodes]
    for policy in ("topology", "steer", "stop"):
        assert [one.id for one in asked(judged, policy)] == [one.id for one in asked(nodes, policy)]


def test_what_is_not_clear_or_not_recorded_is_no_question() -> None:
    nodes = grown([0.4, 0.2, 0.3], [(0.8, 0.6), (0.2, 0.5), (0.3, 0.3)])
    assert len(asked(nodes, "topology", 0.26)) < len(asked(nodes, "topology", 0.1))
    assert asked(nodes[:2], "topology") == []
    assert asked([n for n in nodes if n.parent is None], "topology") == []
    assert asked([n for n in nodes if n.action != "up"], "steer") == []
    assert asked([], "stop") == []


def test_the_best_directive_is_the_answer() -> None:
    found = asked(grown([0.2, 0.3], [(0.2, 0.6), (0.9, 0.3)]), "steer")
    assert [(one.label, one.margin, one.legal) for one in found] == [("up", 0.4, STEERS), ("none", 0.6, STEERS)]


def test_work_is_done_where_no_recorded_attempt_is_better() -> None:
    found = asked(grown([1.0, 0.5], [(1.0, 1.0), (0.5, 0.8)]), "stop")
    by_path = {(one.features["attempts"], one.features["correct"]): one for one in found}
    assert by_path[1.0, 1.0].label == "done" and by_path[2.0, 1.0].label == "done"
    assert by_path[1.0, 0.5].label == "continue"
    assert by_path[1.0, 0.5].values == {"continue": 1.0, "done": 0.5}
    stuck = asked(grown([0.5, 0.5], [(0.5, 0.4), (0.5, 0.5)]), "stop")
    assert {one.label for one in stuck} == {"done"}
    barely = asked(grown([0.5, 0.5], [(0.5, 0.55), (0.5, 0.5)]), "stop")
    assert all(one.features["attempts"] == 1.0 for one in barely if one.label == "done")


VALUES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


@given(
    roots=st.lists(VALUES, min_size=1, max_size=4),
    rest=st.lists(st.tuples(VALUES, VALUES), min_size=4, max_size=4),
    policy=st.sampled_from(["topology", "steer", "stop"]),
)
def test_an_answer_is_always_the_most_valuable_legal_action(
    roots: list[float], rest: list[tuple[float, float]], policy: PolicyName
) -> None:
    for one in asked(grown(roots, rest[: len(roots)]), policy):
        assert one.label in one.legal and set(one.values) == set(one.legal)
        assert one.values[one.label] == pytest.approx(max(one.values.values()))
        others = [value for name, value in one.values.items() if name != one.label]
        if one.label != "done":
            assert one.margin >= 0.1 and one.values[one.label] - max(others) == pytest.approx(one.margin, abs=1e-5)
