"""A small search, told through the real event log: 3 generations, 8 candidates, 5 control arms."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.events import (
    ArtifactWritten,
    AttemptSeen,
    Body,
    CandidateScored,
    CandidateUpdated,
    EpisodeTraced,
    EventLog,
    GenerationDone,
    SearchFinished,
    SearchStarted,
    SearchUpdated,
)
from experiments.lineages import BETWEEN
from experiments.search.confirmed import Confirmed, Pair
from experiments.tracking import Store, connect, newest_experiment
from signatures.digest import digest_of
from signatures.records import CheckerResult, TraceEvent

BEST = "g03-c2"
OBJECTIVES = ("correct", "fast", "cheap", "secure", "clean")


class Row(NamedTuple):
    """One candidate or arm: its name, turns per episode, and scaled objectives on the search split."""

    name: str
    turns: float
    correct: float
    secure: float
    front: str = "no"


ARMS = (
    Row("random@3", 34.1, 0.0817, 0.71),
    Row("continue@3", 29.8, 0.4192, 0.68),
    Row("placebo@3", 29.9, 0.4083, 0.66),
    Row("refine@3-fixed", 27.3, 0.5233, 0.7),
    Row("long@1", 33.6, 0.3958, 0.62),
)
CANDIDATES = (
    Row("g01-c1", 28.2, 0.5125, 0.69),
    Row("g01-c2", 21.4, 0.4533, 0.8, "yes"),
    Row("g02-c1", 26.1, 0.58, 0.71),
    Row("g02-c2", 24.0, 0.5633, 0.77, "yes"),
    Row("g02-c3", 31.0, 0.5475, 0.6),
    Row("g03-c1", 25.2, 0.6342, 0.74, "yes"),
    Row("g03-c2", 26.4, 0.7108, 0.75, "yes"),
    Row("g03-c3", 28.7, 0.6067, 0.64),
)
HYPERVOLUME = (0.31, 0.38, 0.47)


def story(run_id: str, seed: int = 7, lift: float = 0.0) -> Iterator[Body]:
    """The whole search, event by event. `lift` makes another seed's search differ."""
    yield SearchStarted(
        run_id=run_id,
        benchmark="telecom",
        engine="gepa",
        seed=seed,
        config={"search.generations": "3", "search.attempts": "3", "worker.noise": "0.15", "proposer": "mined"},
        tags={"tiller.commit": "4f2c9aa1", "tiller.judge": "tau2-assertions@1", "tiller.splits": "search 558, dev 575"},
    )
    for row in ARMS:
        yield _scored(row, "baseline", 0, lift=0.0)
    parent = ""
    for generation, hypervolume in enumerate(HYPERVOLUME, 1):
        rows = [row for row in CANDIDATES if row.name.startswith(f"g{generation:02}")]
        for row in rows:
            yield _scored(row, "candidate", generation, parent=parent, lift=lift)
        best = max(rows, key=lambda row: row.correct)
        parent = best.name
        yield GenerationDone(
            generation=generation,
            metrics={
                "search/hypervolume": hypervolume + lift,
                "search/front_size": generation + 1,
                "search/best_correct": best.correct + lift,
                "search/attempts": 1200 * generation,
                "search/evaluated_attempts": 1500 * generation,
                "search/cost_usd": 0.000123 * generation,
                "search/unsupported": 0.02 / generation,
            },
        )
    yield _confirmed(BEST, "gepa")
    yield _confirmed("r03-c1", "random search")
    for row in (*ARMS, *(row for row in CANDIDATES if row.front == "yes")):
        yield CandidateUpdated(
            name=row.name, metrics=_measured("dev", row, lift - 0.03), tags={"tiller.front": row.front}
        )
    spent = {"compute": 4500.0, "attempts": 3600.0, "tokens": 0.0, "usd": 0.000369, "wall_s": 41.5}
    front = ", ".join(row.name for row in CANDIDATES if row.front == "yes")
    yield SearchUpdated(metrics={f"spent/{name}": value for name, value in spent.items()}, tags={"tiller.front": front})
    yield _traced(BEST)
    yield SearchFinished(metrics={"search/final_hypervolume": HYPERVOLUME[-1] + lift})


def _measured(split: str, row: Row, lift: float) -> dict[str, float]:
    values = {
        "correct": row.correct + lift,
        "fast": 1 - row.turns / 48,
        "cheap": 1 - row.turns / 60,
        "secure": row.secure,
        "clean": 0.5 + row.secure / 3,
    }
    metrics = {f"{split}/{name}": value for name, value in values.items()}
    metrics |= {f"{split}/{name}_lo": value - 0.041 for name, value in values.items()}
    return metrics | {f"{split}/{name}_hi": value + 0.041 for name, value in values.items()}


