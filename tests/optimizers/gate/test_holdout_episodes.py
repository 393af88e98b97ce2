"""Holdout episodes: an open read is the proof, both arms meet the same tasks and seeds, and a failure is no number."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controllers.baselines import seed_candidate
from optimizers.gate.holdout import HoldoutLedger, OpenRead, Slice, contents_of, seal
from optimizers.gate.holdout_episodes import Contender, Played, metered, numbers_of, play, spent_of, values_of
from signatures.errors import EvidenceError, Outage, UsageError
from signatures.records import Amounts, Episode, Task
from tests.worlds.lab import GRANT, Lab, lamp_follower

AT = datetime(2026, 1, 5, tzinfo=UTC)
SEEDS = (11, 12)
SIDES = {
    "baseline": Contender("continue@3", seed_candidate(), GRANT),
    "candidate": Contender("lamp", lamp_follower(), GRANT),
}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.close()


@pytest.fixture
def tasks(lab: Lab) -> tuple[Task, ...]:
    return lab.benchmark.tasks("holdout")[:6]


@pytest.fixture
def slice(tasks: tuple[Task, ...]) -> Slice:
    return seal("six", contents_of(tasks), checkers={}, judge="planted judge 1")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[HoldoutLedger]:
    with HoldoutLedger(tmp_path / "holdout.db") as ledger:
        yield ledger


@pytest.fixture
def read(ledger: HoldoutLedger, slice: Slice) -> Iterator[OpenRead]:
    ledger.register("r", slice, candidate="c", at=AT)
    with ledger.open_read(slice, candidate="c", registration="r", at=AT) as read:
        yield read


def played_in(lab: Lab, read: OpenRead, tasks: tuple[Task, ...], *, breaker: int = 1000) -> tuple[Played, ...]:
    return asyncio.run(play(read, lab.setup(breaker=breaker), lab.ledger, SIDES, tasks=tasks, seeds=SEEDS))


def test_both_arms_meet_the_same_tasks_and_seeds(lab: Lab, read: OpenRead, tasks: tuple[Task, ...]) -> None:
    played = played_in(lab, read, tasks)
    met = {arm: [(one.task, one.seed) for one in played if one.arm == arm] for arm in SIDES}
    assert met["baseline"] == met["candidate"] == [(task.digest, seed) for task in tasks for seed in SEEDS]
    assert [one.arm for one in played[:4]] == ["baseline", "candidate"] * 2  # an outage would meet both
    assert all(one.failure is None and one.excluded == 0 and None not in one.values.values() for one in played)


async def test_its_episodes_are_of_the_holdout_and_in_the_corpus(
    lab: Lab, read: OpenRead, tasks: tuple[Task, ...]
) -> None:
    await play(read, lab.setup(), lab.ledger, SIDES, tasks=tasks, seeds=SEEDS)
    episodes = [one async for one in lab.corpus.scan(Episode, {})]
    assert {one.split for one in episodes} == {"holdout"}
    scores = await lab.ledger.scores("holdout", [one.id for one in episodes], reader="gate")
    assert len(scores) == len(episodes) == 24


def test_played_again_it_is_recalled_and_not_attempted(lab: Lab, read: OpenRead, tasks: tuple[Task, ...]) -> None:
    first = played_in(lab, read, tasks)
    calls = len(lab.worker.calls)
    assert played_in(lab, read, tasks) == first
    assert len(lab.worker.calls) == calls


def test_a_closed_read_is_no_proof(lab: Lab, read: OpenRead, tasks: tuple[Task, ...]) -> None:
    read.close()
    with pytest.raises(UsageError, match="was closed"):
        played_in(lab, read, tasks)
    assert lab.worker.calls == []


def test_no_other_tasks_are_played(lab: Lab, read: OpenRead, tasks: tuple[Task, ...]) -> None:
    for others in (tasks[:-1], (*tasks, tasks[0]), lab.benchmark.tasks("holdout")[1:7]):
        with pytest.raises(UsageError, match="not its 6 tasks"):
            played_in(lab, read, others)
    assert lab.worker.calls == []


def test_what_infrastructure_ends_has_no_value_and_is_run_again(
    lab: Lab, read: OpenRead, ledger: HoldoutLedger, tasks: tuple[Task, ...]
) -> None:
    lab.worker.fails = lambda task, call: ConnectionError("down") if task.digest == tasks[0].digest else None
    broken = [one for one in played_in(lab, read, tasks) if one.failure is not None]
    assert {(one.task, one.excluded) for one in broken} == {(tasks[0].digest, 1)}
    assert all(set(one.values.values()) == {None} for one in broken) and len(broken) == 4
    with pytest.raises(EvidenceError, match="baseline correct: 2 of 12 verdicts are missing"):
        ledger.complete(read, numbers_of(played_in(lab, read, tasks)), at=AT, repeats=2)
    lab.worker.fails = lambda task, call: None
    calls = len(lab.worker.calls)
    whole = played_in(lab, read, tasks)
    assert {one.excluded for one in whole if one.task == tasks[0].digest} == {2}
    assert {one.excluded for one in whole if one.task != tasks[0].digest} == {0}
    assert {task for task, _ in lab.worker.calls[calls:]} == {tasks[0].digest}
    ledger.complete(read, numbers_of(whole), at=AT, repeats=2)


def test_an_outage_stops_it(lab: Lab, read: OpenRead, tasks: tuple[Task, ...]) -> None:
    lab.worker.fails = lambda task, call: ConnectionError("down")
    with pytest.raises(Outage):
        played_in(lab, read, tasks, breaker=3)


def one(arm: str, task: str, seed: int, **spent: float | None) -> Played:
    return Played(
        arm=arm, task=task, seed=seed, values={"correct": 1.0}, spent=Amounts.model_validate(spent), excluded=0
    )


def test_numbers_are_by_arm_and_what_nobody_measured_is_not_asked_for() -> None:
    played = [one("baseline", "t", seed, turns=3) for seed in SEEDS] + [one("candidate", "t", 11, turns=2, tokens=5)]
    assert values_of(played, "baseline", "correct") == {"t": [1.0, 1.0]}
    assert values_of(played, "baseline", "fast") == {"t": [None, None]}
    assert [a.turns for a in spent_of(played, "baseline")["t"]] == [3, 3]
    assert numbers_of(played) == {
        "baseline correct": {"t": [1.0, 1.0]},
        "baseline excluded": {"t": [0, 0]},
        "baseline spent turns": {"t": [3, 3]},
        "candidate correct": {"t": [1.0]},
        "candidate excluded": {"t": [0]},
        "candidate spent turns": {"t": [2]},
        "candidate spent tokens": {"t": [5]},
    }


def test_an_episode_that_asked_no_model_spent_none_of_its_tokens() -> None:
    asked = Played(arm="candidate", task="t1", seed=1, values={}, spent=Amounts(turns=3, tokens=70), excluded=0)
    ruled = Played(arm="baseline", task="t1", seed=1, values={}, spent=Amounts(turns=2), excluded=0)
    assert [one.spent for one in metered([asked, ruled])] == [
        Amounts(turns=3, tokens=70),
        Amounts(turns=2, tokens=0),
    ]
    assert metered([ruled])[0].spent.tokens is None  # nobody measured any


def test_a_name_does_not_make_another_program_but_a_grant_does() -> None:
    here = SIDES["baseline"]
    assert here.same_as(replace(here, name="other"))
    assert not here.same_as(SIDES["candidate"])
    assert not here.same_as(replace(here, grant=replace(GRANT, attempts=1, turns_per_attempt=9)))
