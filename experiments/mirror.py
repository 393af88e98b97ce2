"""Events into MLflow: applied one by one, live from a thread that the search does not notice, or replayed later."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from controllers.boundary import boundary
from experiments.events import (
    ArtifactWritten,
    CandidateScored,
    CandidateUpdated,
    EpisodeTraced,
    Event,
    GenerationDone,
    SearchFinished,
    SearchStarted,
    SearchUpdated,
)
from experiments.search.confirmed import Confirmed
from experiments.tracking import SearchRuns, Store, connect, store_of, warn_if_diverted
from signatures.errors import StoreError, TillerError

PATIENCE: Final = 3
"""Tries for one event, each with MLflow's own retries below it."""
PAUSE_S: Final = 0.5
"""Before the second try; doubled before each further one."""
REASON_CHARS: Final = 70
"""Of a long reason: this much of its beginning, and twice as much of its end, where the cause is."""


def replay(events: Iterable[Event], run_folder: Path, *, store: Store | None = None) -> int:
    """Write all events of a run that has ended, and close what it left running. Returns how many. Raises StoreError."""
    tracker = Tracker(run_folder, store=store)
    last = None
    for last in events:
        tracker.apply(last)
    if last is None:
        return 0
    tracker.close_stale(last.time_ms)
    return last.seq


class Tracker:
    """Writes the events of one search into a store. After a failed `apply`: `forget`, then apply the same again."""

    def __init__(self, run_folder: Path, *, store: Store | None = None) -> None:
        self._folder = run_folder
        self._store = store or store_of(run_folder.resolve().parent)
        self._started: SearchStarted | None = None
        self._attached: SearchRuns | None = None
        warn_if_diverted()

    def apply(self, event: Event) -> None:
        """Write one event. Raises StoreError."""
        if isinstance(event.body, SearchStarted):
            self._started = event.body
        search, time_ms = self._attach(), event.time_ms
        with boundary(StoreError, "MLflow"):
            match event.body:
                case SearchStarted():
                    search.open(event.body, time_ms)
                case GenerationDone(generation=step, metrics=metrics):
                    search.write(search.parent, time_ms, metrics=metrics, step=step)
                case CandidateScored():
                    search.candidate(event.body, time_ms)
                case CandidateUpdated(name=name, metrics=metrics, tags=tags):
                    search.write(search.run(name), time_ms, metrics=metrics, tags=tags)
                case SearchUpdated(metrics=metrics, tags=tags):
                    search.write(search.parent, time_ms, metrics=metrics, tags=tags)
                case Confirmed(search=engine, name=name, metrics=metrics):
                    if engine == search.engine:  # a rival's candidates have no runs
                        search.write(search.run(name), time_ms, metrics=metrics)
                case ArtifactWritten(path=path):
                    search.file(self._folder, path)
                case EpisodeTraced():
                    search.trace(event.body, time_ms)
                case SearchFinished(status=status, metrics=metrics):
                    search.write(search.parent, time_ms, metrics=metrics)
                    search.end(search.parent, status, time_ms)

    def forget(self) -> None:
        """Drop what is known of the store: a write may have arrived although its answer did not."""
        self._attached = None

    def close_stale(self, time_ms: int) -> None:
        """End as killed what still counts as running, where no process writes this run. Raises StoreError."""
        search = self._attach()
        with boundary(StoreError, "MLflow"):
            for run in search.runs.values():
                if run.running:
                    search.end(run, "KILLED", time_ms)

    def _attach(self) -> SearchRuns:
        if self._started is None:
            raise StoreError(f"{self._folder}: the log does not begin with search_started")
        if self._attached is None:
            client = connect(self._store)
            with boundary(StoreError, "MLflow"):
                self._attached = SearchRuns(client, self._store, self._started)
        return self._attached


class Mirror:
    """One uploader thread with a client and a queue of its own; after a few failures it stops trying.

    `send` never blocks and never raises. The events themselves are safe in the run's log.
    """

    def __init__(self, run_folder: Path, *, store: Store | None = None) -> None:
        self._folder = run_folder
        self._tracker = Tracker(run_folder, store=store)
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._sent = 0
        self._mirrored = 0
        self._stopped = threading.Event()
        self._reason = ""
        self._thread = threading.Thread(target=self._upload, name="tiller-mirror", daemon=True)
        self._thread.start()

    @property
    def mirrored(self) -> int:
        """The number of the last event that is in the store."""
        return self._mirrored

    def send(self, event: Event) -> None:
        """Queue one event."""
        self._sent = event.seq
        self._queue.put(event)

    def close(self, timeout_s: float = 30.0) -> str:
        """Wait until all is mirrored, for at most `timeout_s`; one line on what came of it."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._stop(f"still busy after {timeout_s:g} s")
        if not self._reason:
            return f"MLflow: {self._mirrored} of {self._sent} events mirrored"
        mend = f"run `python -m experiments.sync_run {self._folder}` to finish"
        return f"MLflow: stopped after event {self._mirrored} ({self._reason}); {mend}"

    def _upload(self) -> None:
        while (event := self._queue.get()) is not None and not self._stopped.is_set():
            self._mirror(event)

    def _mirror(self, event: Event) -> None:
        """Try a few times. Order matters, so the first event that cannot be written is the last one tried."""
        pause_s = PAUSE_S
        for left in reversed(range(PATIENCE)):
            try:
                self._tracker.apply(event)
            except TillerError as error:
                self._tracker.forget()
                if not left:
                    self._stop(str(error))
            else:
                self._mirrored = event.seq
                return
            if self._stopped.wait(pause_s):
                return
            pause_s *= 2

    def _stop(self, reason: str) -> None:
        line = " ".join(reason.split())
        short = len(line) <= 3 * REASON_CHARS
        self._reason = line if short else f"{line[:REASON_CHARS]} ... {line[-2 * REASON_CHARS :]}"
        self._stopped.set()
