"""The planted worker in trouble: slow, failing while a file exists, or counted, as the environment says.

An attempt of it equals the planted worker's, so whatever a run goes through, its end can be compared.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from controllers import Worker
from judges import Judge
from signatures.records import AttemptContext, AttemptResult, Task, WorkerFingerprint
from tests.worlds.planted import PlantedBenchmark, PlantedJudge

SLEEP_S = "TROUBLED_SLEEP_S"
"""Seconds that an attempt takes."""
HANGS_AFTER = "TROUBLED_HANGS_AFTER"
"""Attempts of the process, after which each takes for ever: whoever interrupts it does so before it ends."""
FAILS = "TROUBLED_FAILS"
"""A file: while it exists each attempt fails, and appends a byte to it."""


class TroubledWorker:
    """As the planted worker, in time."""

    def __init__(self) -> None:
        self.inner: Worker = PlantedBenchmark().worker(None, None)
        self.begun = 0

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The planted worker's."""
        return self.inner.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One attempt. Raises ConnectionError, which is tried again, while the file exists."""
        self.begun += 1
        if self.begun > int(os.environ.get(HANGS_AFTER, sys.maxsize)):
            await asyncio.Event().wait()
        await asyncio.sleep(float(os.environ.get(SLEEP_S, "0")))
        _fail_if_asked()
        return await self.inner.attempt(task, context, start)


def _fail_if_asked() -> None:
    trouble = os.environ.get(FAILS)
    if trouble and Path(trouble).exists():
        with Path(trouble).open("ab") as file:
            file.write(b".")
        raise ConnectionError("the machine does not answer")


CANARY = "canary-7d1f4c90b2"


class MarkedBenchmark(PlantedBenchmark):
    """The planted benchmark whose judge writes the canary into every verdict."""

    def judge(self) -> Judge:
        """The planted judge, marked."""
        return PlantedJudge(canary=CANARY)
