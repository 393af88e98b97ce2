"""One search run in this process: with rules, with a model, resumed, beside another, and with a tracker."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from controllers.program import loads
from controllers.scripted_engine import ScriptedEngine, scripted_lm
from experiments.events import (
    ArtifactWritten,
    CandidateScored,
    EpisodeTraced,
    GenerationDone,
    SearchFinished,
    SearchStarted,
    read_events,
)
from experiments.harvest.tasks import HarvestedTask, tasks_text
from experiments.places import claim
from experiments.search.learned import LEARNED
from experiments.search.projecting import project
from experiments.search.search_job import console_of, run_search
from experiments.tracking import Store
from experiments.wiring import Ready, ready, split_tasks
from signatures.errors import InfraError, UsageError
from signatures.records import AttemptContext, AttemptResult, Split, Task, TraceEvent, WorkerFingerprint
from tests.experiments.conftest import Contents
from tests.worlds.model import answer
from tests.worlds.planted import CountingWorker, PlantedBenchmark, PlantedConfig
from tests.worlds.small import small
from tests.worlds.taught import OTHER, Play
from tests.worlds.taught import play as play_production
from tests.worlds.troubled import CANARY


@dataclass
class Finished:
    """A finished run."""

    given: Ready
    folder: Path
    result: dict[str, Any]
    worker: CountingWorker
    out: str = ""

    @property
    def bodies(self) -> list[Any]:
        """What its log says, without times."""
        return [event.body for event in read_events(self.folder / "events.jsonl")]


def play(given: Ready, folder: Path | None = None, *, quiet: bool = False) -> Finished:
    """Run, in a new folder unless one is given."""
    worker = CountingWorker(given.worker)
    folder = folder or claim(given.config, given.manifest)
    result = asyncio.run(run_search(replace(given, worker=worker), folder, quiet=quiet))
    return Finished(given, folder, result, worker)


def started(root: Path, **changed: JsonValue) -> Ready:
    return ready(small(root, **changed))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run with rules."""
    return play(started(tmp_path_factory.mktemp("rules")))


@dataclass
class Asked:
    """A run with a model, and the model."""

    run: Finished
    engine: ScriptedEngine


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """A run whose policies, analyst and proposer are a scripted model; its judge marks every verdict."""
    lm, engine = scripted_lm(answer)
    root = tmp_path_factory.mktemp("model")
    config = small(root, benchmark="tests.worlds.troubled:MarkedBenchmark", lm="scripted", dev=4, val=4, generations=2)
    return Asked(play(ready(config, lm=lm)), engine)


def test_the_log_tells_the_whole_story_in_order(finished: Finished) -> None:
    bodies = finished.bodies
    assert isinstance(bodies[0], SearchStarted)
    assert bodies[-1] == SearchFinished(status="FINISHED")
    baselines = [body.name for body in bodies if isinstance(body, CandidateScored) and body.role == "baseline"]
    assert baselines == ["random@2", "continue@2", "placebo@2", "refine@2/rule", "long@1", "random search"]
    candidates = [body for body in bodies if isinstance(body, CandidateScored) and body.role == "candidate"]
    assert candidates[0].tags["tiller.decision"] == "seed"
    assert len({body.name for body in candidates}) == len(candidates)
    generations = [body.generation for body in bodies if isinstance(body, GenerationDone)]
    assert generations == list(range(len(generations)))
    members = {row["name"] for row in finished.result["rows"] if row["role"] == "front"}
    assert {body.name for body in bodies if isinstance(body, EpisodeTraced)} == members


def test_the_result_has_every_arm_the_rival_and_the_front(finished: Finished) -> None:
    roles = [row["role"] for row in finished.result["rows"]]
    assert roles.count("arm") == 5
    assert roles.count("random search") == 1
    assert roles.count("front") >= 1
    for row in finished.result["rows"]:
        assert set(row["values"]) == {"correct", "fast", "cheap", "clean"}
        assert all(value["n"] == 6 and value["lo"] <= value["mean"] <= value["hi"] for value in row["values"].values())


