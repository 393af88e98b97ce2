"""The smallest stream on the planted world that has everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from controllers import Worker
from experiments.gate.learned.stream import Stream, slices_of
from experiments.gate.learned.stream_config import GateBConfig, learner_config
from experiments.wiring import Splits, definition_of_done, ready, wired

SMALL: Final[dict[str, JsonValue]] = {
    "benchmark": "tests.worlds.planted:PlantedBenchmark",
    "runs": 3,
    "slice": 4,
    "repeats": 1,
    "trees": 2,
    "attempts": 2,
    "turns": 3,
    "generations": 2,
    "iterations": 3,
    "minibatch": 2,
    "tracking": False,
}


def small_stream(root: Path, **changed: JsonValue) -> GateBConfig:
    """The config, with its files below `root`."""
    return GateBConfig.model_validate({**SMALL, "root": str(root), **changed})


@contextmanager
def opened(config: GateBConfig, folder: Path, worker: Worker | None = None) -> Iterator[tuple[Stream, list[str]]]:
    """The stream of that config, and what it says; `worker` instead of the benchmark's own."""
    folder.mkdir(exist_ok=True)
    given = ready(learner_config(config, folder / "corpus.db"), root=folder.parent)
    slices = slices_of(given.benchmark.tasks("search"), runs=config.runs, size=config.slice, seed=config.seed)
    splits = Splits(train=tuple(task for one in slices for task in one), val=(), dev=())
    manifest = definition_of_done(given.benchmark, splits)
    given = replace(given, splits=splits, manifest=manifest, worker=worker or given.worker)
    lines: list[str] = []
    with wired(given, folder) as parts:
        learner = learner_config(config, folder / "corpus.db")
        yield Stream(config, learner, parts, folder, slices, lines.append), lines
