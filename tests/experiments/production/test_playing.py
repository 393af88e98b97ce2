"""A production run from inside: who decides which episode, what a kill or an outage leaves, and that it goes on."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import dspy
import pytest
from pydantic import JsonValue
from rich.console import Console

from controllers.baselines import seed_candidate
from controllers.champion import ChampionWatch
from controllers.corpus import SqliteCorpus
from controllers.fallback import Patience
from controllers.lm import make_lm
from controllers.policies.lm import LMPolicy
from controllers.production import PRODUCTION
from controllers.program import Controller, controller_of
from controllers.release import FolderSource, Here
from experiments.events import EventLog, SearchFinished, read_events
from experiments.production.config import ProductionConfig
from experiments.production.parts import Prepared, prepare
from experiments.production.playing import run_production
from experiments.production.prompts import Prompts
from experiments.production.report import REPORT, ProductionReport
from experiments.production.run_log import FILE, RunLog
from experiments.production.served import Served, served_of
from optimizers.promotion import Promotion, ungated_report, write_release
from optimizers.setup import Grant
from signatures.errors import Outage, UsageError
from signatures.records import Attempt, Decision, Episode, Task
from signatures.release import Lineage, Release
from tests.worlds.model import served
from tests.worlds.planted import CountingWorker, PlantedBenchmark
from tests.worlds.shipped import BENCHMARK, follows_lamps, ship

TASKS = 6


class Killed(BaseException):
    """What ends a run as a kill would: nothing catches it."""


def prepared(
    root: Path, fails: Callable[[Task, int], Exception | None] | None = None, **changed: JsonValue
) -> Prepared:
    given = {
        "benchmark": BENCHMARK,
        "release": str(root / "release"),
        "root": str(root / "runs"),
        "tasks": TASKS,
        "every_s": 0,
        "tracking": False,
    }
    found = prepare(ProductionConfig.model_validate({**given, **changed}))
    return replace(found, worker=CountingWorker(found.worker, fails or (lambda task, call: None)))


async def played(given: Prepared, out: io.StringIO | None = None, folder: str = "run-1") -> ProductionReport:
    console = Console(file=out or io.StringIO(), markup=False, width=200)
    (given.root / folder).mkdir(parents=True, exist_ok=True)
    return await run_production(given, given.root / folder, console)


async def stored(given: Prepared) -> tuple[list[Episode], list[Attempt], list[Decision]]:
    with closing(SqliteCorpus(given.corpus)) as corpus:
        return (
            [one async for one in corpus.scan(Episode)],
            [one async for one in corpus.scan(Attempt)],
            [one async for one in corpus.scan(Decision)],
        )


async def test_every_episode_is_recorded_as_production_by_the_release_and_its_prompt_is_kept(tmp_path: Path) -> None:
    release = ship(tmp_path / "release")
    given = prepared(tmp_path)
    report = await played(given)
    episodes, attempts, decisions = await stored(given)
    assert {(e.split, e.condition, e.candidate) for e in episodes} == {(PRODUCTION, PRODUCTION, release.candidate)}
    assert sorted(e.task_digest for e in episodes) == sorted(task.digest for task in given.asked.tasks)
    least = min(p for d in decisions for p in d.probabilities.values())
    assert least == pytest.approx(release.exploration)
    (served,) = report.served
    assert (served.release, served.episodes, served.attempts) == (release.digest, TASKS, len(attempts))
    assert served.usable == TASKS
    assert json.loads((given.root / "run-1" / REPORT).read_text()) == report.model_dump(mode="json")
    with Prompts(given.prompts) as prompts:
        assert prompts.all() == given.asked.tasks


async def test_two_runs_of_one_config_play_twice(tmp_path: Path) -> None:
    ship(tmp_path / "release")
    given = prepared(tmp_path)
    await played(given)
    second = await played(given, folder="run-2")
    episodes, attempts, _ = await stored(given)
    assert len(episodes) == 2 * TASKS
    assert second.served[0].episodes == TASKS
    assert second.served[0].attempts < len(attempts)


async def test_a_release_that_is_replaced_decides_from_the_next_episode_on(tmp_path: Path) -> None:
    first = ship(tmp_path / "release")
    shipped = []

    def replaced(task: Task, call: int) -> None:
        if call == 4:  # in the middle of an episode
            shipped.append(ship(tmp_path / "release", seed_candidate()))

    given = prepared(tmp_path, replaced, concurrency=1)
    out = io.StringIO()
    report = await played(given, out)
    (second,) = shipped
    assert [one.release for one in report.served] == [first.digest, second.digest]
    assert sum(one.episodes for one in report.served) == TASKS
    assert f"on release {second.digest} decides" in out.getvalue()
    episodes, _, decisions = await stored(given)
    policies = {e.id: {(d.policy, d.policy_digest) for d in decisions if d.episode_id == e.id} for e in episodes}
    for one in policies.values():  # no episode was decided by two controllers
        assert len(one) == len({policy for policy, _ in one})
    assert {e.candidate for e in episodes} == {first.candidate, second.candidate}


async def test_a_replacement_that_is_refused_changes_nothing_and_is_told(tmp_path: Path) -> None:
    release = ship(tmp_path / "release")

    def edited(task: Task, call: int) -> None:
        if call == 4:
            (tmp_path / "release" / "state.json").write_text("{}")
            manifest = tmp_path / "release" / "manifest.json"
            manifest.write_bytes(manifest.read_bytes() + b" ")

    given = prepared(tmp_path, edited, concurrency=1)
    out = io.StringIO()
    report = await played(given, out)
    assert [(one.release, one.episodes) for one in report.served] == [(release.digest, TASKS)]
    assert "state.json: its digest is not the manifest's" in out.getvalue()


@pytest.mark.parametrize("call", [1, 5, 9])
async def test_a_killed_run_goes_on_under_the_releases_its_episodes_began_with(call: int, tmp_path: Path) -> None:
    first = ship(tmp_path / "release")
    whole = prepared(tmp_path / "whole", release=str(tmp_path / "release"), concurrency=1)
    await played(whole)

    def killed(task: Task, made: int) -> None:
        if made == call:
            raise Killed

    given = prepared(tmp_path, killed, concurrency=1)
    with pytest.raises(Killed):
        await played(given)
    with RunLog(given.root / "run-1", given.identity) as log:
        began = len(log.standing)
    ship(tmp_path / "release", seed_candidate())
    report = await played(prepared(tmp_path, concurrency=1))
    assert report.served[0].release == first.digest
    assert report.served[0].episodes == began
    assert sum(one.episodes for one in report.served) == TASKS
    episodes, attempts, _ = await stored(given)
    before = {e.task_digest: e.attempt_ids for e in (await stored(whole))[0]}
    for episode in episodes:
        if episode.candidate == first.candidate:
            assert episode.attempt_ids == before[episode.task_digest]
    assert len(attempts) == sum(len(e.attempt_ids) for e in episodes)


async def test_a_run_that_is_done_plays_nothing_again(tmp_path: Path) -> None:
    ship(tmp_path / "release")
    first = await played(prepared(tmp_path))
    again = prepared(tmp_path)
    (tmp_path / "release" / "manifest.json").unlink()  # nobody needs it any more
    report = await played(again)
    assert isinstance(again.worker, CountingWorker) and again.worker.calls == []
    assert report.served == first.served


async def test_an_outage_stops_the_run_and_what_it_spoilt_is_played_when_it_goes_on(tmp_path: Path) -> None:
    ship(tmp_path / "release")
    with pytest.raises(Outage, match="10 infrastructure failures in a row"):
        await played(prepared(tmp_path, lambda task, call: ValueError("broken"), tasks=20, concurrency=1))
    last = [event.body for event in read_events(tmp_path / "runs" / "run-1" / "events.jsonl")][-1]
    assert isinstance(last, SearchFinished) and last.status == "FAILED"
    report = await played(prepared(tmp_path, tasks=20))
    (served,) = report.served
    assert (served.episodes, served.failed, served.usable) == (20, 0, 20)


async def test_one_failure_is_shown_and_scores_nothing(tmp_path: Path) -> None:
    ship(tmp_path / "release")
    bad = prepared(tmp_path).asked.tasks[2].digest
    given = prepared(tmp_path, lambda task, call: ValueError("broken") if task.digest == bad else None)
    out = io.StringIO()
    (served,) = (await played(given, out)).served
    assert (served.episodes, served.failed, served.success["correct"].n) == (TASKS, 1, TASKS - 1)
    assert "left out: 1 infrastructure" in out.getvalue()


async def test_where_a_model_dies_its_fallback_decides_until_it_is_back_and_all_of_it_is_said(tmp_path: Path) -> None:
    with served(lambda number, prompt: "500" if 5 <= number < 9 else "ok") as model:
        lm = make_lm("openai/fake", {"api_base": model.url, "api_key": "none"})
        given = replace(prepared(tmp_path, slowly, concurrency=1, tasks=12), lm=lm)
        release = ship_model(tmp_path / "release", lm)
        watch = ChampionWatch(
            FolderSource(tmp_path / "release"),
            here=Here(lm=lm, worker=given.worker.fingerprint, patience=Patience(failures=1, cool_down_s=0.05)),
            cache=tmp_path / "cache",
        )
        (given.root / "run-1").mkdir(parents=True)
        out = io.StringIO()
        report = await run_production(given, given.root / "run-1", Console(file=out, markup=False, width=200), watch)
    _, _, decisions = await stored(given)
    steers = [one.tier for one in decisions if one.policy == "steer"]
    (counts,) = report.served
    assert steers[0] == steers[-1] == "frontier"
    assert 0 < counts.fallbacks == steers.count("rule")
    assert counts.by_tier["frontier"] == steers.count("frontier") > 4
    assert (counts.failed, counts.usable) == (0, 12)
    said = [line for line in out.getvalue().splitlines() if line.startswith("steer: ")]
    down = "steer: its model does not answer; the release's fallback decides meanwhile"
    assert said == [down, "steer: its model is asked again"] * (len(said) // 2) != []
    assert f"{counts.fallbacks} decisions were the fallback's: the model of their policy was down" in out.getvalue()
    again = await served_of_release(given, release)
    assert (again.fallbacks, again.by_tier) == (counts.fallbacks, counts.by_tier)


def slowly(task: Task, call: int) -> None:
    """An attempt takes its time: a cool-down ends meanwhile."""
    time.sleep(0.02)


def ship_model(folder: Path, lm: dspy.LM) -> Release:
    """A release whose steer policy asks the model; it has a fallback."""
    world, rules = PlantedBenchmark(), controller_of(follows_lamps()).policies
    controller = Controller(stop=rules["stop"], topology=rules["topology"], steer=LMPolicy("steer", lm))
    promotion = Promotion(
        name=world.id,
        benchmark=world.id,
        controller=controller,
        grant=Grant(3, 3, ("none", *(directive.action for directive in world.directives))),
        worker=world.worker(None, None).fingerprint,
        lineage=Lineage(name="by hand"),
        report=ungated_report(controller.digest, world.id, "made by a test"),
        ungated="made by a test",
        exploration=0.05,
    )
    return write_release(folder, promotion, at_s=1_700_000_000.0)


async def served_of_release(given: Prepared, release: Release) -> Served:
    with closing(SqliteCorpus(given.corpus)) as corpus:
        return await served_of(corpus, given.benchmark, release)


async def test_at_exploration_0_it_says_that_replay_can_use_none(tmp_path: Path) -> None:
    ship(tmp_path / "release", exploration=0.0)
    out = io.StringIO()
    await played(prepared(tmp_path), out)
    assert f"replay can use none of the {TASKS} episodes for other candidates" in out.getvalue()


async def test_a_password_in_a_url_is_not_in_the_report(tmp_path: Path) -> None:
    ship(tmp_path / "release")
    report = await played(prepared(tmp_path, tasks=1, api_base="http://me:hunter22@models.example/v1"))
    assert report.config["api_base"] == "http://[redacted]@models.example/v1"


async def test_another_runs_folder_and_one_being_written_are_refused(tmp_path: Path) -> None:
    ship(tmp_path / "release")
    await played(prepared(tmp_path))
    before = (tmp_path / "runs" / "run-1" / FILE).read_bytes()
    with pytest.raises(UsageError, match="was begun with other tasks"):
        await played(prepared(tmp_path, tasks=TASKS + 1))
    with EventLog(tmp_path / "runs" / "run-1"), pytest.raises(UsageError, match="another process is writing this run"):
        await played(prepared(tmp_path))
    assert (tmp_path / "runs" / "run-1" / FILE).read_bytes() == before


async def test_a_release_whose_cache_is_gone_begins_again_and_says_so(tmp_path: Path) -> None:
    ship(tmp_path / "release")

    def killed(task: Task, made: int) -> None:
        if made == 2:
            raise Killed

    with pytest.raises(Killed):
        await played(prepared(tmp_path, killed, concurrency=1))
    shutil.rmtree(tmp_path / "runs" / "champion-planted")
    second = ship(tmp_path / "release", seed_candidate())
    out = io.StringIO()
    report = await played(prepared(tmp_path, concurrency=1), out)
    assert "is not to be had; it begins again" in out.getvalue()
    assert report.served[-1].release == second.digest
