"""The tasks of a production run: from a split, or from a file of prompts; never what is kept for judging."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from experiments import Benchmark
from experiments.harvest.tasks import content_key
from experiments.production.config import USUAL, ProductionConfig
from experiments.production.prompts import asked_task
from signatures.errors import UsageError
from signatures.records import Split, Task

LINE_BYTES: Final = 1024 * 1024
"""Of one task in a file: a prompt is no document."""
_APART: Final[tuple[Split, ...]] = ("dev", "holdout")


class TaskList(NamedTuple):
    """Tasks, and where they come from in words."""

    tasks: tuple[Task, ...]
    origin: str


def asked_of(config: ProductionConfig, benchmark: Benchmark) -> TaskList:
    """The tasks that the config asks for. Raises UsageError: too few, a bad file, a task that is kept for judging."""
    found = _of_split(config, benchmark) if config.tasks_file is None else _of_file(config, benchmark)
    require_apart(found.tasks, benchmark)
    return found


def require_apart(tasks: Sequence[Task], benchmark: Benchmark) -> None:
    """Raises UsageError for a task that the dev or holdout split has, by digest or by a prompt that is theirs alone.

    Letter case, spacing and Unicode form make no other prompt.

    Searches learn from production, so such a task would be learned from.
    """
    asked = [(task.digest, content_key(task.prompt)) for task in tasks]
    open_keys = {content_key(task.prompt) for task in benchmark.tasks("search")}
    for split in _APART:
        kept = benchmark.tasks(split)
        digests, keys = {task.digest for task in kept}, {content_key(task.prompt) for task in kept} - open_keys
        for number, (digest, key) in enumerate(asked, 1):
            if digest in digests or key in keys:
                raise UsageError(
                    f"task {number} is one of the {split} split, which is kept for judging: later searches learn from "
                    "what is played in production"
                )


def _of_split(config: ProductionConfig, benchmark: Benchmark) -> TaskList:
    there: tuple[Task, ...] = ()
    split: Split = "search" if config.split == "search" else "production"
    if split == "production":
        try:
            there = benchmark.tasks(split)
        except UsageError:
            if config.split is not None:
                raise
    if not there and config.split is None:
        split = "search"
    there = there or benchmark.tasks(split)
    wanted = USUAL if config.tasks is None else config.tasks
    if config.tasks is not None and wanted > len(there):
        raise UsageError(f"tasks={wanted} asked, the {split} split has {len(there)}")
    return TaskList(there[:wanted], f"the {split} split")


def _of_file(config: ProductionConfig, benchmark: Benchmark) -> TaskList:
    if config.split is not None:
        raise UsageError("give split or tasks_file, not both")
    path = Path(config.tasks_file or "")
    there = tuple(_read(path, benchmark.id))
    if not there or len(there) < (config.tasks or 1):
        raise UsageError(f"tasks={config.tasks or 1} asked, {path} has {len(there)}")
    return TaskList(there[: config.tasks], str(path))


def _read(path: Path, benchmark: str) -> Iterator[Task]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield _task(line, benchmark)
            except UsageError as error:
                raise UsageError(f"{path}:{number}: {error}") from error


def _task(line: bytes, benchmark: str) -> Task:
    if len(line) > LINE_BYTES:
        raise UsageError(f"a task takes at most {LINE_BYTES:,} bytes")
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError("not a JSON line") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("prompt"), str):
        raise UsageError('a task is {"prompt": text}, with an optional "id"')
    if unknown := sorted(set(entry) - {"prompt", "id"}):
        raise UsageError(f"a task has no {unknown[0]!r}; it has prompt and id")
    id = entry.get("id")
    if id is not None and not isinstance(id, str):
        raise UsageError("id: must be text")
    return asked_task(benchmark, entry["prompt"], id)
