from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

from controllers.isolation import works
from controllers.worlds import World
from controllers.worlds.calling import called
from controllers.worlds.terminal import SCENARIOS, TerminalWorld
from controllers.worlds.terminal_box import MISSING, to_text
from controllers.worlds.terminal_faults import broken, sound
from signatures.errors import UsageError

pytestmark = pytest.mark.skipif(not works("bwrap"), reason=MISSING)
TOOLS = SCENARIOS["tools"]
FINE, FAULTY = sound(TOOLS), broken(TOOLS, TOOLS.atoms[:2])


@pytest.fixture(scope="module")
def world() -> Iterator[TerminalWorld]:
    world = TerminalWorld({"fine": FINE, "faulty": FAULTY})
    yield world
    world.close()


def test_a_session_is_one_shell_from_first_to_last(world: TerminalWorld) -> None:
    kept: World = world
    session = kept.session("fine", None)
    assert session.call("run", {"command": "cd bin; X=5"}) == ("exit code 0", False)
    assert session.call("run", {"command": "echo $X; pwd"}) == ("exit code 0\n5\n/box/bin", False)
    assert session.call("run", {"command": "ls nothing"})[1]
    text, failed = session.call("run", {"command": "grep nothing start"})
    assert (text, failed) == ("exit code 1", False), "an answer, not a failure"
    assert "stderr:" in session.call("run", {"command": "echo no >&2"})[0]
    assert "a new one was started" in session.call("run", {"command": "exit 3"})[0]


async def test_others_go_on_while_a_command_runs(world: TerminalWorld) -> None:
    session, events = world.session("fine", None), list[str]()

    async def ask() -> None:
        events.append("asked")
        text, _ = await called(session, "run", {"command": "sleep 0.2; echo slept"})
        events.append(text)

    async def go_on() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            events.append("another")

    await asyncio.gather(ask(), go_on())
    assert events == ["asked", "another", "another", "another", "exit code 0\nslept"]


def test_bad_calls_fail_and_change_nothing(world: TerminalWorld) -> None:
    session = world.session("fine", None)
    for tool, arguments in (
        ("walk", {"command": "ls"}),
        ("run", {}),
        ("run", {"command": 5}),
        ("run", {"command": "ls", "more": 1}),
        ("run", {"command": "x" * 9000}),
    ):
        text, failed = session.call(tool, arguments)
        assert failed and text.startswith("Error: ")
    assert session.snapshot() == world.beginning("fine") == to_text(FINE)


def test_a_session_goes_on_from_a_snapshot_and_shares_nothing(world: TerminalWorld) -> None:
    first, second = world.session("fine", None), world.session("fine", None)
    first.call("run", {"command": "echo new > data/new"})
    assert second.call("run", {"command": "ls data"})[0] == "exit code 0\nwords"
    later = world.session("fine", first.snapshot())
    assert later.call("run", {"command": "cat data/new"})[0] == "exit code 0\nnew"
    assert later.snapshot() == first.snapshot() != second.snapshot()


def test_a_session_that_is_gone_gives_its_box_back(world: TerminalWorld) -> None:
    session = world.session("fine", None)
    pid = session._lent.box.pid
    session.call("run", {"command": "sleep 100 &"})
    del session
    gc.collect()
    assert world.session("fine", None)._lent.box.pid == pid


def test_a_lost_box_is_replaced_in_the_state_before(world: TerminalWorld) -> None:
    session = world.session("fine", None)
    session.call("run", {"command": "echo kept > data/kept"})
    before = session.snapshot()
    session._lent.box.close()
    text, failed = session.call("run", {"command": "echo lost > data/lost"})
    assert failed and "the box was lost" in text and session.snapshot() == before
    assert session.call("run", {"command": "cat data/kept"}) == ("exit code 0\nkept", False)


def test_health_is_what_the_script_of_the_snapshot_says(world: TerminalWorld) -> None:
    assert world.health(world.beginning("fine")).value == 1.0 and world.health(world.beginning("fine")).passed
    faulty = world.health(world.beginning("faulty"))
    assert 0 < faulty.value < 1 and not faulty.passed and set(faulty.checks) == {"starts", "count", "greet", "join"}
    silent = {**FINE, "health": ("f", 0o755, "#!/bin/bash\necho all is well\n")}
    assert world.health(to_text(silent)).value == 0.0 and not world.health(to_text(silent)).passed  # type: ignore[arg-type]  # a literal's kinds


def test_what_is_unknown_is_refused(world: TerminalWorld) -> None:
    for ask in (lambda: world.session("no", None), lambda: world.beginning("no"), lambda: world.session("fine", "{")):
        with pytest.raises(UsageError):
            ask()
    (tool,) = world.tools()
    assert tool.name == "run" and "command" in tool.parameters_json
