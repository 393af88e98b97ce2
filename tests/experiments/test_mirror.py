"""The mirror: complete with the server up; with it down, hung or killed, the search does not notice."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.dashboard_run import served
from experiments.events import FILE, Event, read_events
from experiments.mirror import Mirror, replay
from experiments.tracking import Store, store_of

Read = Callable[[Store], dict[str, dict[str, object]]]
EVENTS = 32


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own settings for MLflow's HTTP calls: give up at once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 20
    while any(thread.name == "tiller-mirror" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_all_events_arrive_and_a_replay_changes_nothing(root: Path, tell, contents: Read) -> None:
    folder = root / "gepa-7"
    mirror = Mirror(folder)
    tell(folder, listen=mirror.send)
    assert mirror.close() == f"MLflow: {EVENTS} of {EVENTS} events mirrored"
    live = contents(store_of(root))
    assert len(live) == 1 + 13 + 1
    for _ in range(2):
        assert replay(read_events(folder / FILE), folder) == EVENTS
        assert contents(store_of(root)) == live


def test_what_was_confirmed_stands_beside_the_candidates_other_numbers(root: Path, tell, contents: Read) -> None:
    """A rival search's candidate has no run, and makes none."""
    folder = tell(root / "gepa-7")
    replay(read_events(folder / FILE), folder)
    found = contents(store_of(root))
    metrics = {key: value for key, *_, value in found["gepa-7/g03-c2"]["metrics"]}  # type: ignore[attr-defined]
    assert (metrics["offline/correct"], metrics["offline/correct_hi"], metrics["live/correct"]) == (0.71, 0.78, 0.66)
    assert (metrics["offline/unsupported"], metrics["offline/tasks"]) == (0.01, 72)
    assert not [name for name in found if "r03-c1" in name]


def test_a_resumed_run_goes_on_in_the_same_runs(root: Path, tell, contents: Read) -> None:
    folder = root / "gepa-7"
    for until in (12, None):
        mirror = Mirror(folder)
        tell(folder, listen=mirror.send, until=until)
        mirror.close()
    resumed = contents(store_of(root))
    whole = tell(root / "other" / "gepa-7")
    replay(read_events(whole / FILE), whole, store=(other := Store(f"sqlite:///{root / 'other.db'}", root / "other")))

    def timeless(found: dict[str, dict[str, object]]) -> dict[str, object]:
        return {name: {**run, "times": 0, "metrics": 0} for name, run in found.items()}

    assert timeless(resumed) == timeless(contents(other))


def test_a_server_that_is_down_costs_the_search_nothing(
    root: Path, tell, contents: Read, free_port: int, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, control = root / "gepa-7", tell(root / "control" / "gepa-7")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port}")
    mirror = Mirror(folder)
    tell(folder, listen=mirror.send)
    status = mirror.close()
    assert status.startswith("MLflow: stopped after event 0 (MLflow: ")
    assert "Connection refused" in status or "Max retries" in status
    assert status.endswith(f"; run `python -m experiments.sync_run {folder}` to finish")
    bodies = [[event.body for event in read_events(run / FILE)] for run in (folder, control)]
    assert bodies[0] == bodies[1]
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    replay(read_events(folder / FILE), folder)
    assert contents(store_of(root))["gepa-7/gepa s7"]["status"] == "FINISHED"


def test_a_server_that_never_answers_does_not_hold_the_end(
    root: Path, tell, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        folder = root / "gepa-7"
        mirror = Mirror(folder)
        tell(folder, listen=mirror.send)
        status = mirror.close(timeout_s=0.3)
    assert "stopped after event 0 (still busy after 0.3 s); run `python -m experiments.sync_run" in status


def test_a_server_killed_half_way_is_made_up_for(
    root: Path,
    tell,
    contents: Read,
    free_port: int,
    hasty: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    local = store_of(root)
    earlier = tell(root / "gepa-6", seed=6)
    replay(read_events(earlier / FILE), earlier)
    folder, reached, killed = root / "gepa-7", threading.Event(), threading.Event()
    with served(local, root, free_port) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        mirror = Mirror(folder)

        def send(event: Event) -> None:
            if event.seq == 15:
                reached.set()
                assert killed.wait(60)
            mirror.send(event)

        teller = threading.Thread(target=tell, args=(folder,), kwargs={"listen": send})
        teller.start()
        assert reached.wait(60)
        while mirror.mirrored < 10:
            time.sleep(0.01)
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait(10)
        killed.set()
        teller.join(60)
        status = mirror.close()
    assert 10 <= int(status.removeprefix("MLflow: stopped after event ").split()[0]) < EVENTS
    assert capfd.readouterr().out == ""
    half = contents(local)
    assert half["gepa-7/gepa s7"]["status"] == "RUNNING"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    for _ in range(2):
        assert replay(read_events(folder / FILE), folder) == EVENTS
    whole = contents(local)
    assert len(whole) == 2 * (1 + 13) + 1
    assert {run["status"] for name, run in whole.items() if name != "traces"} == {"FINISHED"}
    volumes = [step for key, step, *_ in whole["gepa-7/gepa s7"]["metrics"] if key == "search/hypervolume"]
    assert volumes == [1, 2, 3]
    assert list(whole["traces"].values()) == ["g03-c2"] * 2