def test_the_search_keeps_to_its_budget(finished: Finished) -> None:
    spent = [body.metrics["search/attempts"] for body in finished.bodies if isinstance(body, GenerationDone)]
    assert spent == sorted(spent)
    assert 0 < spent[-1] <= finished.given.config.max_attempts


def test_every_attempt_is_made_once(finished: Finished) -> None:
    ids = [id for _, id in finished.worker.calls]
    assert len(ids) == len(set(ids)) <= project(finished.given.config).total


def test_a_finished_run_that_is_resumed_says_the_same_and_attempts_nothing(finished: Finished) -> None:
    before = (finished.folder / "events.jsonl").read_bytes()
    again = play(finished.given, finished.folder)
    assert again.worker.calls == []
    assert again.result == finished.result
    assert (finished.folder / "events.jsonl").read_bytes() == before


def test_how_many_episodes_run_at_once_changes_nothing(finished: Finished, tmp_path: Path) -> None:
    alone = play(started(tmp_path, concurrency=1))
    assert alone.result["rows"] == finished.result["rows"]
    assert alone.result["sentence"] == finished.result["sentence"]
    assert sorted(alone.worker.calls) == sorted(finished.worker.calls)


def test_another_run_on_the_same_corpus_gives_the_same_and_attempts_nothing(finished: Finished) -> None:
    again = play(finished.given)
    assert again.folder != finished.folder
    assert again.worker.calls == []
    assert again.result["rows"] == finished.result["rows"]


def test_another_seed_is_another_search(finished: Finished) -> None:
    other = play(ready(finished.given.config.model_copy(update={"seed": 4})))
    assert other.worker.calls
    assert other.result["rows"] != finished.result["rows"]


def test_a_folder_is_not_taken_over_by_another_search(finished: Finished) -> None:
    journal = (finished.folder / "journal.jsonl").read_bytes()
    with pytest.raises(UsageError, match="belongs to another search"):
        play(ready(finished.given.config.model_copy(update={"seed": 5})), finished.folder)
    assert (finished.folder / "journal.jsonl").read_bytes() == journal


def test_a_run_does_not_go_on_with_another_worker(finished: Finished) -> None:
    other = PlantedBenchmark(PlantedConfig(noise=0.5)).worker(None, None)
    with pytest.raises(UsageError, match="belongs to another search"):
        play(replace(finished.given, worker=other), finished.folder)


def test_an_outage_ends_the_run_early_and_is_told(tmp_path: Path) -> None:
    given = started(tmp_path)
    folder = claim(given.config, given.manifest)
    worker = CountingWorker(given.worker, fails=lambda task, call: OSError("no machine"))
    with pytest.raises(InfraError, match=r"10 infrastructure failures in a row.*no machine"):
        asyncio.run(run_search(replace(given, worker=worker), folder))
    assert len(worker.calls) < project(given.config).total * 0.05
    bodies = [event.body for event in read_events(folder / "events.jsonl")]
    assert bodies[-1] == SearchFinished(status="FAILED")


def test_what_an_outage_ended_is_run_again_when_the_run_is_resumed(tmp_path: Path) -> None:
    given = started(tmp_path, dev=10)
    folder = claim(given.config, given.manifest)
    dev = {task.digest for task in given.splits.dev}
    down = CountingWorker(given.worker, fails=lambda task, call: OSError("down") if task.digest in dev else None)
    with pytest.raises(InfraError, match="10 infrastructure failures in a row"):
        asyncio.run(run_search(replace(given, worker=down), folder))
    up = play(given, folder)
    assert [(row["n"], row["missing"]) for row in up.result["rows"]] == [(10, 0)] * len(up.result["rows"])


def test_the_model_decides_steers_and_proposes(asked: Asked) -> None:
    for field in ("action", "steer", "hypothesis"):
        assert any(f"starting with the field `[[ ## {field} ## ]]`" in prompt for prompt in asked.engine.prompts)
    proposers = {
        body.tags["tiller.proposer"]
        for body in asked.run.bodies
        if isinstance(body, CandidateScored) and body.role == "candidate"
    }
    assert proposers == {"start", "scripted"}
    assert asked.run.bodies[0].tags["tiller.proposer"] == "scripted"


