"""Drift of a release on real production episodes of the planted world."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from controllers.corpus import MemoryCorpus, SqliteCorpus
from experiments.drift.measured import DriftReport, drift_of, production_of, report_of
from optimizers.drift.records import Limits
from optimizers.drift.shifted import State
from signatures.records import Attempt, Episode, Failure
from signatures.release import Release
from tests.worlds.drifting import WORLD, WORSE, Shipped, played, shipped
from tests.worlds.shipped import ship

TASKS = WORLD.tasks("production")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """A release that served 96 machines as it was learned to."""

    async def made() -> Shipped:
        given = await shipped(tmp_path_factory.mktemp("good"))
        await played(given, TASKS[:96])
        return given

    return asyncio.run(made())


async def report(given: Shipped, release: Release | None = None, *, until: int | None = None) -> DriftReport:
    with closing(SqliteCorpus.open_readonly(given.corpus)) as corpus:
        return await drift_of(corpus, WORLD, release or given.release, until=until)


async def test_what_goes_on_as_before_is_no_alarm(good: Shipped) -> None:
    found = await report(good)
    assert (found.episodes, found.failed, found.unreadable, found.unknown) == (96, 0, 0, ())
    assert not found.alarm
    assert found.sentence.startswith("no drift shown in 96 production episodes: 17 features against 120 tasks; correct")
    assert all(one.n == 96 and one.reference_n == 120 for one in found.features)
    assert DriftReport.model_validate_json(found.model_dump_json()) == found


async def test_asking_again_gives_the_same(good: Shipped) -> None:
    assert await report(good) == await report(good)


async def test_a_worker_that_gets_worse_is_found_in_features_and_in_success(tmp_path: Path) -> None:
    given = await shipped(tmp_path)
    await played(given, TASKS[:64])
    with closing(SqliteCorpus.open_readonly(given.corpus)) as corpus:
        mark = await corpus.high_water()
    await played(given, TASKS[64:160], worker=WORSE)
    found = await report(given)
    assert found.alarm and found.success is not None and found.success.alarm
    assert "errors" in [one.feature for one in found.features if one.alarm]
    assert all(one.window is not None and one.window[1] > 64 for one in found.features if one.alarm)
    assert found.sentence.startswith("drift in 160 production episodes: ")
    before = await report(given, until=mark)
    assert (before.episodes, before.alarm) == (64, False)


async def test_other_machines_than_were_learned_on_are_found(tmp_path: Path) -> None:
    given = await shipped(tmp_path, success=False)
    families = WORLD.families("production")
    others = [task for task in TASKS if "fan.0" in families[task.digest][0] and "valve" not in families[task.digest][0]]
    await played(given, others, each=2)
    found = await report(given)
    assert found.success is None
    assert found.episodes == 2 * len(others) >= 64
    assert {"planted.lit.fan", "planted.lit.valve"} & {one.feature for one in found.features if one.alarm}


async def test_a_release_without_a_reference_says_so(good: Shipped) -> None:
    bare = good.release.model_copy(update={"reference": None})
    found = await report(good, bare)
    assert (found.alarm, found.features, found.success) == (False, (), None)
    assert found.sentence == "drift is not measured: the release holds no reference (96 production episodes)"


async def test_another_candidates_and_other_splits_episodes_do_not_count(good: Shipped) -> None:
    other = good.release.model_copy(update={"candidate": "another"})
    assert (await report(good, other)).episodes == 0


async def test_what_infrastructure_ended_is_counted_and_not_scored(tmp_path: Path) -> None:
    given = await shipped(tmp_path, tasks=10)
    await played(given, TASKS[:6])
    failure = Failure(error="WorkerError", message="down", where="worker")
    with closing(SqliteCorpus(given.corpus)) as corpus:
        one = [e async for e in corpus.scan(Episode, {"split": "production"})][-1]
        attempt = await corpus.get(Attempt, one.attempt_ids[0])
        assert attempt is not None
        torn = attempt.model_copy(update={"id": "torn", "trace_digest": "0" * 24})
        ended = {"id": "ended", "attempt_ids": ("torn",), "selected_id": None, "failure": failure}
        await corpus.append(torn, one.model_copy(update=ended))
        found = await drift_of(corpus, WORLD, given.release, limits=Limits(window=4))
    assert (found.episodes, found.failed, found.unreadable) == (7, 1, 1)
    assert found.success is not None
    assert found.success.objectives[0].n == 6


async def test_what_exploration_costs_is_told_and_is_no_drift(tmp_path: Path) -> None:
    """Most episodes are taken elsewhere. The same controller without it is what the gate has seen."""
    given = await shipped(tmp_path, tasks=40)
    bold = ship(given.folder, reference=given.release.reference, exploration=0.15)
    await played(given, TASKS)
    found = await report(given, bold)
    assert found.success is not None and not found.alarm
    one = found.success.objectives[0]
    assert found.success.explored > 60
    assert one.mean is not None and one.unexplored is not None and one.unexplored > one.mean + 0.05
    assert f"({one.unexplored:.3f} without exploration), at the gate 0.930" in found.sentence
    plain = await report(given, bold.model_copy(update={"exploration": 0.0}))
    assert plain.success is not None
    assert plain.success.objectives[0].e_value > 2 * one.e_value, "taken as it is, it looks like a fall"


async def test_an_episode_whose_draws_are_not_all_on_record_is_not_compared(good: Shipped) -> None:
    with closing(SqliteCorpus.open_readonly(good.corpus)) as corpus:
        episodes = [e async for e in corpus.scan(Episode, {"split": "production"})]
        bare = MemoryCorpus()
        for one in episodes[:8]:
            attempts = [a async for a in corpus.scan(Attempt, {"episode_id": one.id})]
            await bare.append(*attempts, one)
        found = await drift_of(bare, WORLD, good.release)
    assert found.success is not None
    assert (found.episodes, found.success.objectives[0].n, found.success.objectives[0].unmeasured) == (8, 0, 8)
    assert "8 episodes without a value of correct" in found.sentence


async def test_checkers_that_fall_silent_are_told_and_never_taken_for_success(good: Shipped) -> None:
    with closing(SqliteCorpus.open_readonly(good.corpus)) as corpus:
        found = await production_of(corpus, WORLD, good.release)
    silent = [one._replace(values={}) for one in found.successes]
    told = report_of(replace(found, successes=silent), good.release)
    assert "correct not measured yet" in told.sentence and "96 episodes without a value of correct" in told.sentence


async def test_nothing_played_is_nothing_compared(tmp_path: Path) -> None:
    given = await shipped(tmp_path, tasks=10)
    found = await report(given)
    assert (found.episodes, found.alarm) == (0, False)
    assert found.sentence.startswith("nothing to compare yet: 17 features against 10 tasks; correct not measured yet")


async def test_features_that_come_and_go(good: Shipped) -> None:
    """One that production no longer has is drift of it; one that the reference lacks is named."""
    with closing(SqliteCorpus.open_readonly(good.corpus)) as corpus:
        found = await production_of(corpus, WORLD, good.release)
    gone = [
        State(one.task, {**{k: v for k, v in one.features.items() if k != "errors"}, "new": 1.0})
        for one in found.states
    ]
    told = report_of(replace(found, states=gone), good.release)
    assert told.unknown == ("new",)
    assert [one.feature for one in told.features if one.alarm] == ["errors"]
    constant = next(one for one in told.features if one.feature == "changed")
    assert (constant.p, constant.alarm) == (1.0, False)
    moved = [State(one.task, {**one.features, "changed": 0.0}) for one in found.states]
    assert [one.feature for one in report_of(replace(found, states=moved), good.release).features if one.alarm] == [
        "changed"
    ]
