"""MLflow tracking, and the only module that knows it: writes run events into a store, each as often as it takes.

Runs are found again by the tags `tiller.run` and `tiller.name`, metrics by key, step and time, artifacts by name,
traces by `tiller.episode`: applying the same events twice changes nothing. `mlflow` is imported at first use.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from controllers.boundary import boundary
from controllers.redaction import redacted
from experiments import fields, views
from experiments.events import (
    AttemptSeen,
    CandidateScored,
    EpisodeTraced,
    SearchStarted,
)
from experiments.lineages import lineage_note
from experiments.newest import newest_search
from signatures.errors import StoreError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Span

BATCH: Final = 100
"""Params, and tags, that MLflow takes in one batch."""
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
SQLITE: Final = "sqlite:///"
TURN_NS: Final = 1_000_000
DIVERTS_TRACES: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # By MLflow's defaults a server that is down holds each call for four minutes.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        # It prints a link at the end of each run, into the middle of what a command prints.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
)
"""Set before mlflow is imported, where the user has not set them."""

_log = logging.getLogger("tiller.tracking")


class Store(NamedTuple):
    """Where runs are kept."""

    uri: str
    artifacts: Path | None
    "folder for artifacts; None: the server decides"

    @property
    def remote(self) -> bool:
        """Whether a server keeps it."""
        return self.artifacts is None

    @property
    def shown(self) -> str:
        """`uri` without a password."""
        return re.sub(r"//[^/@]*@", "//", self.uri)

    @property
    def file(self) -> Path | None:
        """The SQLite file, where it is one."""
        return Path(self.uri.removeprefix(SQLITE)) if self.uri.startswith(SQLITE) else None


def store_of(root: Path) -> Store:
    """The store for runs below `root`: MLFLOW_TRACKING_URI where it is set, else `mlflow.db` in `root`."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{root.resolve() / 'mlflow.db'}"
    remote = uri.startswith(("http://", "https://", "databricks"))
    return Store(uri, None if remote else root.resolve() / "mlflow-artifacts")


