"""Confirming: what replay found is attempted live with seeds that nothing else used, and the front decided on that."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from controllers.baselines import seed_candidate
from experiments.search.confirmed import Confirmed
from experiments.search.confirming import confirm, confirmation, confirmer, finalists, table_of
from experiments.search.searching import Searched, search_main
from optimizers.meter import Spend
from optimizers.records import Tally, TaskScore
from optimizers.search import Found
from optimizers.space import with_default
from signatures.errors import InfraError
from signatures.records import Amounts, Candidate, Objective
from tests.worlds.jobs import Job, job_at, said, told
from tests.worlds.planted import CountingWorker

OBJECTIVES = (Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge"),)
SEED = seed_candidate()


def score(task: int, value: float | None, source: str = "live", **more: object) -> TaskScore:
    body = {"candidate": "c", "condition": "x", "task_digest": f"t{task}", "seed": 1, "split": "search"}
    used = {"spent": Amounts(attempts=2 if source == "live" else 0), "used": Amounts(attempts=2)}
    return TaskScore.model_validate({**body, **used, "values": {"correct": value}, "source": source, **more})


def found(name: str, *scores: TaskScore, candidate: Candidate = SEED) -> Found:
    return Found(name, candidate, (), 0, "start", "", "accepted", scores)


def searched(*front: Found, start: Found) -> Searched:
    return Searched("gepa", front, start, (), (0.1,), Tally(), Spend(0, 0, 0, 0.0, 0.0))


def test_the_finalists_are_the_best_of_the_front_the_start_and_what_is_explored_once_each() -> None:
    a, b, c, d = (found(name, candidate=with_default(SEED, "steer", name)) for name in ("fan", "pump", "valve", "core"))
    start = found("start")
    assert finalists(searched(a, b, start=start), [c], most=9) == [a, b, start, c]
    assert finalists(searched(a, b, c, start=start), [d], most=1) == [a, start, d]
    assert finalists(searched(start, a, start=start), [a], most=9) == [start, a]


def test_both_estimates_are_over_the_tasks_that_have_both() -> None:
    replayed = [score(t, v, "replay", unsupported=0.02) for t, v in enumerate([1.0, 0.5, 0.0, None])]
    live = (score(0, 1.0), score(1, 1.0), score(2, None), score(3, 0.0), score(4, 1.0))
    one = confirmation("gepa", found("g01-c0", *replayed, score(4, 1.0)), live, OBJECTIVES)
    pair = one.values["correct"]
    assert (one.tasks, one.replayed, one.attempts) == (5, 4, 10)
    assert one.unsupported == pytest.approx(0.02)
    assert (pair.n, pair.offline, pair.live) == (2, 0.75, 1.0)
    assert pair.gap_lo is not None and pair.gap_hi is not None and pair.gap_lo <= -0.25 <= pair.gap_hi


def test_unsupported_mass_widens_the_offline_interval() -> None:
    live = tuple(score(t, 1.0) for t in range(12))

    def width(unsupported: float) -> float:
        replayed = [score(t, t / 12, "replay", unsupported=unsupported) for t in range(12)]
        pair = confirmation("gepa", found("a", *replayed), live, OBJECTIVES).values["correct"]
        assert pair.offline_lo is not None and pair.offline_hi is not None
        return pair.offline_hi - pair.offline_lo

    assert width(0.0) < width(0.02) < width(0.05)


def test_of_a_candidate_that_was_not_replayed_nothing_is_predicted() -> None:
    aside = [score(t, None, "replay", unsupported=1.0, set_aside=True) for t in range(3)]
    live = tuple(score(t, 1.0) for t in range(3))
    pair = confirmation("gepa", found("a", *aside), live, OBJECTIVES).values["correct"]
    assert (pair.n, pair.offline, pair.live, pair.covered, pair.agree) == (3, None, 1.0, None, None)


async def confirmed_front(job: Job, gepa: Searched) -> list[Confirmed]:
    front = await confirm(job, confirmer(job), "gepa", finalists(gepa, (), most=4))
    assert set(front.members) <= {one.name for one in front.confirmed}
    assert len(front.members) >= 1
    return list(front.confirmed)


def test_candidates_are_attempted_with_fresh_seeds_and_told(tmp_path: Path) -> None:
    with job_at(tmp_path, recorded_val=None) as job:
        gepa = asyncio.run(search_main(job))
        confirmed = asyncio.run(confirmed_front(job, gepa))
        assert [body for body in told(job) if isinstance(body, Confirmed)] == confirmed
        assert f"gepa: confirm {len(confirmed)} candidates live: done" in said(job)
    for one in confirmed:
        assert (one.tasks, one.replayed) == (4, 4)
        assert one.attempts >= 4
        assert one.values["correct"].n == 4
    searched_with = {score.seed for found in gepa.front for score in found.scores}
    assert len(searched_with) == 1


def test_where_infrastructure_leaves_no_value_nothing_is_confirmed_and_nobody_is_worse(tmp_path: Path) -> None:
    with job_at(tmp_path, recorded_val=None, val=2) as job:
        gepa = asyncio.run(search_main(job))
        failing = CountingWorker(job.wired.setup.worker, fails=lambda task, call: OSError("no machine"))
        broken = replace(job, wired=replace(job.wired, setup=replace(job.wired.setup, worker=failing)))
        chosen = finalists(gepa, (), most=1)[:1]
        with pytest.raises(InfraError, match="none of 1 candidates could be confirmed"):
            asyncio.run(confirm(broken, confirmer(broken), "gepa", chosen))
        (one,) = [body for body in told(job) if isinstance(body, Confirmed)]
        assert one.values["correct"].live is None
        assert one.attempts == 0


def test_the_table_marks_what_left_its_interval() -> None:
    replayed = [score(t, t % 2 / 2, "replay") for t in range(12)]
    one = confirmation("gepa", found("g01-c0", *replayed), tuple(score(t, 1.0) for t in range(12)), OBJECTIVES)
    out = io.StringIO()
    Console(file=out, width=160).print(table_of([one], OBJECTIVES))
    lines = out.getvalue().splitlines()
    (offline,) = [line for line in lines if "offline" in line and "g01-c0" in line]
    (live,) = [line for line in lines if "│ live" in line]
    assert "0.250 [" in offline and "0.0%" in offline
    assert "1.000*" in live
