from __future__ import annotations

from pathlib import Path

import pytest

from controllers.policies import View
from controllers.policies.choice import ChoiceBody, ChoicePolicy, shown_of
from controllers.scripted_engine import scripted_lm
from optimizers.skill.asking import Asker, named, weighed
from optimizers.skill.question import Question
from optimizers.skill.ways import Ask
from signatures.errors import StoreError, UsageError
from signatures.policies import Topology
from signatures.records import Task
from tests.controllers.parts import action_text, seen
from tests.worlds.asked import LEGAL, question
from tests.worlds.choosing import choosing_model

WEIGHED, NAMED = Ask("weighed", False), Ask("named", False)
DEMOS = [question("d1", "refine_last"), question("d2", "fanout_1")]


async def test_answers_are_asked_once_and_found_again(tmp_path: Path) -> None:
    lm, engine = choosing_model()
    with Asker(lm, tmp_path / "asked.jsonl") as asker:
        first = await asker.reply(question("a"), WEIGHED, DEMOS)
        assert await asker.reply(question("a"), WEIGHED, DEMOS) == first
        assert (asker.calls, asker.recalled, len(engine.prompts)) == (1, 1, 1)
    assert set(first.logprobs) == set(LEGAL) and first.action is None
    with Asker(lm, tmp_path / "asked.jsonl") as again:
        assert await again.reply(question("a"), WEIGHED, DEMOS) == first
        shown = await again.reply(question("a"), Ask("weighed", True), DEMOS)
        await again.reply(question("b"), WEIGHED, DEMOS)
        await again.reply(question("a"), NAMED, DEMOS)
        assert (again.calls, again.recalled, len(engine.prompts)) == (3, 1, 4)
    assert shown.cost.tokens_in is not None and first.cost.tokens_in is not None
    assert shown.cost.tokens_in > first.cost.tokens_in
    assert "Do d1." in engine.prompts[1] and "Do d1." not in engine.prompts[0]


async def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "asked.jsonl"
    path.write_text('{"key": "k"}\n')
    with pytest.raises(StoreError, match=r"asked\.jsonl:1"):
        Asker(choosing_model()[0], path)


@pytest.mark.parametrize(
    ("said", "action"),
    [(action_text("refine_best"), "refine_best"), (action_text("`fanout_1`"), "fanout_1"), ("no idea", None)],
)
async def test_a_named_action_that_is_not_legal_is_not_read(said: str, action: str | None) -> None:
    lm, engine = scripted_lm(lambda _: said)
    found = await named(lm, question("a"), [one.demo() for one in DEMOS])
    assert found.action == action and not found.logprobs
    (prompt,) = engine.prompts
    assert prompt.index("Do d1.") < prompt.index("Do d2.") < prompt.index("Do a.")


async def test_the_policy_in_production_asks_what_the_skill_was_measured_on() -> None:
    history = (seen(0, correct=0.5), seen(1, correct=0.2))
    task = Task(digest="t", benchmark="b", prompt="Do it.")
    lines = shown_of(history, 500).lines
    fields = question("t").model_dump(mode="python", exclude={"id", "schema_version"})
    one = Question.of(**{**fields, "prompt": "Do it.", "observations": lines, "features": {"attempts": 2.0}})
    lm, engine = choosing_model()
    body = ChoiceBody(
        model=lm.model, instructions=Topology.instructions, demos=tuple(d.demo() for d in DEMOS), chars=500
    )
    asked = await weighed(lm, one, body.demos)
    decided = await ChoicePolicy("topology", lm, body).decide(View(task, {"attempts": 2.0}, LEGAL, history))
    assert engine.prompts[0] == engine.prompts[1]
    assert max(asked.logprobs, key=asked.logprobs.__getitem__) == max(decided.weights, key=decided.weights.__getitem__)


async def test_a_model_without_log_probabilities_is_refused(tmp_path: Path) -> None:
    with Asker(scripted_lm(lambda _: "A")[0], tmp_path / "asked.jsonl") as asker:
        with pytest.raises(UsageError, match="no log-probabilities"):
            await asker.reply(question("a"), WEIGHED, ())
        assert asker.calls == 0
