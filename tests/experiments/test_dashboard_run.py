"""The dashboard: a real server, the links it prints, what a browser shows there, and how it ends."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.events import FILE, read_events
from experiments.mirror import Mirror, replay
from experiments.tracking import store_of

CHROMIUM = shutil.which("chromium")


class Dashboard(NamedTuple):
    """The command as it runs, what it printed, and its root."""

    process: subprocess.Popen[str]
    lines: list[str]
    root: Path

    @property
    def address(self) -> str:
        return self.lines[0].split()[1].partition("/#/")[0]


@contextmanager
def started(root: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """The command in a child process, which does not outlive a test that fails."""
    command = [sys.executable, "-m", "experiments.dashboard_run", "--root", str(root), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                process.kill()


def group_of(root: Path) -> set[int]:
    """The ids of the processes that serve the store below `root`."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(root / "mlflow.db").encode() in entry.read_bytes() + (entry.parent / "cmdline").read_bytes():
                found.add(int(entry.parent.name))
        except OSError:
            continue
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory, empty_store: Path, story_teller) -> Iterator[Dashboard]:
    """The command, serving the whole story; at the end Ctrl-C, after which nothing may be left of it."""
    root = tmp_path_factory.mktemp("dashboard")
    shutil.copy(empty_store, root / "mlflow.db")
    for seed, lift in ((6, -0.04), (7, 0.0)):
        folder = story_teller(root / f"gepa-{seed}", seed=seed, lift=lift)
        replay(read_events(folder / FILE), folder, store=store_of(root))
    with started(root, free_port()) as process:
        assert process.stdout is not None
        yield Dashboard(process, [process.stdout.readline().rstrip() for _ in range(3)], root)
        assert len(group_of(root)) >= 1
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert group_of(root) == set()


def get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        return bytes(answer.read())


def browser(url: str, profile: Path) -> str:
    """What a headless Chromium makes of a page, as HTML."""
    assert CHROMIUM is not None
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(f"--user-data-dir={profile}", "--window-size=1800,1400", "--virtual-time-budget=60000", "--dump-dom", url),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_it_prints_links_to_both_views_of_the_newest_search(dashboard: Dashboard) -> None:
    candidates, generations, last = dashboard.lines
    assert candidates.startswith("candidates:  http://127.0.0.1:")
    assert "viewStateShareKey=candidates" in candidates
    assert "viewStateShareKey=generations" in generations
    assert last == "Ctrl-C ends the server"
    assert get(f"{dashboard.address}/health") == b"OK"


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_the_best_candidate_first(dashboard: Dashboard, tmp_path: Path) -> None:
    page = browser(dashboard.lines[0].split()[1], tmp_path / "profile")
    names = ["g03-c2", "g03-c1", "g02-c2", "refine@3-fixed", "random@3"]
    places = [page.find(f">{name}<") for name in names]
    assert -1 not in places
    assert places == sorted(places)
    assert "Dev split: front green" in page
    assert "cost/turns vs. dev/correct" in page
    assert "Parallel Coordinates" in page


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_the_searches_side_by_side(dashboard: Dashboard, tmp_path: Path) -> None:
    page = browser(dashboard.lines[1].split()[1], tmp_path / "profile")
    assert -1 < page.find(">gepa s7<") < page.find(">gepa s6<")
    assert "search/hypervolume" in page
    assert "g03-c2" not in page


def test_artifacts_can_be_read_through_the_server(dashboard: Dashboard) -> None:
    store = store_of(dashboard.root)
    from experiments.tracking import connect, newest_experiment

    experiment_id = newest_experiment(store)
    assert experiment_id is not None
    where = "tags.`tiller.name` = 'g03-c2' AND tags.`tiller.run` = 'gepa-7'"
    (best,) = connect(store).search_runs([experiment_id], where)
    text = get(f"{dashboard.address}/get-artifact?path=controller.json&run_uuid={best.info.run_id}")
    assert text == b'{"steer": "rules of g03-c2"}'


def test_a_search_may_be_mirrored_through_the_server(
    dashboard: Dashboard, story_teller, contents, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dashboard.address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    mirror = Mirror(tmp_path / "gepa-5")
    story_teller(tmp_path / "gepa-5", seed=5, listen=mirror.send)
    assert mirror.close(60) == "MLflow: 32 of 32 events mirrored"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    found = contents(store_of(dashboard.root))
    kept = {name: run for name, run in found.items() if name.startswith("gepa-5/")}
    assert len(kept) == 1 + 13
    assert {run["status"] for run in kept.values()} == {"FINISHED"}


def test_a_taken_port_is_one_line(root: Path, tell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, started(root, port := other.getsockname()[1]) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err == f"error: port {port} on 127.0.0.1 is taken: choose another with --port\n"


def test_nothing_recorded_is_one_line(tmp_path: Path) -> None:
    with started(tmp_path, free_port()) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.startswith(f"error: sqlite:///{tmp_path}/mlflow.db: nothing is recorded yet; record a run: python -m ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130)])
def test_a_signal_while_starting_leaves_nothing_behind(root: Path, number: signal.Signals, code: int) -> None:
    with started(root, free_port()) as process:
        while not group_of(root):
            time.sleep(0.02)
            assert process.poll() is None
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, "interrupted\n")
    assert group_of(root) == set()


@pytest.mark.slow
def test_a_server_that_ends_by_itself_is_an_error(root: Path) -> None:
    (root / "mlflow.db").write_bytes(b"no database " * 100)
    with started(root, free_port()) as process:
        _, err = process.communicate(timeout=120)
    assert process.returncode == 3
    assert err.startswith("error: the MLflow server ended with code 1; see ")


def test_help_does_not_import_mlflow() -> None:
    code = (
        "import sys, runpy\n"
        "sys.argv = ['dashboard_run', '--help']\n"
        "try: runpy.run_module('experiments.dashboard_run', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "sys.exit(any(name in sys.modules for name in ('mlflow', 'pandas', 'dspy', 'litellm')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"--port" in done.stdout
