from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controllers.program import rule_component
from controllers.served import NotDue, ReportConflict
from experiments.production.prompts import Prompts
from experiments.serve.bodies import AttemptGiven, MoveTold, NewEpisode
from experiments.serve.problems import KeyConflict, TooMany, UnknownEpisode
from experiments.serve.service import Service
from signatures.errors import StoreError, UsageError
from signatures.records import Attempt, Candidate, Decision, Episode, Task
from tests.experiments.serve.conftest import Opening
from tests.worlds.harness import attempted, begin_body, until
from tests.worlds.planted import PlantedBenchmark
from tests.worlds.shipped import follows_lamps, ship

WORLD = PlantedBenchmark()
TASKS = WORLD.tasks("search")
WORKER = WORLD.worker(None, None)


def begin(task: Task = TASKS[0], key: str | None = None, **more: Any) -> NewEpisode:
    return NewEpisode.model_validate_json(json.dumps({**begin_body(task, key), **more}))


async def attempt(due: Any, task: Task = TASKS[0], **changed: Any) -> AttemptGiven:
    body = await attempted(due.model_dump(), task, WORKER)
    return AttemptGiven.model_validate_json(json.dumps({**body, **changed}))


async def _attempts(service: Service, ids: list[str]) -> AsyncIterator[Attempt]:
    async for one in service.stores.corpus.scan(Attempt):
        if one.episode_id in ids:
            yield one


async def play(service: Service, task: Task = TASKS[0], key: str | None = None) -> tuple[str, MoveTold]:
    id = (await service.open(begin(task, key))).episode_id
    while not (move := await service.next_move(id)).done:
        for due in move.attempts:
            await service.report(id, await attempt(due, task))
    return id, move


async def test_an_episode_ends_in_the_corpus_as_one_of_production(opening: Opening) -> None:
    async with opening() as service:
        id, end = await play(service)
        assert end.selected is not None
        episode = await service.stores.corpus.get(Episode, id)
        assert episode is not None
        release = service.champion.release if service.champion else None
        assert release is not None
        assert (episode.split, episode.candidate, episode.task_digest) == (
            "production",
            release.candidate,
            TASKS[0].digest,
        )
        assert episode.worker == WORKER.fingerprint
        decisions = [one async for one in service.stores.corpus.scan(Decision, {"episode_id": id})]
        assert all(min(one.probabilities.values()) >= 0.05 - 1e-9 for one in decisions)
        assert service.stores.prompts.get(TASKS[0].digest) == TASKS[0]
        text = service.meters.text().decode()
        assert 'tiller_episodes_ended_total{how="selected"} 1.0' in text
        assert "tiller_episodes_open 0.0" in text
        assert "tiller_fallbacks_total 0.0" in text


async def test_a_key_names_one_episode_and_one_task(opening: Opening) -> None:
    async with opening() as service:
        same = await asyncio.gather(*(service.open(begin(key="mine")) for _ in range(5)))
        assert len({one.episode_id for one in same}) == 1
        with pytest.raises(KeyConflict):
            await service.open(begin(TASKS[1], key="mine"))
        assert (await service.open(begin())).episode_id != (await service.open(begin())).episode_id


async def test_episodes_that_were_not_begun_here_are_unknown(opening: Opening) -> None:
    async with opening() as service:
        for call in (service.next_move("0" * 24), service.report("0" * 24, AttemptGiven(attempt_id="0" * 24))):
            with pytest.raises(UnknownEpisode):
                await call


async def test_after_any_refusal_the_episode_goes_on(opening: Opening) -> None:
    async with opening() as service:
        id = (await service.open(begin())).episode_id
        due, *others = (await service.next_move(id)).attempts
        with pytest.raises(NotDue):
            await service.report(id, AttemptGiven(attempt_id="0" * 24))
        with pytest.raises(UsageError, match="cannot read"):
            await service.report(id, await attempt(due, trace=[{"turn": 0, "kind": "tool", "name": "work"}]))
        first = await service.report(id, await attempt(due))
        assert await service.report(id, await attempt(due)) == first
        with pytest.raises(ReportConflict):
            await service.report(id, await attempt(due, output='{"broken":["another"]}'))
        for other in others:
            await service.report(id, await attempt(other))
        assert (await service.next_move(id)).round == 1


async def test_one_episode_is_asked_by_many_at_once_and_says_one_thing(opening: Opening) -> None:
    async with opening() as service:
        id = (await service.open(begin())).episode_id
        moves = await asyncio.gather(*(service.next_move(id) for _ in range(20)))
        assert len({move.model_dump_json() for move in moves}) == 1
        due = moves[0].attempts[0]
        said = await asyncio.gather(*[service.report(id, await attempt(due)) for _ in range(10)])
        assert len({one.model_dump_json() for one in said}) == 1
        assert len([one async for one in service.stores.corpus.scan(Attempt)]) == 1


