"""Run events: what a search tells the world, as typed records in an fsynced log. Trackers are only mirrors of it.

Metric names: `dev/<objective>` and `search/<objective>` with `_lo` and `_hi` for the interval, both on [0, 1];
`cost/attempts`, `cost/turns`, `cost/usd` per episode; `offline/<objective>` and `live/<objective>` of a confirmed
candidate; `spent/compute`, `spent/attempts`, `spent/tokens` and `spent/usd` until a candidate was found, and of a whole
search, with `spent/wall_s`. What was not measured is left out.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, ValidationError

from controllers.filelock import hold
from controllers.jsonlog import JsonLog, read_jsonlog
from controllers.redaction import redacted, redacted_checks, redacted_trace
from experiments.search.confirmed import Confirmed
from signatures.digest import canonical_json, digest_bytes
from signatures.errors import StoreError, UsageError
from signatures.records import CheckerResult, Finite, Record, TraceEvent

FILE: Final = "events.jsonl"
"""The log's name inside a run folder."""
SEARCH_TAG: Final = "tiller.engine"
"""The tag that tells a search from a report: the engine's id."""

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^'\"`\\\x00-\x1f]+$")]
"""No quote: names go into the filters by which a tracker finds them again."""
Metrics = Mapping[str, Finite]
Texts = Mapping[str, str]


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError("must be a relative path without `..`")
    return path


InsidePath = Annotated[str, AfterValidator(_inside)]


class SearchStarted(Record):
    """A search began: one engine, one seed, one benchmark."""

    kind: Literal["search_started"] = "search_started"
    run_id: Name
    benchmark: Name
    engine: Name
    seed: int
    config: Texts = Field(default_factory=dict)
    "the resolved config, flat"
    tags: Texts = Field(default_factory=dict)
    "data digests, judge manifest, splits, versions, commit"
    objectives: tuple[str, ...] = ("correct", "fast", "cheap", "secure", "clean")
    "declared by the benchmark, the primary one first"
    cost_metric: str = "cost/turns"
    "what `correct` is drawn against; a metric that every candidate of this benchmark has"

    @property
    def searches(self) -> bool:
        """Whether it is a search, not a report on a gate, on production, on tiers. Older logs name the engine alone."""
        return SEARCH_TAG in self.tags or self.engine == "gepa"


class GenerationDone(Record):
    """One generation ended; `metrics` are named `search/...`."""

    kind: Literal["generation"] = "generation"
    generation: int = Field(ge=0)
    metrics: Metrics


class CandidateScored(Record):
    """A candidate, or a control arm, was scored."""

    kind: Literal["candidate"] = "candidate"
    name: Name
    role: Literal["candidate", "baseline"] = "candidate"
    generation: int = Field(default=0, ge=0)
    digest: str = ""
    tags: Texts = Field(default_factory=dict)
    "`tiller.parents`, `tiller.decision`, `tiller.front` (`yes` or `no`), `tiller.proposer`, `tiller.lineage`"
    params: Texts = Field(default_factory=dict)
    "short categorical facts"
    metrics: Metrics = Field(default_factory=dict)
    artifacts: Mapping[InsidePath, str] = Field(default_factory=dict)
    "file name -> text"


class CandidateUpdated(Record):
    """Something later known of a candidate: the dev re-estimate, the final front."""

    kind: Literal["candidate_update"] = "candidate_update"
    name: Name
    metrics: Metrics = Field(default_factory=dict)
    tags: Texts = Field(default_factory=dict)


class SearchUpdated(Record):
    """Something later known of the search itself: what it spent, which candidates are its front."""

    kind: Literal["search_update"] = "search_update"
    metrics: Metrics = Field(default_factory=dict)
    tags: Texts = Field(default_factory=dict)


class ArtifactWritten(Record):
    """A file of the run folder that belongs to the search as a whole."""

    kind: Literal["artifact"] = "artifact"
    path: InsidePath
    digest: str
    "of its bytes: a changed file is a new event"

    @classmethod
    def of(cls, run_folder: Path, path: str) -> Self:
        """The event for a file as it is now. Raises StoreError where it cannot be read."""
        try:
            return cls(path=path, digest=digest_bytes((run_folder / path).read_bytes()))
        except OSError as error:
            raise StoreError(f"{run_folder / path}: cannot read: {error}") from error


class AttemptSeen(Record):
    """One attempt of a traced episode: what was observed of it, without secrets, never a verdict."""

    attempt_id: str
    steer: Annotated[str, AfterValidator(redacted)] = ""
    outcome: str = "ok"
    events: Annotated[tuple[TraceEvent, ...], AfterValidator(redacted_trace)] = ()
    checks: Annotated[tuple[CheckerResult, ...], AfterValidator(redacted_checks)] = ()


