"""The event log: ordered, durable, one writer, and the same however often a search is executed again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from experiments.events import (
    FILE,
    ArtifactWritten,
    AttemptSeen,
    Body,
    CandidateScored,
    CandidateUpdated,
    Event,
    EventLog,
    GenerationDone,
    SearchFinished,
    SearchStarted,
    being_written,
    read_events,
)
from experiments.search.confirmed import Confirmed, Pair
from signatures.errors import StoreError, UsageError
from signatures.records import CheckerResult, TraceEvent

TEXTS = st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4)
METRICS = st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False), max_size=4)
PAIRS = st.builds(
    Pair,
    n=st.integers(0, 99),
    **{f"{where}{end}": st.none() | st.floats(0, 1) for where in ("offline", "live") for end in ("", "_lo", "_hi")},
)
BODIES = st.one_of(
    st.builds(GenerationDone, generation=st.integers(0, 99), metrics=METRICS),
    st.builds(CandidateUpdated, name=st.just("g01-c1"), metrics=METRICS, tags=TEXTS),
    st.builds(
        CandidateScored,
        name=st.just("g01-c1"),
        role=st.sampled_from(["candidate", "baseline"]),
        tags=TEXTS,
        params=TEXTS,
        metrics=METRICS,
        artifacts=st.dictionaries(st.sampled_from(["a.txt", "b/c.json"]), st.text(max_size=20)),
    ),
    st.builds(
        Confirmed,
        name=st.just("g01-c1"),
        search=st.sampled_from(["gepa", "random search"]),
        digest=st.just("d"),
        tasks=st.integers(0, 99),
        replayed=st.integers(0, 99),
        unsupported=st.floats(0, 1),
        attempts=st.integers(0, 999),
        values=st.dictionaries(st.sampled_from(["correct", "fast"]), PAIRS, max_size=2),
    ),
    st.builds(SearchFinished, status=st.sampled_from(["FINISHED", "FAILED", "KILLED"]), metrics=METRICS),
)


def generation(number: int, value: float = 0.5) -> GenerationDone:
    return GenerationDone(generation=number, metrics={"search/hypervolume": value})


@given(body=BODIES)
def test_an_event_reads_back_as_itself(body: Body) -> None:
    event = Event(seq=1, time="2025-01-02T03:04:05.678+00:00", body=body)
    assert Event.model_validate_json(event.model_dump_json()) == event
    assert event.time_ms == 1735787045678


def test_events_are_numbered_and_each_is_later_than_the_one_before(tmp_path: Path, tell) -> None:
    events = list(read_events(tell(tmp_path / "run") / FILE))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    times = [event.time_ms for event in events]
    assert times == sorted(set(times))
    assert {event.body.kind for event in events} == {
        *("search_started", "generation", "candidate", "confirmed", "candidate_update", "search_update", "trace"),
        *("artifact", "search_finished"),
    }


def test_a_search_executed_again_leaves_the_same_log(tmp_path: Path, tell) -> None:
    folder = tell(tmp_path / "run", until=12)
    tell(folder)
    whole = (folder / FILE).read_bytes()
    tell(folder)
    assert (folder / FILE).read_bytes() == whole
    assert [e.body for e in read_events(folder / FILE)] == [
        e.body for e in read_events(tell(tmp_path / "other" / "run") / FILE)
    ]


def test_a_changed_event_is_written_and_the_last_word_counts(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        first = log.emit(generation(1, 0.5))
        assert log.emit(generation(1, 0.5)) is first
        assert log.emit(generation(1, 0.6)).seq == 2
        assert log.emit(generation(1, 0.5)).seq == 3


def test_updates_of_other_fields_do_not_replace_each_other(tmp_path: Path) -> None:
    updates = (
        CandidateUpdated(name="g01-c1", metrics={"dev/correct": 0.5}),
        CandidateUpdated(name="g01-c1", tags={"tiller.front": "yes"}),
    )
    with EventLog(tmp_path) as log:
        assert [log.emit(update).seq for update in (*updates, *updates)] == [1, 2, 1, 2]


def test_a_listener_hears_what_was_there_and_what_comes(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.emit(generation(1))
    heard: list[Event] = []
    with EventLog(tmp_path, listen=heard.append) as log:
        log.emit(generation(1))
        log.emit(generation(2))
    assert [event.seq for event in heard] == [1, 2]


def test_only_one_process_writes_a_run(tmp_path: Path) -> None:
    assert not being_written(tmp_path)
    with EventLog(tmp_path) as log:
        log.emit(generation(1))
        with (tmp_path / FILE).open("ab") as file:
            file.write(b'{"half a li')
        assert being_written(tmp_path)
        with pytest.raises(UsageError, match="another process is writing"):
            EventLog(tmp_path)
        assert (tmp_path / FILE).read_bytes().endswith(b"half a li")
    assert not being_written(tmp_path)
    with EventLog(tmp_path) as log:
        assert log.emit(generation(2)).seq == 2


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from experiments.events import EventLog, GenerationDone\n"
        "log = EventLog(Path(sys.argv[1]))\n"
        "for n in range(10**6): print(log.emit(GenerationDone(generation=n, metrics={})).seq, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(25)]
        writer.send_signal(signal.SIGKILL)
    assert not being_written(tmp_path)
    kept = [event.seq for event in read_events(tmp_path / FILE)]
    assert kept[:25] == acknowledged
    with EventLog(tmp_path) as log:
        assert log.emit(SearchFinished(status="KILLED")).seq == len(kept) + 1


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.emit(generation(1))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"seq": 2, "time": "now", "body": {"kind": "gossip"}}\n')
    with pytest.raises(StoreError, match=rf"{FILE}:2: not an event"):
        EventLog(tmp_path)
    assert not being_written(tmp_path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../other/front.png", "a/../../b", ""])
def test_artifacts_stay_inside_the_run_folder(path: str) -> None:
    with pytest.raises(ValidationError):
        ArtifactWritten(path=path, digest="0")
    with pytest.raises(ValidationError):
        CandidateScored(name="g01-c1", artifacts={path: "text"})


def test_an_artifact_is_a_new_event_when_the_file_changes(tmp_path: Path) -> None:
    (tmp_path / "front.png").write_bytes(b"one")
    with EventLog(tmp_path) as log:
        log.emit(ArtifactWritten.of(tmp_path, "front.png"))
        (tmp_path / "front.png").write_bytes(b"two")
        assert log.emit(ArtifactWritten.of(tmp_path, "front.png")).seq == 2
    with pytest.raises(StoreError, match=r"gone\.png: cannot read"):
        ArtifactWritten.of(tmp_path, "gone.png")


def test_text_that_no_store_takes_does_not_spoil_the_log(tmp_path: Path) -> None:
    odd = CandidateScored(name="g01-c1", artifacts={"evidence.txt": "half a pair: \ud800, a nul: \x00"})
    with EventLog(tmp_path) as log:
        event = log.emit(odd)
        assert log.emit(odd) is event
    assert list(read_events(tmp_path / FILE)) == [event]
    assert event.body.artifacts == {"evidence.txt": "half a pair: ?, a nul: \x00"}


def test_names_carry_no_quotes_and_metrics_are_finite() -> None:
    with pytest.raises(ValidationError):
        SearchStarted(run_id="it's", benchmark="telecom", engine="gepa", seed=1)
    with pytest.raises(ValidationError):
        GenerationDone(generation=1, metrics={"search/hypervolume": float("nan")})
    assert CandidateScored(name="refine@3/rule (no 2), + text").name


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open"):
        EventLog(tmp_path / "file" / "run")


def test_importing_events_imports_no_tracker() -> None:
    code = "import sys, experiments.events; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_shown_of_an_attempt_holds_no_secret() -> None:
    """An event goes to the tracking server; the corpus keeps the trace whole."""
    key = "sk-abcdefghij0123456789"
    seen = AttemptSeen(
        attempt_id="a1",
        steer=f"use {key}",
        events=(TraceEvent(turn=0, kind="tool", name="env", arguments=f'{{"k":"{key}"}}', text=f"API_KEY={key}"),),
        checks=(CheckerResult(objective="secure", value=0.0, unit="share", detail=f"leaks {key}"),),
    )
    assert key not in seen.model_dump_json()
    assert AttemptSeen.model_validate_json(seen.model_dump_json()) == seen