def test_the_models_tokens_are_billed_and_shown(asked: Asked) -> None:
    rows = {row["name"]: row["tokens"] for row in asked.run.result["rows"]}
    assert rows["refine@2/text"] > 0  # the analyst
    assert rows["continue@2"] is None
    front = [row["tokens"] for row in asked.run.result["rows"] if row["role"] == "front"]
    assert front and all(tokens > 0 for tokens in front)
    spent = [body.metrics["search/tokens"] for body in asked.run.bodies if isinstance(body, GenerationDone)]
    assert spent == sorted(spent) and spent[0] > 0
    words = sum(len(prompt.split()) for prompt in asked.engine.prompts)
    assert spent[-1] + sum(tokens or 0 for tokens in rows.values()) > 0.5 * words


def test_no_verdict_reaches_a_prompt_the_log_or_the_result(asked: Asked) -> None:
    assert asked.engine.prompts
    for prompt in asked.engine.prompts:
        assert CANARY not in prompt
        assert "planted judge" not in prompt
        assert '"broken"' not in prompt  # the worker's output, which only the judge is handed
    assert CANARY not in (asked.run.folder / "events.jsonl").read_text()
    assert CANARY not in (asked.run.folder / "journal.jsonl").read_text()
    assert CANARY not in json.dumps(asked.run.result)
    verdicts = asked.run.folder.parent / "corpus-planted.verdicts.db"
    assert CANARY.encode() in verdicts.read_bytes()  # it was there to be leaked


def test_a_front_member_with_a_model_loads_with_that_model_only(asked: Asked) -> None:
    lm, _ = scripted_lm(answer)
    files = sorted((asked.run.folder / "candidates").iterdir())
    assert files
    for file in files:
        assert loads(file.read_text(), lm).candidate.components
        with pytest.raises(UsageError, match="name one with --lm"):
            loads(file.read_text())


def test_a_models_run_is_resumed_without_asking_again(asked: Asked) -> None:
    lm, engine = scripted_lm(answer)
    again = play(replace(asked.run.given, lm=lm), asked.run.folder)
    assert engine.prompts == []
    assert again.worker.calls == []
    assert again.result == asked.run.result


def test_everything_is_mirrored_into_the_default_store(root: Path, contents: Any) -> None:
    run = play(started(root, tracking=True))
    found: Contents = contents(Store(f"sqlite:///{root / 'mlflow.db'}", root / "mlflow-artifacts"))
    runs = {name.split("/", 1)[1]: body for name, body in found.items() if name != "traces"}
    parent = runs["gepa s0"]
    assert parent["status"] == "FINISHED"
    assert "front.png" in parent["artifacts"]  # type: ignore[operator]  # a list of names
    names = {body.name for body in run.bodies if isinstance(body, CandidateScored)}
    assert set(runs) == {"gepa s0", *names}
    assert run.result["paths"]["mlflow"] == f"sqlite:///{root / 'mlflow.db'}"


def test_the_story_is_told_on_stderr_where_stdout_is_for_json(capsys: pytest.CaptureFixture[str]) -> None:
    console_of(quiet=True).print("told")
    console_of(quiet=False).print("[bold]told[/bold] :smile:")
    assert capsys.readouterr() == ("[bold]told[/bold] :smile:\n", "told\n")


