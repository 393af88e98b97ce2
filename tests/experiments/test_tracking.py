"""What a search looks like in a real MLflow store."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from experiments.events import FILE, CandidateScored, EventLog, GenerationDone, SearchStarted, read_events
from experiments.mirror import replay
from experiments.tracking import SETTINGS, Store, connect, newest_experiment, store_of
from signatures.errors import StoreError

Read = Callable[[Store], dict[str, dict[str, object]]]


@pytest.fixture
def told(root: Path, tell, contents: Read) -> dict[str, dict[str, object]]:
    """The whole story, replayed into the default store and read back."""
    folder = tell(root / "gepa-7")
    assert replay(read_events(folder / FILE), folder) == 32
    return contents(store_of(root))


def test_the_parent_run_is_the_search(told: dict, root: Path) -> None:
    parent = told["gepa-7/gepa s7"]
    assert parent["status"] == "FINISHED"
    assert parent["tags"]["tiller.role"] == "search"
    assert parent["tags"]["tiller.judge"] == "tau2-assertions@1"
    assert parent["params"]["search.generations"] == "3"
    assert {"benchmark": "telecom", "engine": "gepa", "seed": "7"}.items() <= parent["params"].items()
    steps = [(step, value) for key, step, _, value in parent["metrics"] if key == "search/hypervolume"]
    assert steps == [(1, 0.31), (2, 0.38), (3, 0.47)]
    assert {key for key, *_ in parent["metrics"]} >= {
        *("search/front_size", "search/best_correct", "search/attempts", "search/cost_usd", "search/unsupported")
    }
    assert parent["tags"]["tiller.front"] == "g01-c2, g02-c2, g03-c1, g03-c2"
    spent = {key: value for key, *_, value in parent["metrics"] if key.startswith("spent/")}
    assert (spent["spent/compute"], spent["spent/attempts"], spent["spent/wall_s"]) == (4500.0, 3600.0, 41.5)
    assert parent["artifacts"] == ["front.png"]
    assert connect(store_of(root)).get_experiment_by_name("tiller/telecom") is not None


def test_each_candidate_is_a_child_run(told: dict) -> None:
    best = told["gepa-7/g03-c2"]
    assert best["status"] == "FINISHED"
    assert (
        best["tags"].items()
        >= {
            "mlflow.parentRunId": "gepa-7/gepa s7",
            "mlflow.runName": "g03-c2",
            "tiller.role": "candidate",
            "tiller.generation": "3",
            "tiller.parents": "g02-c1",
            "tiller.decision": "accepted",
            "tiller.proposer": "mined",
            "tiller.front": "yes",
        }.items()
    )
    assert len(best["tags"]["tiller.candidate"]) == 24
    assert best["params"] == {"steer": "rule", "topology": "refine", "stop": "rule"}
    values = {key: value for key, _, _, value in best["metrics"]}
    assert (values["search/correct"], values["dev/correct"]) == (0.7108, 0.6808)
    assert (values["dev/correct_lo"], values["dev/correct_hi"]) == (0.6398, 0.7218)
    assert (values["cost/turns"], values["cost/usd"]) == (26.4, 0.0003258)
    assert best["artifacts"] == ["controller.json", "diff.txt", "evidence.json"]


def test_a_candidates_page_links_to_its_ancestors(told: dict, root: Path) -> None:
    client = connect(store_of(root))
    experiment = client.get_experiment_by_name("tiller/telecom")
    assert experiment is not None
    runs = {run.data.tags["tiller.name"]: run for run in client.search_runs([experiment.experiment_id])}
    best = runs["g03-c2"].data.tags
    assert (best["tiller.lineage"], best["tiller.engine"]) == ("g02-c1 > g03-c2", "gepa")
    link = f"[g02-c1](#/experiments/{experiment.experiment_id}/runs/{runs['g02-c1'].info.run_id})"
    assert best["mlflow.note.content"].split("\n\n") == [
        f"**Lineage:** {link} > g03-c2",
        "**Decision:** accepted, proposed by mined",
        f"**Parents:** {link}",
    ]
    assert "mlflow.note.content" not in runs["long@1"].data.tags


@pytest.mark.parametrize(
    ("engine", "tags", "role"), [("optuna", {"tiller.engine": "optuna"}, "search"), ("gate", {}, "report")]
)
def test_a_search_is_told_from_a_report_by_its_tag(
    root: Path, contents: Read, engine: str, tags: dict[str, str], role: str
) -> None:
    with EventLog(root / "run") as log:
        log.emit(SearchStarted(run_id="run", benchmark="telecom", engine=engine, seed=1, tags=tags))
    replay(read_events(root / "run" / FILE), root / "run")
    assert contents(store_of(root))[f"run/{engine} s1"]["tags"]["tiller.role"] == role
    assert (newest_experiment(store_of(root)) is not None) is (role == "search")


def test_control_arms_are_children_too_and_coloured_apart(told: dict) -> None:
    arms = {name for name, run in told.items() if run.get("tags", {}).get("tiller.role") == "baseline"}
    assert arms == {f"gepa-7/{arm}" for arm in ("random@3", "continue@3", "placebo@3", "refine@3-fixed", "long@1")}
    colors = {name: told[f"gepa-7/{name}"]["tags"].get("mlflow.runColor") for name in ("g03-c2", "g02-c3", "long@1")}
    assert len(set(colors.values())) == 3
    assert "mlflow.runColor" not in told["gepa-7/gepa s7"]["tags"]


def test_a_finalists_episode_is_a_trace_of_its_run(told: dict, root: Path) -> None:
    assert list(told["traces"].values()) == ["g03-c2"]
    client = connect(store_of(root))
    experiment_id = newest_experiment(store_of(root))
    assert experiment_id is not None
    (trace,) = client.search_traces(locations=[experiment_id])
    names = [span.name for span in trace.data.spans]
    turns = ["check_apn", "reset_apn"]
    assert names == ["g03-c2: episode", "attempt 1", *turns, "attempt 2", *turns]
    failed = [span.name for span in trace.data.spans if span.status.status_code.value == "ERROR"]
    assert failed == ["reset_apn", "reset_apn"]
    assert trace.data.spans[1].outputs["checks"]["correct"]["value"] == 1.0


def test_long_text_becomes_an_artifact_and_many_params_fit(root: Path, contents: Read) -> None:
    config = {f"key.{number}": str(number) for number in range(250)}
    with EventLog(root / "wide") as log:
        log.emit(
            SearchStarted(
                run_id="wide",
                benchmark="telecom",
                engine="gepa",
                seed=1,
                config={**config, "worker.prompt": "p" * 7000},
                tags={"tiller.manifest": "m" * 9000},
            )
        )
        log.emit(
            CandidateScored(name="g01-c1", params={"empty": "", "odd?name": "x"}, tags={"tiller.note": "n" * 5000})
        )
    replay(read_events(root / "wide" / FILE), root / "wide")
    found = contents(store_of(root))
    parent, child = found["wide/gepa s1"], found["wide/g01-c1"]
    assert len(parent["params"]) == 250 + 1 + 3
    assert parent["params"]["worker.prompt"].endswith("(whole: long/worker.prompt.txt)")
    assert parent["artifacts"] == child["artifacts"] == ["long"]
    assert child["params"] == {"empty": "", "odd_name": "x"}
    artifacts = root / "mlflow-artifacts"
    assert {file.name: len(file.read_text()) for file in artifacts.rglob("*.txt")} == {
        "worker.prompt.txt": 7000,
        "tiller.manifest.txt": 9000,
        "tiller.note.txt": 5000,
    }


def test_a_password_in_a_url_of_the_config_stays_here(root: Path, contents: Read) -> None:
    config = {"api_base": "http://me:hunter22@models.example/v1", "lm": "openai/x"}
    with EventLog(root / "told") as log:
        log.emit(SearchStarted(run_id="told", benchmark="telecom", engine="production", seed=1, config=config))
    replay(read_events(root / "told" / FILE), root / "told")
    params = contents(store_of(root))["told/production s1"]["params"]
    assert params["api_base"] == "http://[redacted]@models.example/v1"
    assert params["lm"] == "openai/x"


def test_a_run_left_running_is_closed(root: Path, tell, contents: Read) -> None:
    folder = tell(root / "gepa-7", until=12)
    replay(read_events(folder / FILE), folder)
    found = contents(store_of(root))
    assert found["gepa-7/gepa s7"]["status"] == "KILLED"
    assert found["gepa-7/random@3"]["status"] == "FINISHED"
    tell(folder)
    replay(read_events(folder / FILE), folder)
    assert contents(store_of(root))["gepa-7/gepa s7"]["status"] == "FINISHED"


def test_the_newest_search_has_the_views(root: Path, tell) -> None:
    old, new = tell(root / "old", seed=1), tell(root / "new", seed=2)
    for folder in (new, old):
        replay(read_events(folder / FILE), folder)
    client = connect(store_of(root))
    experiment = client.get_experiment(newest_experiment(store_of(root)))
    views = {name: value for name, value in experiment.tags.items() if name.startswith("mlflow.sharedViewState.")}
    assert set(views) == {"mlflow.sharedViewState.candidates", "mlflow.sharedViewState.generations"}
    (begun,) = (e.time_ms for e in read_events(new / FILE) if isinstance(e.body, SearchStarted))
    assert all(f'"createdAt": {begun}' in value for value in views.values())


@pytest.mark.parametrize("engine", ["production", "gate", "tiers"])
def test_a_report_is_no_search_however_new(engine: str, root: Path, tell) -> None:
    searched = tell(root / "search")
    replay(read_events(searched / FILE), searched)
    store = store_of(root)
    client, experiment_id = connect(store), newest_experiment(store)
    before = client.get_experiment(experiment_id).tags
    for benchmark in ("telecom", "elsewhere"):
        folder = root / f"{benchmark}-{engine}"
        with EventLog(folder) as log:
            log.emit(SearchStarted(run_id=folder.name, benchmark=benchmark, engine=engine, seed=0))
        replay(read_events(folder / FILE), folder)
    assert newest_experiment(store) == experiment_id
    assert client.get_experiment(experiment_id).tags == before
    (reported,) = client.search_runs([experiment_id], f"params.engine = '{engine}'")
    assert reported.data.tags["tiller.role"] == "report"
    client.set_tag(reported.info.run_id, "tiller.role", "search")  # as reports were called in older stores
    assert newest_experiment(store) == experiment_id


def test_reports_alone_are_no_search(root: Path) -> None:
    with EventLog(root / "production") as log:
        log.emit(SearchStarted(run_id="production", benchmark="telecom", engine="production", seed=0))
    replay(read_events(root / "production" / FILE), root / "production")
    assert newest_experiment(store_of(root)) is None


def test_the_default_store_lies_below_the_root_in_wal_mode(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(root)
    assert (store.file, store.artifacts, store.remote) == (root / "mlflow.db", root / "mlflow-artifacts", False)
    connect(store)
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@example.org/mlflow")
    store = store_of(root)
    assert store.remote
    assert store.file is None
    assert store.shown == "https://example.org/mlflow"


def test_settings_of_the_user_stay(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "33")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    connect(store_of(root))
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT

    assert MLFLOW_HTTP_REQUEST_TIMEOUT.get() == 33
    assert str(MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()) == SETTINGS["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]


def test_diverted_traces_are_said_aloud(
    root: Path, tell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tell(root / "gepa-7", until=3)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces")
    with caplog.at_level(logging.WARNING):
        replay(read_events(folder / FILE), folder)
    assert "traces go there, MLflow gets none" in caplog.text


def test_a_file_that_is_gone_does_not_stop_the_rest(
    root: Path, tell, contents: Read, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tell(root / "gepa-7")
    (folder / "front.png").unlink()
    replay(read_events(folder / FILE), folder)
    assert "front.png is gone" in caplog.text
    assert contents(store_of(root))["gepa-7/gepa s7"]["artifacts"] == []


def test_a_log_without_its_beginning_is_refused(root: Path) -> None:
    with EventLog(root / "torn") as log:
        log.emit(GenerationDone(generation=1, metrics={}))
    with pytest.raises(StoreError, match="does not begin with search_started"):
        replay(read_events(root / "torn" / FILE), root / "torn")


def test_a_store_that_is_no_database_is_a_store_error(tmp_path: Path, tell) -> None:
    (tmp_path / "mlflow.db").write_text("not a database at all, but long enough to look like a file of some kind")
    folder = tell(tmp_path / "gepa-7", until=3)
    with pytest.raises(StoreError, match="MLflow: DatabaseError: file is not a database"):
        replay(read_events(folder / FILE), folder)
