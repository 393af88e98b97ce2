"""Simulated worlds: what a benchmark's tasks happen in, shared by its worker, checkers and any chat worker.

An implementation does not inherit: having the methods is enough. A world holds no answer key: the judge does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from signatures.records import Record


class ToolSpec(Record):
    """One tool as any agent may be told of it."""

    name: str
    description: str
    parameters_json: str
    "JSON schema of the arguments object, as JSON text"


class Session(Protocol):
    """One attempt's private copy of the world. Calls change it; nothing else does."""

    def call(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        """Run one tool: (what came back, whether it failed). A bad call fails, it never raises."""

    def snapshot(self) -> str:
        """The state as text: `World.session(task_digest, snapshot)` goes on from exactly here."""


class World(Protocol):
    """Opens sessions on tasks, known by their digests alone."""

    def session(self, task_digest: str, start: str | None) -> Session:
        """A session from the snapshot `start`, or from the beginning. UsageError for an unknown task."""

    def tools(self) -> tuple[ToolSpec, ...]:
        """Every tool a session offers, in a fixed order."""
