from __future__ import annotations

import pytest

from controllers.loop import run_episode
from controllers.progress import UNLIMITED, Progress
from controllers.spec import episode_id
from signatures.records import Amounts, Episode
from tests.controllers.parts import Climber, a_spec, fails_at, parts_of, seen


def spending(granted: Amounts, spent: Amounts, *, each: int | None = None) -> Progress:
    spec = a_spec(each=each).model_copy(update={"granted": granted})
    progress = Progress(spec, "e")
    progress.budget.bill(spent)
    return progress


@pytest.mark.parametrize(
    ("granted", "spent", "each", "left"),
    [
        (Amounts(attempts=3), Amounts(), None, 3),
        (Amounts(attempts=3), Amounts(attempts=3), None, 0),
        (Amounts(attempts=3, turns=12), Amounts(attempts=1, turns=4), 4, 2),
        (Amounts(attempts=3, turns=12), Amounts(attempts=1, turns=9), 4, 1),
        (Amounts(attempts=3, turns=12), Amounts(attempts=1, turns=12), 4, 0),
        (Amounts(attempts=3, turns=12), Amounts(attempts=1, turns=15), 4, 0),
        (Amounts(attempts=3, turns=12), Amounts(attempts=1, turns=4), None, 1),
        (Amounts(turns=12), Amounts(), 5, 3),
        (Amounts(attempts=3, usd=1.0), Amounts(attempts=1, usd=1.0), None, 0),
        (Amounts(attempts=3, wall_s=60.0), Amounts(attempts=1, wall_s=61.0), None, 0),
        (Amounts(attempts=3, tokens=100), Amounts(attempts=1, tokens=99), None, 2),
        (Amounts(), Amounts(attempts=7), None, UNLIMITED),
    ],
)
def test_attempts_left_follow_from_every_limit(granted: Amounts, spent: Amounts, each: int | None, left: int) -> None:
    assert spending(granted, spent, each=each).attempts_left() == left


@pytest.mark.parametrize(
    ("granted", "spent", "each", "limit"),
    [
        (Amounts(attempts=3), Amounts(), None, None),
        (Amounts(attempts=3), Amounts(), 4, 4),
        (Amounts(turns=12), Amounts(turns=4), None, 8),
        (Amounts(turns=12), Amounts(turns=4), 5, 5),
        (Amounts(turns=12), Amounts(turns=10), 5, 2),
        (Amounts(turns=12), Amounts(turns=20), 5, 0),
    ],
)
def test_an_attempt_may_take_its_share_or_what_is_left(
    granted: Amounts, spent: Amounts, each: int | None, limit: int | None
) -> None:
    assert spending(granted, spent, each=each).turns_limit() == limit


@pytest.mark.parametrize(("granted", "spent", "left"), [(None, 1.0, None), (2.0, 0.5, 1.5), (2.0, 2.5, 0.0)])
def test_money_left_is_never_below_nothing(granted: float | None, spent: float, left: float | None) -> None:
    assert spending(Amounts(usd=granted), Amounts(usd=spent)).usd_left() == left


def test_steps_are_numbered() -> None:
    progress = Progress(a_spec(), "e")
    assert [progress.next_step() for _ in range(3)] == [0, 1, 2]


async def test_a_fresh_episode_recalls_nothing() -> None:
    parts = parts_of(Climber())
    progress = await Progress.open(a_spec(), parts)
    assert progress.episode_id == episode_id(a_spec(), parts)
    assert (progress.recorded_attempts, progress.recorded_decisions, progress.recorded_failure) == ({}, {}, None)
    assert progress.recorded_attempt(0) is None


async def test_what_the_corpus_holds_of_this_very_episode_is_recalled() -> None:
    parts = parts_of(Climber())
    rollout = await run_episode(a_spec(), parts)
    await run_episode(a_spec(seed=2), parts)
    progress = await Progress.open(a_spec(), parts)
    assert set(progress.recorded_attempts) == set(rollout.episode.attempt_ids)
    assert set(progress.recorded_decisions) == set(rollout.episode.decision_ids)
    second = progress.recorded_attempt(1)
    assert second is not None
    assert second.id == rollout.episode.attempt_ids[1]


async def test_the_failure_that_ended_it_is_recalled() -> None:
    parts = parts_of(Climber(before=fails_at(1, error=ValueError("gone"))))
    rollout = await run_episode(a_spec(), parts)
    progress = await Progress.open(a_spec(), parts)
    assert progress.recorded_failure == rollout.episode.failure is not None


def test_closing_writes_what_was_granted_spent_and_made() -> None:
    progress = spending(Amounts(attempts=3), Amounts(attempts=1, turns=4))
    progress.history.append(seen(0, correct=1.0))
    progress.decision_ids.append("d0")
    episode = progress.close((), progress.history[0].attempt, parts_of(Climber()))
    assert isinstance(episode, Episode)
    assert (episode.attempt_ids, episode.selected_id, episode.decision_ids) == (("a0",), "a0", ("d0",))
    assert (episode.granted, episode.spent) == (Amounts(attempts=3), Amounts(attempts=1, turns=4))
    assert (episode.condition, episode.split, episode.seed, episode.benchmark) == ("test", "search", 1, "hill")
