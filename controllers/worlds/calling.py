"""One tool call from a coroutine: a session that has to wait does so while the event loop goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from controllers.worlds import Session


@runtime_checkable
class Waiting(Protocol):
    """A session whose calls may take seconds, such as one with a shell."""

    async def acall(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        """As `Session.call`, without holding up the event loop."""


async def called(session: Session, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
    """Run one tool: (what came back, whether it failed)."""
    if isinstance(session, Waiting):
        return await session.acall(tool, arguments)
    return session.call(tool, arguments)
