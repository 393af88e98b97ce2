"""A world of which an attempt is granted some tools only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controllers.worlds import Session, ToolSpec, World
from controllers.worlds.calling import called


def granted(world: World, tools: Sequence[str] | None) -> World:
    """The world with these tools alone; with None as it is. A name that it does not have grants nothing."""
    return world if tools is None else _Granted(world, frozenset(tools))


class _Granted:
    def __init__(self, world: World, names: frozenset[str]) -> None:
        self._world, self._names = world, names

    def session(self, task_digest: str, start: str | None) -> Session:
        return _GrantedSession(self._world.session(task_digest, start), self._names)

    def tools(self) -> tuple[ToolSpec, ...]:
        return tuple(tool for tool in self._world.tools() if tool.name in self._names)


class _GrantedSession:
    def __init__(self, session: Session, names: frozenset[str]) -> None:
        self._session, self._names = session, names

    def call(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        return self._session.call(tool, arguments) if tool in self._names else _refused(tool)

    async def acall(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        return await called(self._session, tool, arguments) if tool in self._names else _refused(tool)

    def snapshot(self) -> str:
        return self._session.snapshot()


def _refused(tool: str) -> tuple[str, bool]:
    return f"the tool {tool} is not granted to this attempt", True
