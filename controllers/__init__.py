"""One episode: decide, attempt, check, record, select. Protocols of what may vary; parts live in the rooms.

An implementation does not inherit: having the methods is enough.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Protocol, TypeVar

from signatures.records import (
    Attempt,
    AttemptContext,
    AttemptResult,
    CheckerResult,
    Decision,
    Episode,
    Task,
    WorkerFingerprint,
)

RecordT = TypeVar("RecordT", Attempt, Decision, Episode)


class Worker(Protocol):
    """A black box that does tasks. It raises plain Python errors for infrastructure, nothing for bad answers."""

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """Name, model snapshot and parameters: equal fingerprints mean the same worker."""

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """Do `task` once, going on from the state `start`, or fresh where it is None."""


class Checker(Protocol):
    """A deployable verifier of one objective. It sees what production would see, never the answer."""

    @property
    def objective(self) -> str:
        """The objective this checker measures."""

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """Measure one attempt; `value=None` where it cannot say."""


class Corpus(Protocol):
    """The durable, append-only record. Appending twice is a no-op; the same id with other content is an error."""

    async def append(self, *records: Attempt | Decision | Episode, blobs: Iterable[bytes] = ()) -> None:
        """Return only when all records and blobs are durable together. Raises StoreError."""

    async def get(self, kind: type[RecordT], id: str) -> RecordT | None:
        """The record of that kind and id, or None."""

    def scan(
        self, kind: type[RecordT], where: Mapping[str, str] | None = None, *, until: int | None = None
    ) -> AsyncIterator[RecordT]:
        """All records of a kind in order of arrival, filtered by indexed columns, up to the mark `until` or to now."""

    async def high_water(self) -> int:
        """A mark of what is stored now: a scan up to it gives the same however the corpus grows."""

    async def blob(self, digest: str) -> bytes:
        """The bytes with that digest, checked against it. Raises StoreError."""
