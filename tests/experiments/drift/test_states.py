"""What is read off episodes: states that nobody had a hand in, and the checkers' word, never the judge's."""

from __future__ import annotations

import pytest

from controllers.corpus import MemoryCorpus
from experiments.drift.states import GIVEN, episodes_of, fresh_of, state_of, success_of
from signatures.records import Attempt, Episode, Failure, Steer
from tests.worlds.played import BENCHMARK, OBJECTIVES, PLAN, played

PLAYED = played(PLAN._replace(tasks=12, repeats=2))


async def some(corpus: MemoryCorpus = PLAYED.corpus) -> list[tuple[Episode, tuple[Attempt, ...]]]:
    return [one async for one in episodes_of(corpus, {})]


async def test_episodes_come_with_their_attempts_in_order() -> None:
    found = await some()
    assert [episode.id for episode, _ in found] == list(PLAYED.rollouts)
    assert all([a.id for a in attempts] == list(episode.attempt_ids) for episode, attempts in found)


async def test_the_first_attempt_is_fresh_and_later_ones_are_no_use() -> None:
    for _, attempts in await some():
        first = fresh_of(attempts)
        assert first is not None and first.index == 0
        assert fresh_of(attempts[1:]) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"parent_id": "another"},
        {"start_digest": "a state"},
        {"steer": Steer(kind="fixed", action="fan", text="Work on the fan.")},
        {"outcome": "infra_error", "failure": Failure(error="WorkerError", message="down", where="worker")},
    ],
)
async def test_what_somebody_had_a_hand_in_is_left_out(changed: dict[str, object]) -> None:
    attempt = (await some())[0][1][0]
    assert fresh_of((attempt.model_copy(update=changed),)) is None
    assert fresh_of(()) is None


async def test_a_state_has_the_features_that_say_something() -> None:
    attempt = (await some())[0][1][0]
    state = await state_of(PLAYED.corpus, BENCHMARK, attempt)
    assert state is not None and state.task == attempt.task_digest
    assert {"correct", "passed", "errors", "untried.fan", "planted.lit"} <= set(state.features)
    assert not {*GIVEN, "attempts_left", "turns_left", "last.none"} & set(state.features)


async def test_a_trace_that_cannot_be_read_is_no_state() -> None:
    attempt = (await some())[0][1][0]
    torn = attempt.model_copy(update={"trace_digest": "0" * 24})
    assert await state_of(PLAYED.corpus, BENCHMARK, torn) is None
    await PLAYED.corpus.append(blobs=[b"no trace"])
    digests = [digest async for digest in PLAYED.corpus.blob_digests()]
    other = attempt.model_copy(update={"trace_digest": digests[-1]})
    assert await state_of(PLAYED.corpus, BENCHMARK, other) is None


async def test_success_is_the_checkers_word_on_the_selected_attempt() -> None:
    for episode, attempts in await some():
        found = success_of(episode, attempts, OBJECTIVES)
        chosen = next(a for a in attempts if a.id == episode.selected_id)
        check = chosen.check("correct")
        assert check is not None
        assert found.task == episode.task_digest
        assert found.values["correct"] == check.value
        assert all(value is not None and 0 <= value <= 1 for value in found.values.values())
    differing = [id for id, judged in PLAYED.outcomes.items() if judged not in (None, 1.0)]
    assert differing, "the judge must see what the checker does not, or this shows nothing"


async def test_an_episode_that_selected_nothing() -> None:
    episode, attempts = (await some())[0]
    failure = Failure(error="WorkerError", message="down", where="worker")
    ended = episode.model_copy(update={"selected_id": None, "failure": failure})
    assert set(success_of(ended, attempts, OBJECTIVES).values.values()) == {None}
    idle = episode.model_copy(update={"selected_id": None, "attempt_ids": ()})
    assert set(success_of(idle, (), OBJECTIVES).values.values()) == {0.0}
