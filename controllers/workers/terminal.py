"""The terminal technician: a scripted, stochastic, seeded worker that sees the ticket, the steer and its shell.

It goes through the places where a box can be at fault in an order of its own, one shell command a turn, mends what
looks broken and runs the health script after each mend. It knows the kinds of fault there are, not which ones a box
has. It works hastily: at the rate `noise` each, it misreads a screen, mistypes a mend or does something rash instead
(opens all modes, deletes all of var/, cuts off a line), and fails to see that its change made things worse. It obeys
a steer with probability `compliance`, by the words it finds in the text. It remembers nothing between attempts.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from controllers.simulating import Begun, Call, Calls, Manner, Steps, wishes_in
from controllers.worlds import World
from controllers.worlds.terminal import SCENARIOS
from controllers.worlds.terminal_faults import Atom
from controllers.worlds.terminal_layers import HEALTH, LAYER_NAMES, LOOKS, SAVED, TOOL, layers_in
from signatures.records import AttemptContext, AttemptResult, Task, WorkerFingerprint

__all__ = ["TerminalWorker"]

_SAVE: Final = (
    f"rm -rf {SAVED}/; mkdir {SAVED}/; cp -a [a-z]* {SAVED}/ 2>/dev/null; rm -rf {SAVED}/run {SAVED}/health; "
)
_UNDO: Final = f"cp -a --remove-destination {SAVED}/. . && rm -rf {SAVED}/"
_OPENED: Final = re.compile(r"^\d*[2367] \./", re.MULTILINE)
"""What a look at modes shows where anybody may write."""
_CLOSE: Final = "find . -type l -o -perm /022 -exec chmod go-w {} +"


class _Technician:
    """One attempt's worth of work, as a generator of commands."""

    def __init__(self, ticket: str, begun: Begun) -> None:
        scenario = next((one for one in SCENARIOS.values() if one.ticket == ticket), None)
        self._atoms: tuple[Atom, ...] = scenario.atoms if scenario else ()
        # a box without jobs has no schedule to look at
        jobs = re.search(r"\bjobs?\b", ticket)
        self._places = {name: (name,) for name in LAYER_NAMES if name != "schedule" or jobs}
        self._rng, self._slips = begun.rng, begun.slips
        self._failing = 0

    def job(self, steer: str) -> Steps[bool]:
        """Take back what the steer says, then go round until the box is healthy. What limits it are its turns."""
        wishes = wishes_in(re.split(r"[.;!?\n](?=\s|$)", steer), layers_in)
        if wishes.undo is not None:
            yield _run(_UNDO)
        if (yield from self._healthy()):
            return True
        while True:
            for place in wishes.tour(self._places, self._rng):
                if (yield from self._visit(place)):
                    return True

    def _healthy(self) -> Steps[bool]:
        text = yield _run(HEALTH)
        self._failing = text.count("FAIL ")
        return "ok " in text and not self._failing

    def _visit(self, place: str) -> Steps[bool]:
        """Look, and mend what looks broken; whether the box is healthy then."""
        text = yield _run(LOOKS[place])
        suspects = [
            atom
            for atom in self._atoms
            if atom.layer == place and bool(re.search(atom.sign, text, re.MULTILINE)) != self._slips()
        ]
        if place == "modes" and _OPENED.search(text) and not self._slips():
            yield _run(_CLOSE)
        for atom in suspects:
            before = self._failing
            yield _run(self._typed(atom))
            if (yield from self._healthy()):
                return True
            if self._failing > before and not self._slips():
                yield _run(_UNDO)
                yield from self._healthy()
        return False

    def _typed(self, atom: Atom) -> str:
        """Its mend as it is typed: a slip is a wrong path, or something rash."""
        if not self._slips():
            return _SAVE + atom.mend
        if self._rng.random() < 0.5:
            return _SAVE + atom.mend + "x"
        return _SAVE + _rash(atom)


def _rash(atom: Atom) -> str:
    """What a technician in a hurry does instead of looking closer."""
    if atom.layer == "modes":
        return "chmod -R 777 ."
    if atom.layer == "leftovers":
        return "rm -rf var/*"
    if atom.layer == "links":
        return atom.mend.replace("ln -sfn", "ln -s")
    return f"sed -i '$d' {atom.edits[0].path}"


def _run(command: str) -> Call:
    return Call(TOOL, {"command": command})


class TerminalWorker:
    """Technicians for a terminal world; one is made for each attempt. A simulated worker.

    Deterministic by task, start state, seed and steer text. Raises UsageError for rates outside [0, 1].
    """

    def __init__(self, world: World, *, noise: float = 0.15, compliance: float = 0.8, turns: int = 12) -> None:
        self._world, self._manner = world, Manner("terminal", noise, compliance, turns)

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The name and the three parameters."""
        return self._manner.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One technician's visit, in a thread of its own. The output is the state it leaves."""
        return await asyncio.to_thread(self._attempt, task, context, start)

    def _attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        begun = self._manner.begin(task, context, start)
        calls = Calls(self._world.session(task.digest, start))
        calls.follow(_Technician(task.prompt, begun).job(begun.heard), begun.limit)
        return calls.result()
