"""Replay as an evaluator uses it: what is covered, who pays for an answer, and what a score says of it."""

from __future__ import annotations

import pytest

from controllers.baselines import controller_components
from controllers.observe import NoObserver
from controllers.program import controller_of, lm_component, program_candidate
from controllers.scripted_engine import scripted_lm
from optimizers.records import TaskScore
from optimizers.replay.asking import Asking
from optimizers.replay.tree import Replayed, TreeReplay
from optimizers.replaying import Answer, Replaying, with_answer
from optimizers.setup import Grant
from signatures.errors import Outage
from signatures.records import Amounts, Candidate, Cost, Failure
from tests.worlds.recorded import OBJECTIVES, TASK, Node, tree_of

NODES = [Node("a"), Node("b", parent="a"), Node("c", correct=1.0, parent="b")]
TREES = TreeReplay({TASK.digest: tree_of(NODES)}, NoObserver(), OBJECTIVES, Grant(3, None, ("none", "fan")))
RULES = Candidate(components=controller_components(refine=True, steer={"none": 1.0}))
ANSWER = "[[ ## action ## ]]\nnone\n\n[[ ## confidence ## ]]\n1.0\n\n[[ ## completed ## ]]"


def score(source: str, **more: object) -> TaskScore:
    body = {"candidate": "c", "condition": "x", "task_digest": "t", "seed": 1, "split": "search", "source": source}
    return TaskScore.model_validate({**body, "values": {"correct": 1.0}, "used": Amounts(attempts=2), **more})


async def test_rules_are_valued_exactly_and_ask_nobody() -> None:
    controller = controller_of(RULES)
    exact = await TREES.value(controller, TASK)
    billed: set[str] = set()
    for asking in (None, Asking()):
        assert await Replaying(TREES, asking).answer(controller, TASK, billed, seed=1) == Answer(exact)  # type: ignore[arg-type]
    assert billed == set()


async def test_a_model_is_covered_by_a_cache_of_answers_only() -> None:
    lm, engine = scripted_lm(lambda prompt: ANSWER)
    controller = controller_of(Candidate(components={**RULES.components, "steer": lm_component("steer", lm)}), lm)
    assert not Replaying(TREES).covers(controller)
    assert not Replaying(TREES, Asking(), answers=False).covers(controller)
    assert Replaying(TREES).covers(controller_of(RULES))
    replaying, billed = Replaying(TREES, Asking()), set[str]()
    assert replaying.covers(controller)
    first = await replaying.answer(controller, TASK, billed, seed=1)
    again = await replaying.answer(controller, TASK, billed, seed=1)
    assert first is not None and again is not None
    assert len(engine.prompts) == len(first.asked) == 2 and set(first.asked) == billed
    assert (first.saved, again.asked, again.saved) == (0, (), 2)
    assert again.cost == Cost() and again.worth == first.worth
    assert first.worth.tokens_in == first.cost.tokens_in
    assert again.replayed == first.replayed and first.counts


async def test_several_walks_share_what_an_episode_would_have_paid() -> None:
    lm, engine = scripted_lm(lambda prompt: ANSWER)
    controller = controller_of(Candidate(components={**RULES.components, "steer": lm_component("steer", lm)}), lm)
    one = await Replaying(TREES, Asking()).answer(controller, TASK, set(), seed=1)
    four = await Replaying(TREES, Asking(), walks=4).answer(controller, TASK, set(), seed=1)
    assert one is not None and four is not None
    assert four.worth.tokens_in == one.worth.tokens_in, "the four walks are the same, on one lineage"
    assert len(four.asked) == 2 and four.saved == 6 and len(engine.prompts) == 4


async def test_a_task_that_is_not_recorded_has_no_answer_and_asks_nobody() -> None:
    lm, engine = scripted_lm(lambda prompt: ANSWER)
    controller = controller_of(Candidate(components={**RULES.components, "steer": lm_component("steer", lm)}), lm)
    other = TASK.model_copy(update={"digest": "other"})
    for candidate in (controller, controller_of(RULES)):
        assert await Replaying(TREES, Asking()).answer(candidate, other, set(), seed=1) is None
    assert engine.prompts == []


async def test_a_program_that_fails_is_an_answer_without_values() -> None:
    controller = controller_of(program_candidate("async def strategy(ctx):\n    await ctx.shot(steer='pray')\n"))
    for asking in (None, Asking()):
        answer = await Replaying(TREES, asking).answer(controller, TASK, set(), seed=1)
        assert answer is not None and answer.fault is not None and answer.fault.kind == "illegal"
        assert set(answer.replayed.values.values()) == {None} and answer.cost == Cost()


async def test_an_outage_is_no_answer() -> None:
    def down(prompt: str) -> str:
        raise ConnectionError("gone")

    from controllers.retry import Breaker, RetryPolicy

    lm, _ = scripted_lm(down)
    controller = controller_of(Candidate(components={**RULES.components, "steer": lm_component("steer", lm)}), lm)
    asking = Asking(retry=RetryPolicy(tries=1), breaker=Breaker(2))
    answer = await Replaying(TREES, asking).answer(controller, TASK, set(), seed=1)
    assert answer is not None and answer.failure is not None and set(answer.replayed.values.values()) == {None}
    with pytest.raises(Outage):
        await Replaying(TREES, asking).answer(controller, TASK, set(), seed=1)


def test_a_replayed_score_carries_what_its_answers_were_worth_and_pays_what_was_asked() -> None:
    answer = Answer(
        Replayed({}, 0.03, Amounts()), ("k",), 2, Cost(tokens_in=10, tokens_out=1), Cost(tokens_in=30, tokens_out=3)
    )
    replayed = with_answer(score("replay"), answer)
    assert (replayed.spent.tokens, replayed.used.tokens, replayed.used.attempts) == (11, 33, 2)
    assert (replayed.unsupported, replayed.asked, replayed.saved) == (0.03, ("k",), 2)
    live = with_answer(score("live", spent=Amounts(attempts=2, tokens=100)), answer)
    assert (live.spent.tokens, live.used.tokens) == (111, None), "asking for the replay is no part of the episode"
    aside = with_answer(score("replay", set_aside=True, values={"correct": None}), answer)
    assert (aside.spent.tokens, aside.used.tokens) == (11, None)
    assert with_answer(live, None) is live


@pytest.mark.parametrize(("share", "told"), [(0.0, 0.0), (1e-12, 0.0), (0.2, 0.2), (1.0 + 1e-12, 1.0)])
def test_rounding_is_no_missing_support(share: float, told: float) -> None:
    assert with_answer(score("live"), Answer(Replayed({}, share, Amounts()))).unsupported == told


def test_a_failure_of_the_replay_is_the_scores_unless_it_has_its_own() -> None:
    failure = Failure(error="ProviderError", message="gone", where="policy steer")
    answer = Answer(Replayed({}, 0.0, Amounts()), failure=failure)
    assert with_answer(score("replay"), answer).failure == failure
