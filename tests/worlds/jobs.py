"""A run of the planted world as its stages see it: recorded trees, a log, and what was said."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import JsonValue
from rich.console import Console

from experiments.events import FILE, Body, EventLog, read_events
from experiments.places import claim
from experiments.search.job import Job
from experiments.search.stages import space_from
from experiments.search.trees import record_trees
from experiments.wiring import ready, wired
from optimizers.replaying import Replaying
from tests.worlds.small import small


@contextmanager
def job_at(root: Path, **changed: JsonValue) -> Iterator[Job]:
    """A run in a folder of its own below `root`, its trees recorded."""
    given = ready(small(root, **changed))
    folder = claim(given.config, given.manifest)
    console = Console(file=io.StringIO(), width=200, markup=False, soft_wrap=True)
    with wired(given, folder) as parts, EventLog(folder) as log:
        replay = asyncio.run(record_trees(given.config, parts, lambda: None)).replay
        space = space_from(replay, parts.splits.train, parts.actions, given.config.attempts)
        yield Job(given.config, folder, parts, log, console, Replaying(replay, answers=not given.config.live), space)


def said(job: Job) -> str:
    """What the run told whoever watches."""
    assert isinstance(job.console.file, io.StringIO)
    return job.console.file.getvalue()


def told(job: Job) -> list[Body]:
    """What its log holds."""
    return [event.body for event in read_events(job.folder / FILE)]
