"""Of a world an attempt is shown, and can call, what it was granted."""

from __future__ import annotations

from collections.abc import Mapping

from controllers.worlds import Session, ToolSpec
from controllers.worlds.granted import granted


class Counter:
    """A world and its own session: it counts the calls that reach it."""

    calls = 0

    def session(self, task_digest: str, start: str | None) -> Session:
        return self

    def tools(self) -> tuple[ToolSpec, ...]:
        return tuple(ToolSpec(name=name, description=name, parameters_json="{}") for name in ("look", "press"))

    def call(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        self.calls += 1
        return tool, False

    def snapshot(self) -> str:
        return str(self.calls)


def test_tools_that_are_not_granted_are_not_there() -> None:
    world = Counter()
    some = granted(world, ("press", "fly"))
    assert [tool.name for tool in some.tools()] == ["press"]
    session = some.session("d", None)
    assert session.call("press", {}) == ("press", False)
    assert session.call("look", {}) == ("the tool look is not granted to this attempt", True)
    assert session.call("fly", {}) == ("fly", False)  # granted: the world itself says that it has none
    assert session.snapshot() == "2"


def test_without_a_grant_it_is_the_world_itself() -> None:
    world = Counter()
    assert granted(world, None) is world
    assert granted(world, ()).tools() == ()
