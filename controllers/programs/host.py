"""A strategy program in its child process: the same answers give the same next call, or a typed fault."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, get_args

from pydantic import Field

from controllers.isolation import Isolation, SandboxConfig
from controllers.programs.dialogue import Dialogue, Ended
from controllers.programs.language import check
from controllers.programs.wire import Answer, Call, call_of, told
from controllers.sandbox import Sandbox
from signatures.errors import FaultKind, InfraError, ProgramFault, ProgramRefused, UsageError
from signatures.records import NonNegative, Record

CHILD_FILES: Final = ("child.py", "guards.py", "subset.py")
START_S: Final = 60.0
_AT_ONCE_S: Final = 0.02
"""How long the event loop itself waits for an answer, which takes a fifth of a millisecond."""
_RENEW_CPU_S: Final = 600.0
_KINDS: Final[dict[str, FaultKind]] = {kind: kind for kind in get_args(FaultKind)}


class HostLimits(Record):
    """What a program may use. Steps and calls are counted, so that they end it at the same place everywhere; the
    other limits are for what gets around the language, and generous enough that a slow machine is no fault."""

    wall_s: NonNegative = 10.0
    "of one answer"
    cpu_s: int = Field(default=2, ge=1)
    "of one answer"
    memory_bytes: int = Field(default=128 << 20, ge=1 << 26)
    "address space of its process"
    steps: int = Field(default=200_000, ge=1)
    "operations of one run from the start"
    calls: int = Field(default=256, ge=1)
    "of `ctx` in one run from the start"
    isolation: Isolation | None = None
    "None: the strongest that works here"


class Host:
    """Asks one program. Usable from several event loops and tasks at once; questions are served one after another."""

    def __init__(self, source: str, *, limits: HostLimits | None = None) -> None:
        """Starts nothing yet. Raises ProgramRefused where `source` is not in the language."""
        check(source)
        self.source = source
        self.limits = limits or HostLimits()
        self._lock = threading.Lock()
        self._child: Child | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return (_again, (self.source, self.limits))  # a copy has a process of its own

    async def next_call(self, answers: Sequence[Answer]) -> Call:
        """Run the program from its start, its n-th call answered by `answers[n]`; return the first call beyond them.

        `Done` as soon as it returns, even where answers are left over. Raises ProgramFault, UsageError where an answer
        does not fit its call, InfraError where the process cannot be started.
        """
        request = [told(answer) for answer in answers]
        # Polled, since the askers may be of several event loops; held only while a process starts or takes long.
        while not self._lock.acquire(blocking=False):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        try:
            with ExitStack() as unless_asked:
                unless_asked.callback(self._drop)
                body = await self._asked(request)
                if body is None:  # killed from outside, perhaps: a program is a function, so it may be asked again
                    body = await self._asked(request)
                unless_asked.pop_all()
        finally:
            self._lock.release()
        if body is None:
            raise ProgramFault("the program's process was killed twice", kind="memory")
        return call_of(body)

    def close(self) -> None:
        """End the process, where there is one; a later question starts another."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.talk.close()

    async def _asked(self, answers: list[dict[str, object]]) -> object:
        """The call the program sent; None where its process was killed. Raises as `next_call` does."""
        if self._child is None:
            self._child = await asyncio.to_thread(Child, self.source, self.limits)
        reply = await self._child.ask({"answers": answers}, self.limits.wall_s)
        if reply is None:
            self._drop()
            return None
        if self._child.cpu_s > _RENEW_CPU_S:
            self._drop()
        if "misfit" in reply:
            raise UsageError(f"strategy program: {reply['misfit']}")
        return reply.get("call")


def _again(source: str, limits: HostLimits) -> Host:
    return Host(source, limits=limits)


def child_files() -> dict[str, str]:
    """The child's program, as files beside each other."""
    return {name: Path(__file__).with_name(name).read_text(encoding="utf-8") for name in CHILD_FILES}


