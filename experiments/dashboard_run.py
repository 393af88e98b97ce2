"""Serve the MLflow dashboard and print the link to the newest search's candidates.

    python -m experiments.dashboard_run [--root runs] [--port 5000]

prints

    candidates:  http://127.0.0.1:5000/#/experiments/1/runs?workflowType=...&viewStateShareKey=candidates...
    generations: http://127.0.0.1:5000/#/experiments/1/runs?workflowType=...&viewStateShareKey=generations...
    Ctrl-C ends the server

and ends with exit code 2 and one line where the port is taken or nothing is recorded yet.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer
from pydantic import Field

from experiments.cli import exits, new_app, start
from experiments.config import RunConfig
from signatures.errors import StoreError, UsageError

if TYPE_CHECKING:
    from experiments.tracking import Store

HOST: Final = "127.0.0.1"
START_S: Final = 120.0
"""How long the server may take until `/health` answers."""
END_S: Final = 5.0
"""How long the group may take to end before it is killed."""
SERVER_ENV: Final[Mapping[str, str]] = MappingProxyType(
    {
        # Either of the first two lets `mlflow server` hang at its start where litellm's cost map is out of reach.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
)

app = new_app()


class DashboardConfig(RunConfig):
    """What to serve, and where."""

    root: Path = Path("runs")
    "the run root, which holds `mlflow.db`; MLFLOW_TRACKING_URI goes before it"
    port: int = Field(default=5000, ge=1, le=65535)


class Links(NamedTuple):
    """The two views of the experiment with the newest search."""

    candidates: str
    generations: str


def run(config: DashboardConfig) -> Links:
    """Serve until interrupted. Raises UsageError: port taken, nothing recorded; StoreError: no server."""
    from experiments.tracking import store_of

    store = store_of(config.root)
    if store.remote:
        links = _links(store, store.shown)
        _print(links, "MLFLOW_TRACKING_URI names a server, so none is started here")
        return links
    if store.file is not None and not store.file.exists():
        raise UsageError(f"{store.shown}: nothing is recorded yet; record a run: python -m experiments.gepa_run")
    with served(store, config.root, config.port) as server:
        links = _links(store, server.address)
        _print(links, "Ctrl-C ends the server")
        with suppress(KeyboardInterrupt):
            # Asked again and again: a signal that another thread takes would never end one long wait.
            while server.process.poll() is None:
                time.sleep(0.2)
            raise StoreError(f"the MLflow server ended by itself; see {server.log}")
    return links


class Server(NamedTuple):
    """A running MLflow server."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path


@contextmanager
def served(store: Store, root: Path, port: int) -> Iterator[Server]:
    """An MLflow server of one worker in a process group of its own, answering; at the end the group is gone.

    Raises UsageError where the port is taken, StoreError where the server does not answer in time.
    """
    _refuse_taken(port)
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store.uri, "--artifacts-destination", str(store.artifacts)]
    log = root / "mlflow-server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **SERVER_ENV},
            start_new_session=True,
        )
    server = Server(process, f"http://{HOST}:{port}", log)
    try:
        _await_health(server)
        yield server
    finally:
        _end_group(process)


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(f"port {port} on {HOST} is taken: choose another with --port") from error


def _await_health(server: Server) -> None:
    """Ask past any proxy: the server is on this machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise StoreError(f"the MLflow server ended with code {server.process.returncode}; see {server.log}")
        with suppress(OSError), opener.open(f"{server.address}/health", timeout=2):
            return
        time.sleep(0.1)
    raise StoreError(f"the MLflow server did not answer within {START_S:g} s; see {server.log}")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End every process of the group: politely, then not. A second Ctrl-C must not leave one behind."""
    for number, wait_s in ((signal.SIGTERM, END_S), (signal.SIGKILL, END_S)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(wait_s)


def _links(store: Store, address: str) -> Links:
    from experiments.tracking import newest_experiment
    from experiments.views import deep_link

    experiment_id = newest_experiment(store)
    if experiment_id is None:
        raise UsageError(f"{store.shown}: no search is recorded yet; record one: python -m experiments.gepa_run")
    return Links(deep_link(address, experiment_id, "candidates"), deep_link(address, experiment_id, "generations"))


def _print(links: Links, last: str) -> None:
    print(f"candidates:  {links.candidates}\ngenerations: {links.generations}\n{last}", flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@app.command()
def dashboard(
    root: Annotated[Path, typer.Option(help="The run root, which holds mlflow.db.")] = Path("runs"),
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1.")] = 5000,
) -> None:
    """Serve the MLflow dashboard and print the link to the newest search's candidates."""
    # `kill` and a closed terminal end the server as Ctrl-C does: its group would not hear of either.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with exits():
        run(DashboardConfig(root=root, port=port))


def main() -> None:
    """The console script."""
    start(app)


if __name__ == "__main__":
    main()
