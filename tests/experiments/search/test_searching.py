"""The searches of a run: what the record answers costs nothing, and random search gets the engine's compute."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from experiments.search.searching import RANDOM, Searched, search_main, search_rival
from signatures.records import Attempt
from tests.worlds.jobs import Job, job_at, said


def attempts_in(job: Job) -> int:
    async def count() -> int:
        return len([attempt async for attempt in job.wired.setup.corpus.scan(Attempt)])

    return asyncio.run(count())


async def both(job: Job) -> tuple[Searched, Searched]:
    gepa = await search_main(job)
    rival = await search_rival(job, gepa)
    assert rival is not None
    return gepa, rival


def test_where_the_record_holds_everything_a_search_attempts_nothing(tmp_path: Path) -> None:
    with job_at(tmp_path, recorded_val=None, explore=0) as job:
        before = attempts_in(job)
        gepa = asyncio.run(search_main(job))
        assert attempts_in(job) == before
        assert (gepa.title, gepa.spend.attempts) == ("gepa", 0)
        assert gepa.tally.replayed == gepa.tally.scores > 0
        assert gepa.tally.attempts > gepa.tally.scores  # what live evaluations would have taken
        assert gepa.start.decision == "seed"
        assert len(gepa.volumes) > 1
        line = f"where live evaluations would have taken {gepa.tally.attempts}"
        assert f"gepa: {gepa.tally.scores} evaluations, {gepa.tally.replayed} of them replayed" in said(job)
        assert line in said(job)


def test_random_search_gets_as_many_attempts_as_the_evaluations_stood_for(tmp_path: Path) -> None:
    with job_at(tmp_path, recorded_val=None) as job:
        gepa, rival = asyncio.run(both(job))
    one = job.config.val * job.config.attempts
    assert rival.title == RANDOM
    assert gepa.tally.attempts - one < rival.tally.attempts <= gepa.tally.attempts
    assert rival.spend.attempts <= job.config.least_attempts


def test_what_is_not_recorded_is_attempted_and_billed(tmp_path: Path) -> None:
    with job_at(tmp_path, recorded_val=2) as job:
        before = attempts_in(job)
        gepa = asyncio.run(search_main(job))
        spent = gepa.spend.attempts
        assert attempts_in(job) - before == spent > 0
        assert spent < gepa.tally.attempts


def test_a_live_run_replays_nothing_and_both_searches_spend_the_same(tmp_path: Path) -> None:
    with job_at(tmp_path, live=True) as job:
        gepa, rival = asyncio.run(both(job))
    for one in (gepa, rival):
        assert (one.tally.replayed, one.tally.aside, one.aside) == (0, 0, ())
        assert one.spend.attempts == one.tally.attempts == one.spend.compute
    assert rival.spend.attempts <= max(gepa.spend.attempts, job.config.least_attempts)
    assert "where live evaluations" not in said(job)


@pytest.mark.parametrize("engine", ["null_search", "random_search"])
def test_beside_an_engine_that_is_a_floor_there_is_no_rival(tmp_path: Path, engine: str) -> None:
    with job_at(tmp_path, recorded_val=None, engine=engine) as job:
        main = asyncio.run(search_main(job))
        assert asyncio.run(search_rival(job, main)) is None
        assert main.title == job.config.engine_name
        assert main.start.decision == "seed"


def test_a_search_that_is_executed_again_spent_what_it_spent(tmp_path: Path) -> None:
    with job_at(tmp_path, recorded_val=2) as job:
        first, again = (asyncio.run(search_main(job)) for _ in range(2))
    assert again == first