class Child:
    """The process, and the lines that go to it and back. `Host` is what restarts it."""

    def __init__(self, source: str, limits: HostLimits, files: Mapping[str, str] | None = None) -> None:
        """Start it and have it compile the source. `files`: its own program, that of `child_files()` where None.

        Raises ProgramRefused, ProgramFault, UsageError, InfraError.
        """
        self.cpu_s = 0.0
        self.talk = _start(limits, files or child_files())
        with ExitStack() as unless_started:
            unless_started.callback(self.talk.close)
            first: dict[str, object] = {
                "source": source,
                "limits": limits.model_dump(include={"steps", "calls", "cpu_s"}),
            }
            reply = self._sent(first, START_S) and self._heard(START_S)
            if not reply:
                raise InfraError("strategy program: its process does not start", retryable=True)
            self.talk.settled()
            if "refused" in reply:
                raise ProgramRefused(f"strategy program: its process refuses it: {reply['refused']}")
            unless_started.pop_all()

    async def ask(self, body: dict[str, object], wall_s: float) -> dict[str, object] | None:
        """Send, and wait for the answer: at once, as nearly always, or beside the event loop.

        None where something killed the process. Raises ProgramFault.
        """
        if not self._sent(body, wall_s):
            raise ProgramFault("it does not read its answers", kind="protocol")
        reply = self._heard(min(_AT_ONCE_S, wall_s))
        if reply is None:
            reply = await asyncio.to_thread(self._heard, wall_s)
        if reply is None:
            raise ProgramFault(f"it did not answer within {wall_s:g} s", kind="wall")
        return reply or None

    def _sent(self, body: dict[str, object], within_s: float) -> bool:
        self._id = secrets.token_hex(8)
        try:
            return self.talk.send(json.dumps({"id": self._id, **body}).encode(), within_s=within_s)
        except Ended:
            return True  # it is gone: reading says why

    def _heard(self, within_s: float) -> dict[str, object] | None:
        """The reply; None where there is none yet; empty where something killed the process. Raises ProgramFault."""
        try:
            line = self.talk.line(within_s=within_s)
        except Ended as error:
            ended = _ending(self.talk.close(), str(error))
            if ended is None:
                return {}
            raise ended from error
        if line is None:
            return None
        return self._read(line)

    def _read(self, line: bytes) -> dict[str, object]:
        try:
            reply = json.loads(line)
            own, cpu_s = reply["id"] == self._id, float(reply["cpu_s"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ProgramFault("its process does not keep to the protocol", kind="protocol") from error
        if not own or not isinstance(reply, dict):
            raise ProgramFault("its process answers what was not asked", kind="protocol")
        self.cpu_s = cpu_s
        if "fault" in reply:
            raise _fault(reply["fault"])
        return reply


def _fault(told: object) -> ProgramFault:
    body = told if isinstance(told, dict) else {}
    message = "".join(c for c in str(body.get("message"))[:300] if c.isprintable())
    return ProgramFault(f"strategy program, {message}", kind=_KINDS.get(str(body.get("kind")), "protocol"))


def _ending(report: dict[str, object], said: str) -> ProgramFault | None:
    """Why its process ended, by the supervisor's report; None where it was killed from outside."""
    code = report.get("exit_code")
    number = -code if isinstance(code, int) and code < 0 else code - 128 if isinstance(code, int) else 0
    if report.get("ended_by") == "processes":
        return ProgramFault("it started processes", kind="processes")
    if number == signal.SIGXCPU:
        return ProgramFault("it took too much processor time", kind="cpu")
    if said != "it ended":
        return ProgramFault(said, kind="protocol")
    if number == signal.SIGKILL:
        return None
    return ProgramFault("its process ended", kind="error")


def _start(limits: HostLimits, files: Mapping[str, str]) -> Dialogue:
    """The child's process, before anything was said. Raises UsageError off Linux, InfraError."""
    # Network need not be cut off by the confinement: a process that may open no descriptor has none.
    config = SandboxConfig(
        isolation=limits.isolation,
        allow_network_unconfined=True,
        memory_bytes=limits.memory_bytes,
        cpu_s=2 * int(_RENEW_CPU_S),
        file_bytes=1 << 20,
        processes=2,
    )
    kind = Sandbox(config).isolation()
    try:
        return Dialogue(files, ("-I", "-S", "child.py"), config, kind)
    except OSError as error:
        raise InfraError(f"strategy program: its process cannot be started: {error}", retryable=True) from error