async def test_few_episodes_are_held_in_memory_and_all_go_on(opening: Opening) -> None:
    async with opening(limits={"in_memory": 2}) as service:
        ends = await asyncio.gather(*(play(service, task, f"k{n}") for n, task in enumerate(TASKS[:8])))
        assert len({id for id, _ in ends}) == 8
        assert len(service._slots) <= 2


async def test_no_more_than_so_many_episodes_are_open(opening: Opening) -> None:
    async with opening(limits={"open_episodes": 2}) as service:
        id = (await service.open(begin(key="a"))).episode_id
        await service.open(begin(key="b"))
        with pytest.raises(TooMany, match="2 episodes"):
            await service.open(begin(key="c"))
        assert (await service.open(begin(key="a"))).episode_id == id
        await play(service, key="a")
        opened = await asyncio.gather(*(service.open(begin(key=f"d{n}")) for n in range(9)), return_exceptions=True)
        assert sorted(type(one).__name__ for one in opened) == ["Opened", *["TooMany"] * 8]
        assert "tiller_episodes_opened_total 3.0" in service.meters.text().decode()


async def test_it_goes_on_after_a_restart_where_it_was(opening: Opening) -> None:
    async with opening() as service:
        id = (await service.open(begin())).episode_id
        due = (await service.next_move(id)).attempts[0]
        recorded = await service.report(id, await attempt(due))
        move = await service.next_move(id)
    async with opening() as service:
        assert await service.report(id, await attempt(due)) == recorded
        assert await service.next_move(id) == move
    async with opening() as service:
        for other in move.attempts:
            await service.report(id, await attempt(other))


async def test_an_episode_keeps_the_release_it_began_with(opening: Opening, tmp_path: Path) -> None:
    first = ship(tmp_path / "release")
    async with opening() as service:
        old = await service.open(begin())
        due = (await service.next_move(old.episode_id)).attempts[0]
        steady = {**follows_lamps().components, "stop": rule_component([], {"continue": 1.0})}
        second = ship(tmp_path / "release", Candidate(components=steady))
        await until(lambda: service.health().release == second.digest)
        assert (await service.open(begin())).release == second.digest
        await service.report(old.episode_id, await attempt(due))
    async with opening() as service:
        assert service.health().release == second.digest
        move = await service.next_move(old.episode_id)
        assert not move.done or move.selected is not None
        decisions = [one async for one in service.stores.corpus.scan(Decision, {"episode_id": old.episode_id})]
        assert decisions
    assert old.release == first.digest


async def test_an_episode_whose_release_is_gone_is_not_decided_by_another(opening: Opening, tmp_path: Path) -> None:
    async with opening() as service:
        old = await service.open(begin())
        assert not (await service.next_move(old.episode_id)).done
    ship(tmp_path / "release", exploration=0.1)
    for kept in (tmp_path / "runs").glob(f"champion-*/{old.release}"):
        kept.rename(tmp_path / "elsewhere")
    async with opening() as service:
        with pytest.raises(StoreError, match="not in the cache"):
            await service.next_move(old.episode_id)


async def test_another_worker_than_the_releases_is_refused(opening: Opening) -> None:
    mine = WORKER.fingerprint
    async with opening() as service:
        given = {"name": mine.name, "model": mine.model, "params": dict(mine.params)}
        assert (await service.open(begin(worker=given))).episode_id
        with pytest.raises(UsageError, match="worker"):
            await service.open(begin(worker={**given, "params": {}}))


async def test_checks_are_taken_from_the_client_only_where_that_was_agreed(opening: Opening) -> None:
    said = {name: {"value": 1.0, "passed": True} for name in ("correct", "fast", "cheap", "clean")}
    async with opening() as service:
        id = (await service.open(begin())).episode_id
        due = (await service.next_move(id)).attempts[0]
        with pytest.raises(UsageError, match="checks attempts itself"):
            await service.report(id, await attempt(due, checks=said))
    async with opening(checks="reported") as service:
        for wrong in (None, {"correct": said["correct"]}, {**said, "judge": said["fast"]}):
            with pytest.raises(UsageError, match="report correct, fast, cheap, clean"):
                await service.report(id, await attempt(due, checks=wrong))
        recorded = await service.report(id, await attempt(due, checks=said))
        assert recorded.checks["fast"].unit == "turns"
        assert recorded.checks["correct"].passed


