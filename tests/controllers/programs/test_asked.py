"""What a program is told: counts and checks of attempts, features, tools, budget; a model's choice once."""

from __future__ import annotations

import pytest

from controllers.around import EpisodeAround
from controllers.observe import NoObserver
from controllers.policies import View
from controllers.programs.asked import Asked, Paid
from controllers.programs.wire import (
    BudgetCall,
    Choice,
    ConsultCall,
    Critique,
    CritiqueCall,
    Done,
    Left,
    Tools,
    ToolsCall,
)
from controllers.scripted_engine import scripted_lm
from signatures.errors import ProgramFault
from signatures.records import Amounts, Cost
from tests.controllers.parts import a_task, action_text, seen, tool

PLAIN = "async def strategy(ctx):\n    shot = await ctx.shot()\n"
SHOWING = "async def strategy(ctx):\n    shot = await ctx.shot()\n    x = shot . features\n"
HISTORY = (
    seen(0, correct=0.25, trace=(tool("look"), tool("look")), cost=Cost(turns=2)),
    seen(1, parent=0, correct=1.0, trace=(tool("map", failed=True),), cost=Cost(turns=1), action="up"),
)


def an_episode() -> EpisodeAround:
    granted = Amounts(attempts=4, turns=10)
    return EpisodeAround(granted=granted, turns_per_attempt=None, steers=("none", "up"), observer=NoObserver())


ONE = an_episode()


def view(made: int, around: EpisodeAround = ONE) -> View:
    return View(a_task(), {}, (), HISTORY[:made], around)


def test_a_shot_is_what_checks_and_counts_say() -> None:
    one, other = (Asked(PLAIN, None, "rule").shot(view(2), place) for place in (0, 1))
    assert (one.passed, one.correct, one.progress, one.turns, one.errors, one.repeats) == (False, 0.25, 0.0, 2, 0, 1)
    assert (other.passed, other.correct, other.progress, other.turns, other.errors) == (True, 1.0, 0.75, 1, 1)
    assert (other.index, other.action, other.outcome) == (1, "up", "ok")


def test_features_go_to_a_program_that_reads_them() -> None:
    assert Asked(PLAIN, None, "rule").shot(view(1), 0).features == {}
    assert Asked(SHOWING, None, "rule").shot(view(1), 0).features["correct"] == 0.25


async def test_what_costs_nothing_is_read_off_the_attempts() -> None:
    asked, paid = Asked(PLAIN, None, "rule"), Paid()
    assert await asked.answer(BudgetCall(), view(1), paid) == Left(attempts=1, turns=8)
    assert await asked.answer(ToolsCall(), view(2), paid) == Tools(tools=("look", "map"), actions=("none", "up"))
    critique = await asked.answer(CritiqueCall(), view(2), paid)
    assert isinstance(critique, Critique) and critique.features["depth"] == 2.0
    assert await asked.answer(ConsultCall(policy="steer", options=("b", "a")), view(1), paid) == Choice(option="b")
    assert paid == Paid()


async def test_the_same_question_after_the_same_attempts_is_asked_once() -> None:
    lm, engine = scripted_lm(lambda prompt: action_text("a"))
    asked, paid = Asked(PLAIN, lm, "resident"), Paid()
    question = ConsultCall(policy="steer", options=("b", "a", "b"))
    for _ in range(2):
        assert await asked.answer(question, view(1), paid) == Choice(option="a")
    assert len(engine.prompts) == 1 and (paid.cost.tokens_in or 0) > 0 and paid.shown
    await asked.answer(question, view(2), paid)
    await asked.answer(ConsultCall(policy="stop", options=("b", "a")), view(1), paid)
    assert len(engine.prompts) == 3
    await asked.answer(question, view(1, an_episode()), paid)
    assert len(engine.prompts) == 4  # another episode asks for itself


async def test_an_answer_of_no_use_is_the_first_option() -> None:
    lm, _ = scripted_lm(lambda prompt: "no idea")
    asked = Asked(PLAIN, lm, "frontier")
    assert await asked.answer(ConsultCall(policy="stop", options=("b", "a")), view(1), Paid()) == Choice(option="b")


async def test_what_launches_something_has_no_answer_here() -> None:
    with pytest.raises(ProgramFault, match="Done has no answer"):
        await Asked(PLAIN, None, "rule").answer(Done(), view(0), Paid())
