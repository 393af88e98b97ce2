"""Hostile programs: each is stopped with the typed error, and nothing happened."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from controllers.isolation import Isolation, works
from controllers.programs.host import Child, Host, HostLimits, child_files
from controllers.programs.wire import Answer, BudgetCall, Call, Done, Left, Shot, call_of, told
from controllers.supervise import descendants
from signatures.errors import ProgramFault, ProgramRefused
from tests.worlds.hostile import ESCAPED, HOSTILE, Escaped, Hostile

pytestmark = pytest.mark.skipif(not works("rlimits"), reason="needs Linux")
KINDS: tuple[Isolation, ...] = ("bwrap", "unshare", "rlimits")
STRONGEST: Isolation = next((kind for kind in KINDS if works(kind)), "rlimits")
VERDICT = "verdict-5b1c0de"
SHOT = Shot(index=0, outcome="ok", action="none", passed=False, correct=0.5, progress=0.0, turns=1, errors=0, repeats=0)

UNCHECKED = child_files() | {
    "subset.py": "import ast\nclass Refused(ValueError): pass\ndef parse(source): return ast.parse(source)\n"
}
UNCHECKED["guards.py"] += """
def instrument(tree): return tree
_names = Guard.names
Guard.names = lambda self: {**_names(self), "__builtins__": __builtins__, "range": range, "len": len}
"""
"""The child's program without the language: no check, no guards, every built-in function."""


class Bait(NamedTuple):
    """What a hostile program is offered."""

    secret: Path
    target: Path
    server: socket.socket
    running: frozenset[int]
    "processes of other tests here"

    def offered_to(self, source: str) -> str:
        port = str(self.server.getsockname()[1])
        return source.replace("SECRET", str(self.secret)).replace("TARGET", str(self.target)).replace("PORT", port)

    def untouched(self, said: object) -> None:
        """Nothing was written, read, reached or left running."""
        assert not self.target.exists()
        assert self.secret.read_text() == VERDICT
        assert VERDICT not in repr(said)
        with pytest.raises(BlockingIOError):
            self.server.accept()
        assert self.running.issuperset(descendants(os.getpid()))


@pytest.fixture
def bait(tmp_path: Path) -> Iterator[Bait]:
    secret = tmp_path / "verdicts"
    secret.write_text(VERDICT)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield Bait(secret, tmp_path / "target", server, frozenset(descendants(os.getpid())))


async def played(host: Host) -> list[Call]:
    """The program's calls, each answered, until it is done."""
    answers: list[Answer] = []
    calls: list[Call] = []
    while not calls or not isinstance(calls[-1], Done):
        calls.append(await host.next_call(answers))
        answers.append(Left() if isinstance(calls[-1], BudgetCall) else SHOT.model_copy(update={"index": len(answers)}))
    return calls


def test_there_are_enough_of_them() -> None:
    assert len({case.source for case in HOSTILE}) == len(HOSTILE) >= 100
    assert len({case.name for case in HOSTILE}) == len(HOSTILE)
    assert {case.stopped for case in HOSTILE} == {"refused", "error", "cpu", "memory", "illegal"}


@pytest.mark.parametrize("case", [c for c in HOSTILE if c.stopped == "refused"], ids=lambda case: case.name)
def test_it_is_refused_before_anything_runs(case: Hostile, bait: Bait) -> None:
    with pytest.raises(ProgramRefused) as refused:
        Host(bait.offered_to(case.source))
    assert case.says in str(refused.value)
    assert refused.value.line is not None
    bait.untouched(refused.value)


@pytest.mark.parametrize("case", [c for c in HOSTILE if c.stopped != "refused"], ids=lambda case: case.name)
async def test_it_is_stopped_while_it_runs(case: Hostile, bait: Bait) -> None:
    host = Host(bait.offered_to(case.source))
    with pytest.raises(ProgramFault) as fault:
        await played(host)
    host.close()
    assert (fault.value.kind, case.says in str(fault.value)) == (case.stopped, True), fault.value
    bait.untouched(fault.value)


async def test_the_child_checks_again(bait: Bait) -> None:
    """What reaches the child without having been checked is refused there, and never compiled."""
    for case in HOSTILE[:2]:
        with pytest.raises(ProgramRefused, match="its process refuses"):
            Child(bait.offered_to(case.source), HostLimits())
        bait.untouched(None)


async def ending(case: Escaped, source: str, kind: Isolation) -> object:
    """How a program ends that runs without the language."""
    limits = HostLimits(wall_s=3.0 if "wall" in case.kinds else 30.0, cpu_s=1, isolation=kind)
    child = None
    try:
        child = Child(source, limits, UNCHECKED)
        answers: list[object] = []
        for _ in range(2):
            reply = await child.ask({"answers": answers}, limits.wall_s)
            if reply is None:
                return "memory"  # killed: the host asks once more, then says so
            call_of(reply.get("call"))
            answers.append(told(SHOT))
        return "call"
    except ProgramFault as fault:
        return fault
    finally:
        if child is not None:
            child.talk.close()


@pytest.mark.parametrize("case", ESCAPED, ids=lambda case: case.name)
async def test_what_got_past_the_language_still_reaches_nothing(case: Escaped, bait: Bait) -> None:
    found = await ending(case, bait.offered_to(case.source), STRONGEST)
    kind = found.kind if isinstance(found, ProgramFault) else found
    assert kind in case.kinds, found
    bait.untouched(found)


@pytest.mark.parametrize("isolation", [kind for kind in KINDS[1:] if works(kind)])
@pytest.mark.parametrize(
    "name", ["a written file", "the judge's file", "the network", "fork", "a fork bomb", "a command"]
)
async def test_weaker_confinement_holds_too(name: str, isolation: Isolation, bait: Bait) -> None:
    case = next(case for case in ESCAPED if case.name == name)
    bait.untouched(await ending(case, bait.offered_to(case.source), isolation))


async def test_a_host_outlives_what_it_stopped() -> None:
    """After a fault the next question has a fresh process, and the answer that the program always gives."""
    before = set(descendants(os.getpid()))
    host = Host(
        "async def strategy(ctx):\n    shot = await ctx.shot()\n    x = 1 // (1 - shot.index)\n    await ctx.shots(2)\n"
    )
    for _ in range(2):
        assert (await host.next_call([SHOT])).kind == "shots"
        with pytest.raises(ProgramFault, match="line 3: ZeroDivisionError"):
            await host.next_call([SHOT.model_copy(update={"index": 1})])
    host.close()
    assert before.issuperset(descendants(os.getpid()))
