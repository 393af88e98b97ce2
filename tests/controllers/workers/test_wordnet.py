from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers import Worker
from controllers.checkers.wordnet import WordnetChecker
from controllers.workers.wordnet import WordnetWorker
from controllers.worlds.wordnet import Reading, WordnetWorld
from controllers.worlds.wordnet_question import Condition, prompt_of
from controllers.worlds.wordnet_record import DIRECTIVES
from signatures.records import AttemptContext, AttemptResult, Steer, Task

KETTLE, CALDRON = "n00000030", "n00000050"
CONDITIONS = (
    Condition("file", ("noun.artifact",)),
    Condition("gloss", ("hold", "things"), ("hypernym", "hypernym")),
    Condition("gloss", ("pan", "frying"), ("hypernym", "hyponym")),
    Condition("names", ("2",)),
    Condition("about", ("liquid",)),
)
TASK = Task(digest="kettle", benchmark="wordnet", prompt=prompt_of(CONDITIONS))


@pytest.fixture(scope="module")
def world() -> WordnetWorld:
    return WordnetWorld(Path(__file__).parents[2] / "data" / "wordnet")


def context(text: str = "", *, seed: int = 0, turns: int | None = None) -> AttemptContext:
    steer = Steer(kind="fixed", action="text", text=text) if text else Steer()
    return AttemptContext(attempt_id="a", steer=steer, seed=seed, turns_limit=turns)


def answer_of(result: AttemptResult) -> str | None:
    return Reading.of(result.output).answer


def calls_of(result: AttemptResult) -> list[str]:
    return [event.name for event in result.trace]


async def test_it_finds_an_entry_that_fits_in_a_small_world(world: WordnetWorld) -> None:
    worker: Worker = WordnetWorker(world, noise=0.0)
    results = [await worker.attempt(TASK, context(seed=seed), None) for seed in range(20)]
    checks = [await WordnetChecker(world).check(TASK, result) for result in results]
    assert {answer_of(result) for result in results} == {KETTLE, CALDRON}
    assert all(check.passed for check in checks)


async def test_told_to_look_up_the_last_word_it_finds_the_right_one(world: WordnetWorld) -> None:
    worker = WordnetWorker(world, noise=0.0, compliance=1.0)
    told = context('Look up the word "liquid" of the last condition and compare its kinds with each gloss.', turns=20)
    result = await worker.attempt(TASK, told, None)
    assert answer_of(result) == KETTLE
    assert [event.arguments for event in result.trace[:2]] == [
        '{"words":"liquid"}',
        '{"relation":"hyponym","synset":"n00000070"}',
    ]


async def test_equal_inputs_give_equal_attempts_and_other_seeds_others(world: WordnetWorld) -> None:
    worker = WordnetWorker(world, noise=0.3)
    first, again = [await worker.attempt(TASK, context(seed=3), None) for _ in range(2)]
    assert first == again
    assert len({(await worker.attempt(TASK, context(seed=seed), None)).trace for seed in range(8)}) > 1


async def test_carried_on_it_reviews_first_and_loses_nothing(world: WordnetWorld) -> None:
    worker = WordnetWorker(world, noise=0.0)
    first = await worker.attempt(TASK, context(), None)
    second = await worker.attempt(TASK, context(seed=1), first.state)
    assert calls_of(second)[0] == "review" and "review" not in calls_of(first)
    before, after = Reading.of(first.output), Reading.of(second.output)
    assert after.visited[: len(before.visited)] == before.visited


async def test_told_to_start_again_it_gives_another_answer(world: WordnetWorld) -> None:
    worker = WordnetWorker(world, noise=0.0, compliance=1.0)
    first = await worker.attempt(TASK, context(), None)
    told = context(f"Drop the answer {answer_of(first)} and start again from another condition.", seed=1)
    second = await worker.attempt(TASK, told, first.state)
    assert answer_of(second) not in (None, answer_of(first))


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("Verify the last answer: open it and its neighbours, condition by condition.", ["review", "open"]),
        ("List the siblings of the last answer.", ["review", "hop", "hop"]),
        ("Climb: list the hypernyms of what you found, and theirs.", ["review", "hop", "hop"]),
        ("Go down: list the hyponyms of what you found.", ["review", "hop"]),
        ("Search again with words that were not searched yet.", ["review", "search"]),
        ("Begin with condition 5: not looked at yet.", ["review", "search", "hop"]),
        ("Begin with condition 2: not looked at yet.", ["review", "search"]),
    ],
)
async def test_it_does_what_a_steer_says(world: WordnetWorld, text: str, calls: list[str]) -> None:
    worker = WordnetWorker(world, noise=0.0, compliance=1.0)
    first = await worker.attempt(TASK, context(turns=9), None)
    second = await worker.attempt(TASK, context(text, seed=1), first.state)
    assert calls_of(second)[: len(calls)] == calls
    unheard = await WordnetWorker(world, noise=0.0, compliance=0.0).attempt(TASK, context(text, seed=1), first.state)
    assert answer_of(unheard) is not None


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    noise=st.sampled_from([0.0, 0.3, 1.0]),
    turns=st.integers(1, 15),
    text=st.one_of(st.sampled_from([directive.text for directive in DIRECTIVES]), st.text(max_size=40)),
)
async def test_it_keeps_to_its_turns_and_ends_with_an_answer(
    world: WordnetWorld, seed: int, noise: float, turns: int, text: str
) -> None:
    worker = WordnetWorker(world, noise=noise)
    first = await worker.attempt(TASK, context(text, seed=seed, turns=turns), None)
    second = await worker.attempt(TASK, context(text, seed=seed, turns=turns), first.state)
    for result in (first, second):
        assert result.cost.turns == len(result.trace) and len(result.trace) <= turns
        assert not any(event.failed for event in result.trace)
        assert "answer" not in calls_of(result)[:-1]


@pytest.mark.parametrize("prompt", ["What is a kettle?", prompt_of(CONDITIONS[:1]), prompt_of(CONDITIONS[-1:])])
async def test_a_question_in_another_form_is_no_error(world: WordnetWorld, prompt: str) -> None:
    task = Task(digest="x", benchmark="wordnet", prompt=prompt)
    result = await WordnetWorker(world).attempt(task, context(turns=6), None)
    assert len(result.trace) <= 6


def test_the_fingerprint_carries_its_parameters(world: WordnetWorld) -> None:
    fingerprint = WordnetWorker(world, noise=0.1, compliance=0.5, turns=7).fingerprint
    assert fingerprint.name == "wordnet"
    assert fingerprint.params == {"noise": "0.1", "compliance": "0.5", "turns": "7"}