async def test_a_failure_at_the_client_needs_no_checks_and_ends_the_episode(opening: Opening) -> None:
    async with opening(checks="reported") as service:
        id = (await service.open(begin())).episode_id
        for due in (await service.next_move(id)).attempts:
            await service.report(id, AttemptGiven(attempt_id=due.attempt_id, failure="no disk"))
        end = await service.next_move(id)
        assert (end.done, end.selected, end.failure) == (True, None, "no disk")
        assert 'tiller_episodes_ended_total{how="failed"} 1.0' in service.meters.text().decode()


async def test_no_secret_of_a_failure_or_a_check_is_kept_or_said_again(opening: Opening) -> None:
    said = {name: {"value": 1.0, "passed": True} for name in ("correct", "fast", "cheap")}
    said["correct"] = {"value": 0.0, "passed": False}
    said["clean"] = {"value": 0.0, "passed": False, "detail": "found password=hunter2-9 in a file"}
    gone = "no login:\nhttps://me:hunter2-9@host refused"
    async with opening(checks="reported") as service:
        id = (await service.open(begin())).episode_id
        due = (await service.next_move(id)).attempts[0]
        first = await service.report(id, await attempt(due, checks=said))
        assert first.checks["clean"].detail == "found password=[redacted] in a file"
        assert await service.report(id, await attempt(due, checks=said)) == first
        id = (await service.open(begin())).episode_id
        due = (await service.next_move(id)).attempts[0]
        failed = AttemptGiven(attempt_id=due.attempt_id, failure=gone)
        told = await service.report(id, failed)
        assert told.failure == "no login: https://[redacted]@host refused"
        assert await service.report(id, failed) == told
        kept = [one.model_dump_json() async for one in service.stores.corpus.scan(Attempt)]
        assert len(kept) == 2
        assert not [one for one in kept if "hunter2" in one]


async def test_long_reports_that_come_together_are_all_kept_and_others_are_answered_meanwhile(opening: Opening) -> None:
    long = [{"turn": 0, "kind": "message", "text": 'password=hunter2-9 {"token": 1}\n' * 200}] * 100
    async with opening() as service:
        ids = [(await service.open(begin())).episode_id for _ in range(4)]
        due = [(await service.next_move(id)).attempts[0] for id in ids]
        given = [await attempt(one, trace=[*(await attempt(one)).model_dump()["trace"], *long]) for one in due]
        reports = [asyncio.create_task(service.report(id, one)) for id, one in zip(ids, given, strict=True)]
        await asyncio.sleep(0)
        await play(service)
        assert not all(report.done() for report in reports)
        assert [one.attempt_id for one in await asyncio.gather(*reports)] == [one.attempt_id for one in due]
        blobs = [await service.stores.corpus.blob(one.trace_digest or "") async for one in _attempts(service, ids)]
        assert len(blobs) == 4
        assert not [blob for blob in blobs if b"hunter2" in blob]


async def test_an_output_that_the_checkers_cannot_read_is_said_to_be_that(opening: Opening) -> None:
    async with opening() as service:
        id = (await service.open(begin())).episode_id
        for due in (await service.next_move(id)).attempts:
            told = await service.report(id, await attempt(due, output="password=hunter2-9\nno JSON"))
            assert told.checks == {}
            assert told.failure
            assert "\n" not in told.failure
            assert "hunter2" not in told.model_dump_json()
            assert await service.report(id, await attempt(due, output="password=hunter2-9\nno JSON")) == told
        end = await service.next_move(id)
        assert (end.done, end.selected, end.failure) == (True, None, told.failure)


async def test_an_error_on_the_disk_is_told_and_the_episode_goes_on_when_it_is_mended(opening: Opening) -> None:
    async with opening() as service:
        id = (await service.open(begin())).episode_id
        service.stores.corpus.close()
        with pytest.raises(StoreError):
            await service.next_move(id)
    async with opening() as service:
        assert not (await service.next_move(id)).done


async def test_a_prompt_that_cannot_be_kept_refuses_no_other_episode(opening: Opening) -> None:
    async with opening() as service:
        with Prompts(service.stores.prompts.path) as another_server:
            another_server.remember(TASKS[3].model_copy(update={"prompt": "another"}))
        asked = [service.open(begin(task, f"k{n}")) for n, task in enumerate(TASKS[:6])]
        got = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(one, StoreError) for one in got] == [n == 3 for n in range(6)]
        assert len(service.stores.prompts.all()) == 6
        assert service.stores.episodes.under_way(0.0) == 5
