"""Contrastive pairs: better and worse by the checkers whatever the judge says, differing in one decision."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.observe import NoObserver, correctness
from optimizers.evidence.contrast import Pair, by_spread, episode_pairs, shown_pairs, spread_of, tree_pairs
from optimizers.evidence.episodes_told import Choice, EpisodeTold
from optimizers.replay.tree import Tree, TreeReplay
from optimizers.setup import Grant
from signatures.records import PolicyName
from tests.worlds.recorded import OBJECTIVES, Node, seen_of, tree_of

LEGAL = ("none", "fan", "pump")


def replay_of(**trees: Tree) -> TreeReplay:
    return TreeReplay(trees, NoObserver(), OBJECTIVES, Grant(3, None, LEGAL))


def nodes(low: float = 0.0, high: float = 1.0, name: str = "") -> list[Node]:
    return [
        Node(f"{name}r", correct=0.5),
        Node(f"{name}n", correct=low, parent=f"{name}r", action="none"),
        Node(f"{name}f", correct=high, parent=f"{name}r", action="fan"),
        Node(f"{name}q", correct=0.5),
    ]


def of(pairs: Sequence[Pair], policy: PolicyName) -> Pair:
    (pair,) = [one for one in pairs if one.policy == policy]
    return pair


def test_two_steers_of_one_attempt_are_a_pair() -> None:
    pair = of(tree_pairs(replay_of(t=tree_of(nodes())), ["t"]), "steer")
    assert (pair.choice.action, pair.instead, pair.gap) == ("fan", "none", 1.0)
    assert [[s.attempt.id for s in e.attempts] for e in (pair.better, pair.worse)] == [["r", "f"], ["r", "n"]]
    told = pair.shown(lines=60)
    assert told["better"]["drew"] == "fan" and told["worse"]["drew"] == "none"  # type: ignore[index]
    assert [step["attempt"] for step in told["what both had done"]] == [0]  # type: ignore[attr-defined]
    assert [step["attempt"] for step in told["better"]["then"]] == [1]  # type: ignore[index]
    assert "drawn" not in told["the decision in which they differ"]  # type: ignore[operator]


def test_going_on_beside_a_fresh_attempt_and_beside_stopping() -> None:
    pairs = tree_pairs(replay_of(t=tree_of(nodes())), ["t"])
    topology, stop = of(pairs, "topology"), of(pairs, "stop")
    assert (topology.choice.action, topology.instead, topology.gap) == ("refine_last", "fanout_1", 0.5)
    assert (stop.choice.action, stop.instead, stop.gap) == ("continue", "done", 0.5)
    hopeless = of(tree_pairs(replay_of(t=tree_of(nodes(0.5, 0.5))), ["t"]), "stop")
    assert (hopeless.choice.action, hopeless.instead, hopeless.gap) == ("done", "continue", 0.0)
    assert hopeless.better.correct == hopeless.worse.correct and hopeless.better.turns < hopeless.worse.turns


def test_equal_attempts_and_actions_that_nobody_may_draw_are_no_contrast() -> None:
    pairs = tree_pairs(replay_of(t=tree_of(nodes(0.5, 0.5))), ["t"])
    assert {pair.policy for pair in pairs} == {"stop"}
    odd = [Node("r", correct=0.5), Node("x", correct=1.0, parent="r", action="text"), nodes()[1]]
    assert "steer" not in {pair.policy for pair in tree_pairs(replay_of(t=tree_of(odd)), ["t"])}
    deep = [Node("a"), Node("b", parent="a"), Node("c", parent="b"), Node("d", correct=1.0, parent="c")]
    assert all(pair.choice.made < 3 for pair in tree_pairs(replay_of(t=tree_of(deep)), ["t"]))


def test_an_attempt_whose_parent_could_not_be_run_is_in_no_pair() -> None:
    tree = tree_of([Node("x", infra=True), *nodes()])
    assert tree_pairs(replay_of(t=tree), ["t"])


@given(judged=st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_what_the_judge_says_changes_no_pair(judged: list[float]) -> None:
    rows = [Node(n.id, n.correct, value, n.parent, n.action) for n, value in zip(nodes(), judged, strict=True)]
    mine, theirs = (tree_pairs(replay_of(t=tree_of(these)), ["t"]) for these in (rows, nodes()))
    assert [pair.id for pair in mine] == [pair.id for pair in theirs]
    assert shown_pairs(mine, most_chars=9_000) == shown_pairs(theirs, most_chars=9_000)


def test_tasks_with_the_widest_spread_by_the_checkers_come_first() -> None:
    trees = {name: tree_of(nodes(0.5 - w, 0.5 + w, name)) for name, w in (("a", 0.1), ("b", 0.5), ("c", 0.3))}
    replay = replay_of(**trees)
    order = list(dict.fromkeys(pair.task for pair in tree_pairs(replay, ["a", "b", "c"])))
    assert order == ["b", "c", "a"]
    assert spread_of(trees["b"].history) == pytest.approx(0.3535534)
    assert spread_of([]) == spread_of(trees["b"].history[:1]) == 0.0


@given(seed=st.integers(0, 1000))
def test_the_order_in_which_pairs_come_changes_nothing(seed: int) -> None:
    replay = replay_of(a=tree_of(nodes(name="a")), b=tree_of(nodes(0.4, 0.6, name="b")))
    pairs = tree_pairs(replay, ["a", "b"])
    shuffled = [*pairs, *pairs[:2]]
    random.Random(seed).shuffle(shuffled)
    assert by_spread(shuffled) == pairs


def episode(correct: float, *actions: tuple[PolicyName, int, str], name: str = "e") -> EpisodeTold:
    choices = tuple(Choice(policy, made, {}, (), action) for policy, made, action in actions)
    return EpisodeTold("t", "live", (seen_of(Node(name, correct=correct), 0),), choices)


def test_of_a_tasks_episodes_the_best_is_beside_the_worst_where_a_decision_differs() -> None:
    good = episode(1.0, ("stop", 1, "continue"), ("steer", 1, "fan"), name="g")
    middle = episode(0.5, ("stop", 1, "continue"), ("steer", 1, "pump"), name="m")
    bad = episode(0.0, ("stop", 1, "continue"), ("steer", 1, "none"), name="b")
    (pair,) = episode_pairs([bad, good, middle], {"t": 0.4})
    assert (pair.policy, pair.choice.action, pair.instead, pair.gap, pair.spread) == ("steer", "fan", "none", 1.0, 0.4)
    told = json.loads(shown_pairs([pair], most_chars=9_000)[0])
    assert "what both had done" not in told, "they are different attempts"
    assert len(told["better"]["then"]) == len(told["worse"]["then"]) == 3


@pytest.mark.parametrize(
    "other",
    [
        episode(0.0, ("stop", 1, "continue"), name="luck"),
        episode(1.0, ("stop", 1, "done"), name="equal"),
        episode(0.0, ("steer", 1, "fan"), name="asked another thing"),
        episode(0.0, ("stop", 1, ""), name="not recorded"),
    ],
    ids=lambda one: one.attempts[0].attempt.id,
)
def test_what_is_luck_alone_is_no_contrast(other: EpisodeTold) -> None:
    assert episode_pairs([episode(1.0, ("stop", 1, "continue")), other], {}) == []


def test_every_pair_is_better_by_the_checkers() -> None:
    rng = random.Random(5)
    rows = [Node(f"r{n}", correct=rng.random()) for n in range(3)]
    for n in range(3):
        rows += [Node(f"r{n}{a}{i}", rng.random(), parent=f"r{n}", action=a) for a in LEGAL for i in range(2)]
    for pair in tree_pairs(replay_of(t=tree_of(rows)), ["t"]):
        assert pair.better.correct >= pair.worse.correct
        assert pair.better.attempts[: pair.choice.made] == pair.worse.attempts[: pair.choice.made]
        assert max(correctness(s.attempt) for s in pair.better.attempts) == pair.better.correct