def connect(store: Store) -> MlflowClient:
    """A client of its own for `store`, with our settings; a SQLite file is put in WAL mode. Raises StoreError."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    with boundary(StoreError, "MLflow"):
        if store.file is not None:
            store.file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(store.file)) as database:
                database.execute("PRAGMA journal_mode=wal")
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=store.uri)


def warn_if_diverted() -> None:
    """Say so where the environment sends traces elsewhere, which MLflow itself does not."""
    if DIVERTS_TRACES in os.environ:
        _log.warning("%s is set: traces go there, MLflow gets none", DIVERTS_TRACES)


def newest_experiment(store: Store) -> str | None:
    """The id of the experiment with the newest search, or None where there is none. Raises StoreError."""
    client = connect(store)
    with boundary(StoreError, "MLflow"):
        named = client.search_experiments(filter_string="name LIKE 'tiller/%'")
        newest = newest_search(client, [experiment.experiment_id for experiment in named])
    return newest.info.experiment_id if newest else None


@dataclass
class StoredRun:
    """What is known of one run in the store."""

    id: str
    role: str
    fresh: bool
    "made by this client, so that it holds only what is known here"
    running: bool = True
    params: set[str] = field(default_factory=set)
    times: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    "metric -> (step, milliseconds) of each value"


class SearchRuns:
    """One search in the store: its experiment, its parent run and a child run per candidate."""

    def __init__(self, client: MlflowClient, store: Store, started: SearchStarted) -> None:
        self.client = client
        self.uri = store.uri
        self.run_id = started.run_id
        self.engine = started.engine
        self.parent_name = f"{started.engine} s{started.seed}"
        self.experiment_id = experiment_of(client, store, f"tiller/{started.benchmark}")
        self.runs = _stored_runs(client, self.experiment_id, self.run_id)

    @property
    def parent(self) -> StoredRun:
        """The run of the search itself."""
        return self.run(self.parent_name)

    def run(self, name: str) -> StoredRun:
        """The run of that name. Raises StoreError where no event made it."""
        if name not in self.runs:
            raise StoreError(f"no run is named {name}: the log lacks the event that begins it")
        return self.runs[name]

    def open(self, body: SearchStarted, time_ms: int) -> None:
        """Make the parent run and, of a search, write the two views unless a newer search has them."""
        facts = {"benchmark": body.benchmark, "engine": body.engine, "seed": str(body.seed)}
        searches = body.searches
        self._make(self.parent_name, "search" if searches else "report", body.tags, time_ms)
        config = {name: redacted(text) for name, text in body.config.items()}  # a URL may hold a password
        self.write(self.parent, time_ms, params={**config, **facts})
        if not searches:
            return
        newest = newest_search(self.client, [self.experiment_id])
        if newest is None or newest.data.tags["tiller.run"] == self.run_id:
            for name, value in views.experiment_tags(body, time_ms).items():
                self.client.set_experiment_tag(self.experiment_id, name, value)

    def candidate(self, body: CandidateScored, time_ms: int) -> None:
        """Make the child run: one call to create it, one for all that is in it, one to end it."""
        tags = {
            **body.tags,
            **lineage_note(body.tags, self._address),
            "mlflow.parentRunId": self.parent.id,
            "tiller.generation": str(body.generation),
            "tiller.candidate": body.digest,
        }
        run = self._make(body.name, body.role, tags, time_ms)
        self.write(run, time_ms, metrics=body.metrics, params=body.params)
        for name, text in body.artifacts.items():
            self._text(run, name, text)
        if run.running:
            self.end(run, "FINISHED", time_ms)

    def write(
        self,
        run: StoredRun,
        time_ms: int,
        *,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, str] = NOTHING,
        tags: Mapping[str, str] = NOTHING,
        step: int = 0,
    ) -> None:
        """One `log_batch` of what the run does not hold yet; more only beyond 100 params or tags."""
        from mlflow.entities import Metric, Param, RunTag

        short_params, long_params = fields.fit(params)
        short_tags, long_tags = fields.fit({**tags, **views.paint(run.role, tags)} if tags else tags)
        new_metrics = [
            Metric(key, value, time_ms, step)
            for key, value in fields.named(metrics or {}).items()
            if (step, time_ms) not in self._times(run, key)
        ]
        new_params = [Param(key, text) for key, text in short_params.items() if key not in run.params]
        new_tags = [RunTag(key, text) for key, text in short_tags.items()]
        for at in range(0, max(len(new_params), len(new_tags), min(1, len(new_metrics))), BATCH):
            part = slice(at, at + BATCH)
            self.client.log_batch(run.id, new_metrics if at == 0 else (), new_params[part], new_tags[part])
        run.params |= {param.key for param in new_params}
        for metric in new_metrics:
            self._times(run, metric.key).add((step, time_ms))
        for name, text in (long_params | long_tags).items():
            self._text(run, name, text)

    def end(self, run: StoredRun, status: str, time_ms: int) -> None:
        """End the run with that status."""
        self.client.set_terminated(run.id, status, time_ms)
        run.running = False

    def file(self, folder: Path, path: str) -> None:
        """Attach a file of the run folder to the parent; one that is gone by now is named in a warning."""
        if not (folder / path).is_file():
            _log.warning("%s is gone, so MLflow does not get it", folder / path)
            return
        below = PurePosixPath(path).parent.as_posix()
        self.client.log_artifact(self.parent.id, str(folder / path), None if below == "." else below)

    def trace(self, body: EpisodeTraced, time_ms: int) -> None:
        """Write one episode as a trace of its run, unless it is there. Raises StoreError where it did not arrive."""
        if self._has_trace(body.episode_id):
            return
        at_ns = time_ms * 1_000_000
        tags = {"tiller.run": self.run_id, "tiller.name": body.name, "tiller.episode": body.episode_id}
        with global_store(self.uri) as flush:
            root = self.client.start_trace(
                f"{body.name}: episode",
                experiment_id=self.experiment_id,
                run_id=self.run(body.name).id,
                inputs={"candidate": body.name, "episode": body.episode_id},
                tags=tags,
                start_time_ns=at_ns,
            )
            for number, attempt in enumerate(body.attempts, 1):
                at_ns = self._attempt_span(root, f"attempt {number}", attempt, at_ns)
            self.client.end_trace(root.trace_id, {"attempts": len(body.attempts)}, end_time_ns=at_ns)
            flush()
        if DIVERTS_TRACES not in os.environ and not self._has_trace(body.episode_id):
            raise StoreError(f"MLflow: the trace of episode {body.episode_id} did not arrive")

    def _attempt_span(self, root: Span, name: str, attempt: AttemptSeen, at_ns: int) -> int:
        """A span with one below it per turn. Only their order is known: each begins a millisecond after the last."""
        client, trace_id = self.client, root.trace_id
        steer = {"steer": attempt.steer}
        at_ns += TURN_NS
        whole = client.start_span(name, trace_id, root.span_id, "AGENT", steer, start_time_ns=at_ns)
        for event in attempt.events:
            kind = "TOOL" if event.kind == "tool" else "UNKNOWN"
            label, given = event.name or event.kind, {"arguments": event.arguments}
            at_ns += TURN_NS
            turn = client.start_span(label, trace_id, whole.span_id, kind, given, start_time_ns=at_ns)
            status = "ERROR" if event.failed else "OK"
            client.end_span(trace_id, turn.span_id, {"text": event.text}, status=status, end_time_ns=at_ns + TURN_NS)
        checks = {check.objective: check.model_dump(mode="json") for check in attempt.checks}
        seen = {"outcome": attempt.outcome, "checks": checks}
        at_ns += TURN_NS
        client.end_span(trace_id, whole.span_id, seen, end_time_ns=at_ns)
        return at_ns

    def _has_trace(self, episode_id: str) -> bool:
        where = f"tags.`tiller.run` = '{self.run_id}' AND tags.`tiller.episode` = '{episode_id}'"
        found = self.client.search_traces(
            locations=[self.experiment_id], filter_string=where, max_results=1, include_spans=False
        )
        return len(found) > 0

    def _make(self, name: str, role: str, tags: Mapping[str, str], time_ms: int) -> StoredRun:
        """The run of that name: created with its tags, or given them where the store has it."""
        if name in self.runs:
            self.write(self.runs[name], time_ms, tags=tags)
            return self.runs[name]
        own = {"tiller.role": role, "tiller.run": self.run_id, "tiller.name": name}
        short, long = fields.fit({**tags, **views.paint(role, tags), **own})
        made = self.client.create_run(self.experiment_id, time_ms, short, name)
        self.runs[name] = run = StoredRun(made.info.run_id, role, fresh=True)
        for file, text in long.items():
            self._text(run, file, text)
        return run

    def _address(self, name: str) -> str | None:
        """Where the dashboard shows the run of that name."""
        return f"#/experiments/{self.experiment_id}/runs/{self.runs[name].id}" if name in self.runs else None

    def _text(self, run: StoredRun, name: str, text: str) -> None:
        below = PurePosixPath(name).parent.as_posix()
        there = [] if run.fresh else self.client.list_artifacts(run.id, None if below == "." else below)
        if name not in {item.path for item in there}:
            self.client.log_text(run.id, text, name)

    def _times(self, run: StoredRun, key: str) -> set[tuple[int, int]]:
        if key not in run.times:
            history = [] if run.fresh else self.client.get_metric_history(run.id, key)
            run.times[key] = {(metric.step, metric.timestamp) for metric in history}
        return run.times[key]


def experiment_of(client: MlflowClient, store: Store, name: str) -> str:
    """The id of the experiment of that name, made where there is none."""
    known = client.get_experiment_by_name(name)
    if known is not None:
        return known.experiment_id
    artifacts = None if store.artifacts is None else (store.artifacts / name).as_uri()
    return client.create_experiment(name, artifact_location=artifacts)


def _stored_runs(client: MlflowClient, experiment_id: str, run_id: str) -> dict[str, StoredRun]:
    """What the store holds of this search, by name."""
    found: dict[str, StoredRun] = {}
    where, token = f"tags.`tiller.run` = '{run_id}'", None
    while True:
        page = client.search_runs([experiment_id], where, max_results=1000, page_token=token)
        for run in page:
            tags = run.data.tags
            found[tags["tiller.name"]] = StoredRun(
                run.info.run_id,
                tags["tiller.role"],
                fresh=False,
                running=run.info.status == "RUNNING",
                params=set(run.data.params),
            )
        token = page.token
        if not token:
            return found


@contextmanager
def global_store(uri: str) -> Iterator[Callable[[], None]]:
    """MLflow sends traces to its global store, whichever client makes them: set it for as long as this takes.

    Gives the function that waits until they are sent.
    """
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield mlflow.flush_trace_async_logging
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None unsets it, which the annotation omits
