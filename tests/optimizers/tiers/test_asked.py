"""Answers on record, and live ones no more than allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from controllers.policies import View
from controllers.policies.choice import ChoiceBody, ChoicePolicy
from controllers.policies.lm import LMPolicy
from controllers.scripted_engine import scripted_lm
from optimizers.replay.asking import Asking
from optimizers.tiers.asked import Answers, Unrecorded
from signatures.records import Task
from tests.worlds.choosing import choosing_model

ANSWER = "[[ ## action ## ]]\nfan\n\n[[ ## confidence ## ]]\n1.0\n\n[[ ## completed ## ]]"
TASK = Task(digest="t", benchmark="hand", prompt="do it")


def view(x: float) -> View:
    return View(TASK, {"x": x}, ("fan", "core"))


async def test_what_is_on_record_is_answered_and_nothing_else(tmp_path: Path) -> None:
    lm, engine = scripted_lm(lambda prompt: ANSWER)
    policy = LMPolicy("steer", lm, instructions="Say it.")
    with Asking(tmp_path / "asked.jsonl") as asking:
        await asking.weights(policy, view(1.0))
    with Asking(tmp_path / "asked.jsonl") as asking:
        answers = Answers(asking)
        assert (await answers.weights(policy, view(1.0))).weights["fan"] == 1.0
        for _ in range(2):
            with pytest.raises(Unrecorded, match="policy steer"):
                await answers.weights(policy, view(2.0))
    assert len(engine.prompts) == 1


async def test_a_calibrated_choice_is_not_asked_either(tmp_path: Path) -> None:
    lm, engine = choosing_model()
    policy = ChoicePolicy("steer", lm, ChoiceBody(model=lm.model, instructions="Choose."))
    with Asking(tmp_path / "asked.jsonl") as asking:
        await asking.weights(policy, view(1.0))
    with Asking(tmp_path / "asked.jsonl") as asking:
        answers = Answers(asking)
        assert set((await answers.weights(policy, view(1.0))).weights) == {"fan", "core"}
        with pytest.raises(Unrecorded, match="policy steer"):
            await answers.weights(policy, view(2.0))
    assert len(engine.prompts) == 1


async def test_live_answers_end_at_their_number_and_are_kept(tmp_path: Path) -> None:
    lm, engine = scripted_lm(lambda prompt: ANSWER)
    policy = LMPolicy("steer", lm)
    with Asking(tmp_path / "asked.jsonl") as asking:
        answers = Answers(asking, most=2)
        for x in (1.0, 2.0, 1.0):
            await answers.weights(policy, view(x))
        with pytest.raises(Unrecorded):
            await answers.weights(policy, view(3.0))
        await answers.weights(policy, view(2.0))
    assert len(engine.prompts) == 2
