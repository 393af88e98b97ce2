from __future__ import annotations

from pathlib import Path

import pytest

from controllers import Checker
from controllers.checkers.wordnet import WordnetChecker
from controllers.worlds.wordnet import WordnetWorld
from controllers.worlds.wordnet_question import Condition, prompt_of
from signatures.records import AttemptResult, CheckerResult, Task

KETTLE, POT, CALDRON, OIL = "n00000030", "n00000020", "n00000050", "n00000090"
CONDITIONS = (
    Condition("file", ("noun.artifact",)),
    Condition("gloss", ("holds",), ("hypernym", "hypernym")),
    Condition("gloss", ("pan", "frying"), ("hypernym", "hyponym")),
    Condition("names", ("2",)),
    Condition("about", ("liquid",)),
)
TASK = Task(digest="kettle", benchmark="wordnet", prompt=prompt_of(CONDITIONS))
ABOVE = (("hop", {"synset": POT, "relation": "hypernym"}), ("hop", {"synset": POT, "relation": "hyponym"}))


@pytest.fixture(scope="module")
def world() -> WordnetWorld:
    return WordnetWorld(Path(__file__).parents[2] / "data" / "wordnet")


async def after(world: WordnetWorld, *calls: tuple[str, dict[str, str]]) -> CheckerResult:
    session = world.session(TASK.digest, None)
    for tool, arguments in calls:
        assert not session.call(tool, arguments)[1]
    return await WordnetChecker(world).check(TASK, AttemptResult(output=session.snapshot()))


def answered(id: str) -> tuple[tuple[str, dict[str, str]], ...]:
    climb = ("hop", {"synset": id, "relation": "hypernym"})
    return ("open", {"synset": id}), climb, *ABOVE, ("answer", {"synset": id})


async def test_the_entry_passes_once_its_conditions_were_seen(world: WordnetWorld) -> None:
    checker: Checker = WordnetChecker(world)
    found = await after(world, *answered(KETTLE))
    assert checker.objective == found.objective == "correct"
    assert found.value == 1.0 and found.passed and found.detail == ""


async def test_a_rival_passes_too_since_no_program_reads_between_the_lines(world: WordnetWorld) -> None:
    found = await after(world, *answered(CALDRON))
    assert found.passed


async def test_what_was_not_read_does_not_count(world: WordnetWorld) -> None:
    found = await after(world, ("answer", {"synset": KETTLE}))
    assert found.value == 0.0 and found.passed is False and "the answer was opened" in found.detail
    found = await after(world, ("open", {"synset": KETTLE}), ("answer", {"synset": KETTLE}))
    assert found.value == pytest.approx(3 / 5) and "hypernym of it" in found.detail


async def test_a_condition_that_fails_is_named(world: WordnetWorld) -> None:
    found = await after(world, ("open", {"synset": OIL}), ("answer", {"synset": OIL}))
    assert found.passed is False and "noun.artifact" in found.detail and "2 lemmas" in found.detail


async def test_no_answer_is_worth_nothing(world: WordnetWorld) -> None:
    found = await after(world, ("open", {"synset": KETTLE}))
    assert (found.value, found.passed, found.detail) == (0.0, False, "no answer")


async def test_where_it_cannot_say_there_is_no_value(world: WordnetWorld) -> None:
    checker = WordnetChecker(world)
    state = world.session("x", None).snapshot()
    stranger = Task(digest="x", benchmark="wordnet", prompt="What is a kettle?")
    for task, output in ((TASK, "kettle"), (stranger, state)):
        found = await checker.check(task, AttemptResult(output=output))
        assert found.value is None and found.passed is None and found.detail


async def test_the_state_counts_before_the_output(world: WordnetWorld) -> None:
    session = world.session("x", None)
    for tool, arguments in answered(KETTLE):
        session.call(tool, arguments)
    found = await WordnetChecker(world).check(TASK, AttemptResult(output="done", state=session.snapshot()))
    assert found.passed