def test_a_run_that_learns_says_so_everywhere_and_ends_the_same_when_it_is_resumed(
    root: Path, contents: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    play_production(root / "corpus-planted.db", PlantedBenchmark().tasks("production")[:6])
    first = play(started(root, learn_from="all", tracking=True))
    (begun,) = [body for body in first.bodies if isinstance(body, SearchStarted)]
    assert begun.tags["tiller.learned.corpora"].startswith("corpus-planted.db to row ")
    assert next(body.path for body in first.bodies if isinstance(body, ArtifactWritten)) == "learned.json"
    assert "of 6 planted production episodes" in capsys.readouterr().out
    play_production(root / "corpus-planted.db", PlantedBenchmark().tasks("production")[6:9])
    again = play(first.given, first.folder)
    assert (again.bodies, again.result) == (first.bodies, first.result)
    assert again.worker.calls == []
    found: Any = contents(Store(f"sqlite:///{root / 'mlflow.db'}", root / "mlflow-artifacts"))
    (run,) = [one for one in found.values() if "tiller.learned" in one.get("tags", {})]
    assert run["tags"]["tiller.learned"] == begun.tags["tiller.learned"]
    assert "learned.json" in run["artifacts"]


@dataclass(frozen=True)
class Erring:
    """The planted worker, with so many errors before its work: a number that a search can see as `errors`."""

    errors: int

    @property
    def fingerprint(self) -> WorkerFingerprint:
        return PlantedBenchmark().worker(None, None).fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        result = await PlantedBenchmark().worker(None, None).attempt(task, context, start)
        failed = [TraceEvent(turn=0, kind="tool", name="probe", failed=True)] * self.errors
        return result.model_copy(update={"trace": (*failed, *result.trace)})


def test_what_dev_and_holdout_show_reaches_no_model_that_learns_from_all(tmp_path: Path) -> None:
    world, own, other = PlantedBenchmark(), tmp_path / "corpus-planted.db", tmp_path / "corpus-machines.db"

    def played(corpus: Path, split: Split, errors: int, plan: Play) -> None:
        tasks = world.tasks(split)[-3:]
        play_production(corpus, tasks, replace(plan, split=split), CountingWorker(Erring(errors)))

    played(own, "production", 301, Play())
    played(other, "search", 303, Play(benchmark=OTHER))
    played(own, "dev", 307, Play())
    played(own, "holdout", 311, Play())
    played(other, "dev", 313, Play(benchmark=OTHER))
    lm, engine = scripted_lm(answer)
    given = ready(small(tmp_path, learn_from="all", lm="scripted", attempts=3, generations=1), lm=lm)
    run = play(given)
    learned = [prompt for prompt in engine.prompts if "learned from" in prompt]
    assert {number for number in (301, 303, 307, 311, 313) if any(f"{number}" in text for text in learned)} == {
        301,
        303,
    }
    for text in (*engine.prompts, (run.folder / "events.jsonl").read_text(), (run.folder / LEARNED).read_text()):
        assert not any(f'"errors": {number}' in text or f'"errors":{number}' in text for number in (307, 311, 313))


def test_a_harvested_task_is_recorded_and_counted_in_the_projection(tmp_path: Path) -> None:
    new = PlantedBenchmark().tasks("production")[:2]
    file = tmp_path / "tasks.jsonl"
    file.write_text(tasks_text([HarvestedTask(task=task, episodes=("e",)) for task in new]), encoding="utf-8")
    plain, more = project(small(tmp_path)), project(small(tmp_path, harvested=str(file)))
    assert more.record * (4 + 2) == plain.record * (4 + 2 + 2)
    run = play(started(tmp_path / "runs", harvested=str(file)))
    assert {task.digest for task in new} <= {digest for digest, _ in run.worker.calls}


def test_a_harvested_file_that_was_edited_does_not_go_on(tmp_path: Path) -> None:
    new = PlantedBenchmark().tasks("production")[:2]
    file = tmp_path / "tasks.jsonl"
    text = tasks_text([HarvestedTask(task=task, episodes=("e",)) for task in new])
    file.write_text(text, encoding="utf-8")
    first = started(tmp_path / "runs", harvested=str(file))
    run = play(first)
    file.write_text(text.replace("does not run", "is to be painted"), encoding="utf-8")  # under the same digests
    edited = replace(first, splits=split_tasks(first.benchmark, first.config))
    with pytest.raises(UsageError, match="belongs to another search"):
        play(edited, run.folder)