def _scored(row: Row, role: str, generation: int, *, parent: str = "", lift: float) -> CandidateScored:
    controller = f'{{"steer": "rules of {row.name}"}}'
    told: dict[str, str] = {}
    if role == "candidate":
        names = (parent, row.name) if parent else (row.name,)
        told = {"tiller.parent_names": parent, "tiller.lineage": BETWEEN.join(names), "tiller.engine": "gepa"}
    return CandidateScored(
        name=row.name,
        role=role,
        generation=generation,
        digest=digest_of(row.name),
        tags={
            "tiller.parents": parent,
            "tiller.decision": "accepted",
            "tiller.proposer": "mined",
            "tiller.front": row.front,
            **told,
        },
        params={"steer": "rule", "topology": "refine", "stop": "rule"},
        metrics=_measured("search", row, lift)
        | {"cost/turns": row.turns, "cost/attempts": 2.8, "cost/usd": 0.00001234 * row.turns}
        | {"spent/compute": 300.0, "spent/attempts": 240.0, "spent/tokens": 0.0, "spent/usd": 0.0001},
        artifacts={"controller.json": controller, "diff.txt": f"+ {row.name}\n", "evidence.json": "{}"},
    )


def _confirmed(name: str, search: str) -> Confirmed:
    pair = Pair(n=72, offline=0.71, offline_lo=0.64, offline_hi=0.78, live=0.66, live_lo=0.55, live_hi=0.76)
    return Confirmed(
        name=name,
        search=search,
        digest=digest_of(name),
        tasks=72,
        replayed=72,
        unsupported=0.01,
        attempts=201,
        values={"correct": pair, "fast": pair},
    )


def _traced(name: str) -> EpisodeTraced:
    events = (
        TraceEvent(turn=0, kind="tool", name="check_apn", arguments="{}", text="APN: broken"),
        TraceEvent(turn=1, kind="tool", name="reset_apn", arguments="{}", text="no such setting", failed=True),
    )
    checks = (CheckerResult(objective="correct", value=1.0, unit="pass", passed=True),)
    attempts = tuple(
        AttemptSeen(attempt_id=f"{name}-{n}", steer="look at the APN", events=events, checks=checks) for n in (1, 2)
    )
    return EpisodeTraced(name=name, episode_id=digest_of("episode", name), attempts=attempts)


Tell = Callable[..., Path]


@pytest.fixture(scope="session")
def story_teller() -> Tell:
    """Write a story into a run folder: all of it, or what comes before event number `until`."""

    def write(folder: Path, *, seed: int = 7, lift: float = 0.0, listen=None, until: int | None = None) -> Path:
        with EventLog(folder, listen=listen) as log:
            for number, body in enumerate(story(folder.name, seed, lift), 1):
                if number == until:
                    break
                log.emit(body)
            else:
                (folder / "front.png").write_bytes(b"\x89PNG a picture")
                log.emit(ArtifactWritten.of(folder, "front.png"))
        return folder

    return write


@pytest.fixture
def tell(story_teller: Tell) -> Tell:
    """The story teller under a shorter name."""
    return story_teller


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with MLflow's tables: making them takes seconds, copying them does not."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    store = Store(f"sqlite:///{file}", file.parent)
    assert newest_experiment(store) is None
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


@pytest.fixture
def root(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run root with an empty default store; nothing in the environment names another."""
    for name in ("MLFLOW_TRACKING_URI", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return tmp_path


Contents = dict[str, dict[str, object]]


@pytest.fixture
def contents() -> Callable[[Store], Contents]:
    """All that a SQLite store holds of Tiller's runs, by run and name, without ids. A duplicate is an error."""

    def read(store: Store) -> Contents:
        client = connect(store)
        found: Contents = {}
        experiments = client.search_experiments(filter_string="name LIKE 'tiller/%'")
        ids = [experiment.experiment_id for experiment in experiments]
        runs = client.search_runs(ids)
        assert store.file is not None
        with closing(sqlite3.connect(store.file)) as database:
            history = database.execute("SELECT run_uuid, key, step, timestamp, value FROM metrics").fetchall()
        names = {run.info.run_id: f"{run.data.tags['tiller.run']}/{run.data.tags['tiller.name']}" for run in runs}
        for run in runs:
            name = names[run.info.run_id]
            assert name not in found
            tags = dict(run.data.tags)
            tags["mlflow.parentRunId"] = names.get(tags.get("mlflow.parentRunId", ""), "")
            for id, linked in names.items():
                tags = {key: text.replace(id, linked) for key, text in tags.items()}
            found[name] = {
                "status": run.info.status,
                "times": (run.info.start_time, run.info.end_time),
                "tags": tags,
                "params": run.data.params,
                "metrics": sorted(row[1:] for row in history if row[0] == run.info.run_id),
                "artifacts": sorted(item.path for item in client.list_artifacts(run.info.run_id)),
            }
        traces = client.search_traces(locations=ids)
        tags_of = [trace.info.tags for trace in traces]
        found["traces"] = {f"{t['tiller.run']}/{t['tiller.episode']}": t["tiller.name"] for t in tags_of}
        assert len(found["traces"]) == len(traces)
        return found

    return read


@pytest.fixture
def free_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
