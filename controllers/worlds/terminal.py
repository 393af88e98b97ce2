"""The terminal world: boxes with faults, worked on through one persistent shell, with snapshots that are text.

The world knows how each task begins; what counts as solved is the judge's alone.
"""

from __future__ import annotations

import asyncio
import json
import re
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from controllers.worlds import ToolSpec
from controllers.worlds.terminal_box import Box, Boxes, Entry, Ran, Tree, from_text, to_text
from controllers.worlds.terminal_files import FILES
from controllers.worlds.terminal_layers import HEALTH, TOOL
from controllers.worlds.terminal_services import SERVICES
from controllers.worlds.terminal_tables import TABLES
from signatures.errors import UsageError

SCENARIOS: Final = {scenario.name: scenario for scenario in (*SERVICES, *FILES, *TABLES)}
HEALTH_S: Final = 20.0
"""Wall seconds of a health script, which takes a tenth of one."""
COMMAND_CHARS: Final = 8000
_PARAMETERS: Final = {
    "type": "object",
    "properties": {"command": {"type": "string", "description": "what bash is to run"}},
    "required": ["command"],
}
_TOOL: Final = ToolSpec(
    name=TOOL,
    description=(
        "Run a command in the box's bash, which keeps its folder and variables from call to call."
        " Gives the exit code, standard output and standard error. A command may take five seconds."
    ),
    parameters_json=json.dumps(_PARAMETERS),
)
_SAID: Final[Mapping[str, str]] = {
    "shell": "the shell ended; a new one was started in /box",
    "time": "stopped: it took longer than five seconds; a new shell was started in /box",
    "output": "stopped: it wrote too much; a new shell was started in /box",
    "memory": "stopped: it used too much memory; a new shell was started in /box",
    "full": "the box would be too large; it was put back as it was before this command",
    "lost": "the box was lost; it was put back as it was before this command",
}
_SAYS_NO: Final = re.compile(r"\b(?:health|e?grep|diff|cmp|test)\b|\[")
"""Commands whose exit code 1 is an answer and no failure."""


class Health(NamedTuple):
    """What a health script said."""

    checks: Mapping[str, bool]

    @property
    def value(self) -> float:
        """The share of checks that passed; 0 where there are none."""
        return sum(self.checks.values()) / len(self.checks) if self.checks else 0.0

    @property
    def passed(self) -> bool:
        """Whether all did, and there are some."""
        return bool(self.checks) and all(self.checks.values())


class _Lent:
    """The box that a session has, so that it can be given back whichever it is by then."""

    def __init__(self, boxes: Boxes, box: Box) -> None:
        self.boxes, self.box = boxes, box

    def give_back(self) -> None:
        self.boxes.give_back(self.box)


class TerminalSession:
    """One attempt's private box. It is given back by `close`, or when nobody holds the session any more."""

    def __init__(self, boxes: Boxes, tree: Tree) -> None:
        self._lent = _Lent(boxes, _opened(boxes, tree))
        self._tree: Tree = tree
        self.close = weakref.finalize(self, self._lent.give_back)

    def call(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        """Run one command: (exit code and outputs, whether it failed). A bad call fails, it never raises."""
        command = arguments.get("command")
        if tool != TOOL:
            return f"Error: there is no tool {tool!r}", True
        if set(arguments) != {"command"} or not isinstance(command, str):
            return f"Error: {TOOL} takes one argument, the text `command`", True
        if len(command) > COMMAND_CHARS:
            return f"Error: a command has at most {COMMAND_CHARS} characters", True
        ran = self._run(command)
        return _said(ran), _failed(ran, command)

    async def acall(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        """As `call`, in a thread: a command may take seconds."""
        return await asyncio.to_thread(self.call, tool, arguments)

    def _run(self, command: str) -> Ran:
        try:
            ran = self._lent.box.run(command)
            self._tree = self._lent.box.snapshot()
        except RuntimeError:
            self._lent.box.close()
            self._lent.box = _opened(self._lent.boxes, self._tree)
            return Ran(137, "", "", "lost")
        return ran

    def snapshot(self) -> str:
        """The folder tree as text: equal trees give equal text. What stands below run/ is not kept."""
        return to_text(self._tree)


class TerminalWorld:
    """Opens sessions on tasks known by digest. Sessions share nothing. Raises UsageError where no box can start."""

    def __init__(self, beginnings: Mapping[str, Tree]) -> None:
        """`beginnings`: task digest -> the tree of its box."""
        self._beginnings = dict(beginnings)
        self._boxes = Boxes()

    def session(self, task_digest: str, start: str | None) -> TerminalSession:
        """A session from the snapshot `start`, or from the beginning. UsageError for an unknown task or state."""
        if task_digest not in self._beginnings:
            raise UsageError(f"terminal has no task {task_digest}")
        return TerminalSession(self._boxes, self._beginnings[task_digest] if start is None else from_text(start))

    def beginning(self, task_digest: str) -> str:
        """The snapshot a task begins from. Raises UsageError for an unknown task."""
        if task_digest not in self._beginnings:
            raise UsageError(f"terminal has no task {task_digest}")
        return to_text(self._beginnings[task_digest])

    def tools(self) -> tuple[ToolSpec, ...]:
        """One tool: the shell."""
        return (_TOOL,)

    @contextmanager
    def box(self, tree: Tree) -> Iterator[Box]:
        """A box of one's own in the state `tree`, for checkers and judges."""
        box = _opened(self._boxes, tree)
        try:
            yield box
        finally:
            self._boxes.give_back(box)

    def health(self, snapshot: str) -> Health:
        """What the box's own health script says of a snapshot. Raises UsageError where it is none."""
        with self.box(from_text(snapshot)) as box:
            return health_in(box)

    def close(self) -> None:
        """End the boxes that nobody uses."""
        self._boxes.close()


def health_in(box: Box) -> Health:
    """Run the health script that stands in a box."""
    ran = box.run(HEALTH, limit_s=HEALTH_S)
    lines = (line.split(" ", 1) for line in ran.out.splitlines() if line.startswith(("ok ", "FAIL ")))
    found: dict[str, bool] = {}
    for word, name in lines:
        found[name] = found.get(name, True) and word == "ok"
    return Health(found)


def _opened(boxes: Boxes, tree: Tree) -> Box:
    """A box in the state `tree`; one that was lost while it waited is replaced."""
    box = boxes.borrow()
    try:
        box.reset(tree)
    except RuntimeError:
        box.close()
        box = Box()
        box.reset(tree)
    return box


def _said(ran: Ran) -> str:
    parts = [f"exit code {ran.code}", ran.out.rstrip("\n")]
    parts += ["stderr:", ran.err.rstrip("\n")] if ran.err.strip() else []
    parts += [f"[{_SAID[ran.ended]}]"] if ran.ended in _SAID else []
    return "\n".join(part for part in parts if part)


def _failed(ran: Ran, command: str) -> bool:
    if ran.ended != "exit":
        return True
    return ran.code > 1 or (ran.code == 1 and not _SAYS_NO.search(command))


__all__ = ["HEALTH_S", "SCENARIOS", "Entry", "Health", "TerminalSession", "TerminalWorld", "health_in"]