class EpisodeTraced(Record):
    """An episode worth showing turn by turn: of a finalist, or of a sample."""

    kind: Literal["trace"] = "trace"
    name: Name
    "the candidate or arm it belongs to"
    episode_id: Name
    attempts: tuple[AttemptSeen, ...]


class SearchFinished(Record):
    """The search ended, well or not."""

    kind: Literal["search_finished"] = "search_finished"
    status: Literal["FINISHED", "FAILED", "KILLED"] = "FINISHED"
    metrics: Metrics = Field(default_factory=dict)
    "totals, under names that no generation uses"


Body = (
    SearchStarted
    | GenerationDone
    | CandidateScored
    | CandidateUpdated
    | SearchUpdated
    | Confirmed
    | ArtifactWritten
    | EpisodeTraced
    | SearchFinished
)


class Event(Record):
    """One line of the log."""

    seq: int = Field(ge=1)
    time: str
    "ISO 8601, UTC, milliseconds; later than that of the event before"
    body: Annotated[Body, Field(discriminator="kind")]

    @property
    def time_ms(self) -> int:
        """`time` in milliseconds since 1970."""
        return round(datetime.fromisoformat(self.time).timestamp() * 1000)


class EventLog:
    """The one writer of a run's events. Opened again, it goes on where it stopped.

    An event equal to the latest of its identity is not written twice, so a search that is resumed by executing it
    again leaves the same log. `listen` is told every event, those that were there before as well.
    Raises UsageError where another process is writing this log, StoreError where it cannot be read or written.
    """

    def __init__(self, run_folder: Path, *, listen: Callable[[Event], None] | None = None) -> None:
        path = run_folder / FILE
        self._listen = listen
        self._latest: dict[str, Event] = {}
        self._last: Event | None = None
        self._lock = _lock(path)
        try:
            before = list(read_events(path))
            self._log = JsonLog(path)
        except StoreError:
            self._lock.close()
            raise
        for event in before:
            self._remember(event)

    def emit(self, body: Body) -> Event:
        """Write one event; return it when it is on disk, or the earlier one that says the same. Raises StoreError."""
        body = _encodable(body)
        known = self._latest.get(_identity(body))
        if known is not None and known.body == body:
            return known
        seq = 1 if self._last is None else self._last.seq + 1
        event = Event(seq=seq, time=_now(self._last), body=body)
        self._log.append(event.model_dump(mode="json"))
        self._remember(event)
        return event

    def close(self) -> None:
        """Close the log and let others write it."""
        self._log.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _remember(self, event: Event) -> None:
        self._latest[_identity(event.body)] = event
        self._last = event
        if self._listen is not None:
            self._listen(event)


def read_events(path: Path) -> Iterator[Event]:
    """The events of a log, oldest first. Raises StoreError naming the line that is not an event."""
    for number, entry in enumerate(read_jsonlog(path), 1):
        try:
            yield Event.model_validate_json(json.dumps(entry))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise StoreError(f"{path}:{number}: not an event: {first['loc']}: {first['msg']}") from error


def being_written(run_folder: Path) -> bool:
    """Whether a process holds the log of `run_folder` open for writing."""
    try:
        with (run_folder / FILE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _lock(path: Path) -> IO[bytes]:
    """The lock comes before `JsonLog` opens: opening drops a torn tail, which may be another's line in the making."""
    try:
        return hold(path)
    except BlockingIOError as error:
        raise UsageError(f"{path.parent}: another process is writing this run") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot open for appending: {error}") from error


def _encodable(body: Body) -> Body:
    """A lone surrogate, which no store takes, becomes `?`: what a worker wrote is whole in the corpus."""
    text = canonical_json(body)
    try:
        text.encode()
    except UnicodeEncodeError:
        return type(body).model_validate_json(text.encode("utf-8", "replace"))
    return body


def _identity(body: Body) -> str:
    """What an event is about: of two events about the same, the later one counts."""
    match body:
        case GenerationDone():
            about = str(body.generation)
        case CandidateScored():
            about = body.name
        case Confirmed():
            about = f"{body.search} {body.name}"
        case CandidateUpdated():
            about = " ".join((body.name, *sorted(body.metrics), *sorted(body.tags)))
        case SearchUpdated():
            about = " ".join((*sorted(body.metrics), *sorted(body.tags)))
        case ArtifactWritten():
            about = body.path
        case EpisodeTraced():
            about = body.episode_id
        case SearchStarted() | SearchFinished():
            about = ""
    return f"{body.kind} {about}"


def _now(last: Event | None) -> str:
    """Strictly later than `last`, so that (metric, time) names a value even where the clock stands or goes back."""
    now = datetime.now(UTC)
    if last is not None:
        now = max(now, datetime.fromisoformat(last.time) + timedelta(milliseconds=1))
    return now.isoformat(timespec="milliseconds")
