"""The terminal technician: a scripted, stochastic, seeded worker that sees the ticket, the steer and its shell.

It goes through the places where a box can be at fault in an order of its own, one shell command a turn, mends what
looks broken and runs the health script after each mend. It knows the kinds of fault there are, not which ones a box
has. It works hastily: at the rate `noise` each, it misreads a screen, mistypes a mend or does something rash instead
(opens all modes, deletes all of var/, cuts off a line), and fails to see that its change made things worse. It obeys
a steer with probability `compliance`, by the words it finds in the text. It remembers nothing between attempts.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Generator
from typing import Final, NamedTuple

from controllers.worlds import Session, World
from controllers.worlds.terminal import SCENARIOS
from controllers.worlds.terminal_faults import Atom
from controllers.worlds.terminal_layers import HEALTH, LAYER_NAMES, LOOKS, SAVED, TOOL, layers_in
from signatures.digest import canonical_json, digest_text, seed_of
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Cost, Task, TraceEvent, WorkerFingerprint

__all__ = ["TerminalWorker"]

_Steps = Generator[str, str, bool]
"""Yields commands, is sent what came back, ends with whether anything was changed."""
_SAVE: Final = (
    f"rm -rf {SAVED}/; mkdir {SAVED}/; cp -a [a-z]* {SAVED}/ 2>/dev/null; rm -rf {SAVED}/run {SAVED}/health; "
)
_UNDO: Final = f"cp -a --remove-destination {SAVED}/. . && rm -rf {SAVED}/"
_OPENED: Final = re.compile(r"^\d*[2367] \./", re.MULTILINE)
"""What a look at modes shows where anybody may write."""
_CLOSE: Final = "find . -type l -o -perm /022 -exec chmod go-w {} +"
_AVOID: Final = re.compile(
    r"\b(do not|don't|avoid|skip|no need|leave|called|failed|already (checked|fine|ok))\b", re.IGNORECASE
)
_TAKE_BACK: Final = re.compile(r"\b(undo|revert|roll(ed)? back|take back)\b", re.IGNORECASE)


class _Wishes(NamedTuple):
    """What a steer's text asks for, in layers, and whether to take the last change back."""

    first: frozenset[str]
    last: frozenset[str]
    undo: bool


def _wishes(text: str) -> _Wishes:
    """Read a steer sentence by sentence: the layers it names come first, or last (warned of, or done)."""
    first, last, undo = frozenset[str](), frozenset[str](), False
    for sentence in re.split(r"[.;!?\n](?=\s|$)", text):
        if _TAKE_BACK.search(sentence):
            undo = True
        elif _AVOID.search(sentence):
            last |= layers_in(sentence)
        else:
            first |= layers_in(sentence)
    return _Wishes(first - last, last, undo)


class _Technician:
    """One attempt's worth of work, as a generator of commands."""

    def __init__(self, ticket: str, rng: random.Random, noise: float) -> None:
        scenario = next((one for one in SCENARIOS.values() if one.ticket == ticket), None)
        self._atoms: tuple[Atom, ...] = scenario.atoms if scenario else ()
        # a box without jobs has no schedule to look at
        jobs = re.search(r"\bjobs?\b", ticket)
        self._places = [name for name in LAYER_NAMES if name != "schedule" or jobs]
        self._rng, self._noise = rng, noise
        self._failing = 0

    def job(self, steer: str) -> _Steps:
        """Take back what the steer says, then go round until the box is healthy. What limits it are its turns."""
        wishes = _wishes(steer)
        if wishes.undo:
            yield _UNDO
        if (yield from self._healthy()):
            return True
        while True:
            order = list(self._places)
            self._rng.shuffle(order)
            for place in sorted(order, key=lambda place: _rank(place, wishes)):
                if (yield from self._visit(place)):
                    return True

    def _slips(self) -> bool:
        return self._rng.random() < self._noise

    def _healthy(self) -> _Steps:
        text = yield HEALTH
        self._failing = text.count("FAIL ")
        return "ok " in text and not self._failing

    def _visit(self, place: str) -> _Steps:
        """Look, and mend what looks broken; whether the box is healthy then."""
        text = yield LOOKS[place]
        mends = [
            (atom, atom.mend)
            for atom in self._atoms
            if atom.layer == place and bool(re.search(atom.sign, text, re.MULTILINE)) != self._slips()
        ]
        if place == "modes" and _OPENED.search(text) and not self._slips():
            yield _CLOSE
        for atom, mend in mends:
            before = self._failing
            yield self._typed(atom, mend)
            if (yield from self._healthy()):
                return True
            if self._failing > before and not self._slips():
                yield _UNDO
                yield from self._healthy()
        return False

    def _typed(self, atom: Atom, mend: str) -> str:
        """The mend as it is typed: a slip is a wrong path, or something rash."""
        if not self._slips():
            return _SAVE + mend
        if self._rng.random() < 0.5:
            return _SAVE + mend + "x"
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


def _rank(place: str, wishes: _Wishes) -> int:
    return -1 if place in wishes.first else int(place in wishes.last)


class TerminalWorker:
    """Technicians for a terminal world; one is made for each attempt. A simulated worker.

    Deterministic by task, start state, seed and steer text. Raises UsageError for rates outside [0, 1].
    """

    def __init__(self, world: World, *, noise: float = 0.15, compliance: float = 0.8, turns: int = 12) -> None:
        if not (0 <= noise <= 1 and 0 <= compliance <= 1 and turns >= 1):
            raise UsageError(
                f"terminal worker: noise {noise} and compliance {compliance} must be within [0, 1], turns {turns} >= 1"
            )
        self._world, self._noise, self._compliance, self._turns = world, noise, compliance, turns

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The name and the three parameters."""
        params = {"noise": self._noise, "compliance": self._compliance, "turns": self._turns}
        return WorkerFingerprint(name="terminal", params={name: str(value) for name, value in params.items()})

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One technician's visit, in a thread of its own. The output is the state it leaves."""
        return await asyncio.to_thread(self._attempt, task, context, start)

    def _attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        text = context.steer.text
        rng = random.Random(seed_of(task.digest, digest_text(start or ""), context.seed, text))
        heard = text if rng.random() < self._compliance else ""
        limit = self._turns if context.turns_limit is None else context.turns_limit
        session = self._world.session(task.digest, start)
        trace = _work(session, _Technician(task.prompt, rng, self._noise).job(heard), limit)
        state = session.snapshot()
        return AttemptResult(output=state, state=state, trace=trace, cost=Cost(turns=len(trace)))


def _work(session: Session, steps: _Steps, limit: int) -> tuple[TraceEvent, ...]:
    """Run the commands that `steps` asks for, at most `limit`."""
    events: list[TraceEvent] = []
    try:
        command = next(steps)
        while len(events) < limit:
            text, failed = session.call(TOOL, {"command": command})
            asked = canonical_json({"command": command})
            events.append(
                TraceEvent(turn=len(events), kind="tool", name=TOOL, arguments=asked, text=text, failed=failed)
            )
            command = steps.send(text)
    except StopIteration:
        pass
    finally:
        steps.close()
    return tuple(events)
