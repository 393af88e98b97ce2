from __future__ import annotations

from optimizers.skill.ways import Reply
from optimizers.skill.ways.weighed import Weighed, by_scores
from tests.worlds.asked import question, reply


def test_the_likeliest_action_is_taken() -> None:
    decide = Weighed(demos=False).fit([])
    assert decide(question("a"), reply(-2.0, -0.5, -3.0)) == "refine_best"
    assert decide(question("a"), reply(-1.0, -1.0, -1.0)) == "refine_last"
    assert decide(question("a"), Reply()) is None and decide(question("a"), None) is None
    assert Weighed(demos=True).id == "demos + log-probabilities"


def test_a_bias_moves_the_choice_and_an_unknown_action_has_the_mean() -> None:
    assert (
        by_scores({"refine_best": 2.0, "refine_last": 0.0}, 1.0)(question("a"), reply(-1.0, -0.5, -0.1))
        == "refine_last"
    )
    assert (
        by_scores({"refine_best": 2.0, "refine_last": 2.0}, 1.0)(question("a"), reply(-1.0, -0.5, -0.1)) == "fanout_1"
    )
