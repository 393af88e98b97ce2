"""Write a run's events into MLflow, where the run itself could not: safe to repeat.

    python -m experiments.sync_run runs/gepa-7

prints

    MLflow: 132 events of runs/gepa-7 are in sqlite:////home/me/runs/mlflow.db

and ends with exit code 2 where that is no run folder or the run still goes on, 3 where the store fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from experiments.cli import exits, new_app, start
from experiments.config import RunConfig
from signatures.errors import UsageError

app = new_app()


class SyncConfig(RunConfig):
    """Which run to write."""

    run_folder: Path


class Synced(NamedTuple):
    """What is in the store now."""

    events: int
    store: str


def run(config: SyncConfig) -> Synced:
    """Replay the whole log and close stale runs. Raises UsageError: no run, or a live one; StoreError."""
    from experiments.events import FILE, being_written, read_events
    from experiments.mirror import replay
    from experiments.tracking import store_of

    folder = config.run_folder
    if not (folder / FILE).is_file():
        raise UsageError(f"{folder}: no run folder, it has no {FILE}")
    if being_written(folder):
        raise UsageError(f"{folder}: this run still goes on; sync it when it has ended")
    store = store_of(folder.resolve().parent)
    return Synced(replay(read_events(folder / FILE), folder, store=store), store.shown)


@app.command()
def sync(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder.")],
) -> None:
    """Write a run's events into MLflow, where the run itself could not."""
    with exits():
        synced = run(SyncConfig(run_folder=run_folder))
        print(f"MLflow: {synced.events} events of {run_folder} are in {synced.store}")


def main() -> None:
    """The console script."""
    start(app)


if __name__ == "__main__":
    main()
