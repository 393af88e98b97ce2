"""A model that leans to one action: what it knows shows only where the leaning is taken out."""

from __future__ import annotations

from pathlib import Path

from experiments.skill.measuring import WAYS, ask_all, score_all, shipped, wanted
from optimizers.skill.asking import Asker
from optimizers.skill.question import Question
from optimizers.skill.splitting import Split
from optimizers.skill.ways import Ask, Reply
from tests.worlds.asked import LEGAL, question, reply
from tests.worlds.choosing import choosing_model


def a_split(n: int = 12) -> Split:
    def some(name: str, count: int) -> tuple[Question, ...]:
        return tuple(question(f"{name}{k}", LEGAL[k % 3], families=(name,)) for k in range(count))

    return Split(some("demo", 3), some("known", n), some("asked", n), ("asked",), LEGAL)


def leaning(one: Question) -> Reply:
    """Far too fond of the first action, a little fonder of the right one."""
    found = reply(*(3.0 * (name == LEGAL[0]) + (name == one.label) for name in LEGAL))
    return found.model_copy(update={"action": LEGAL[0]})


def test_calibration_brings_out_what_is_there() -> None:
    one = a_split()
    replies = {(question.id, ask): leaning(question) for question, ask in wanted(one)}
    found = {score.way: score for score in score_all(one, replies)}
    assert len(found) == len(WAYS) == 10
    for way in ("always one", "zero-shot", "demos", "log-probabilities", "demos + log-probabilities"):
        assert found[way].right == 4, way
    for way in ("centred", "fitted", "demos + centred", "demos + fitted"):
        assert found[way].right == 12, way
    assert found["centred"].p_baseline["zero-shot"] == 2 * 0.5**8
    assert set(found["zero-shot"].p_baseline) == {"always one"}
    take = shipped(one, replies)
    assert (take.way, take.demos, take.held_in) == ("centred", False, 1.0)


def test_every_question_is_asked_once_in_each_form_and_calibration_only_where_it_is_fitted_on() -> None:
    one = a_split(6)
    asked = wanted(one)
    assert len(asked) == len({(each.question.id, each.ask) for each in asked}) == 2 * 12 + 2 * 6
    named = {each.question.id for each in asked if each.ask.form == "named"}
    assert named == {each.id for each in one.test}
    assert not {each.question.id for each in asked} & {each.id for each in one.demos}


async def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    lm, engine = choosing_model()
    steps: list[int] = []
    for _ in range(2):
        with Asker(lm, tmp_path / "asked.jsonl") as asker:
            replies = await ask_all(a_split(3), asker, lambda: steps.append(1))
    assert len(engine.prompts) == 18 and len(steps) == 36
    assert replies.keys() == {(one.id, ask) for one, ask in wanted(a_split(3))}
    assert any(ask == Ask("weighed", True) for _, ask in replies)
