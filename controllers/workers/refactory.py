"""The refactory student: a scripted, stochastic, seeded worker that repairs a program by small changes.

It runs the visible tests on the program it starts from, then on a few changed copies of it, one run a turn: each has
one small change, or two, drawn by kind and place. Half the first changes are of a kind that the first failing test
makes it think of (`clue`); beyond that it has no idea of which is right. It knows one correct program of another
student, drawn anew for each attempt, and may put a statement of that in. It keeps the copy that passes most, and stops
at one that passes all. At the rate `noise` it overlooks what a run shows. It obeys a steer with probability
`compliance`, by the words it finds in the text: then the first change of each copy is of a kind that was named. It
remembers nothing between attempts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from controllers.simulating import Begun, Call, Manner, event_of, result_of
from controllers.worlds.refactory import RefactoryWorld, Report, Tests, failures, passed
from controllers.worlds.refactory_edits import Edit, changed, edits, parsed
from controllers.worlds.refactory_fragments import Fragments
from controllers.worlds.refactory_record import RUN, clue, failing, kinds_in
from signatures.records import AttemptContext, AttemptResult, Task, TraceEvent, WorkerFingerprint

__all__ = ["RefactoryWorker"]

SECOND: Final = 0.4
"""How often a changed copy gets a second change."""
THOUGHT: Final = 0.5
"""How often a first change is of a kind that the first failing test makes it think of."""
SHOWN: Final = 2
"""Failing tests that a test run prints."""
_TRIES: Final = 20
"""Draws for a copy that was not drawn before; then there are fewer copies."""


class _Copy(NamedTuple):
    """A program to be tested, and the changes that made it of the start."""

    program: str
    changes: tuple[Edit, ...] = ()


class _Run(NamedTuple):
    """What the visible tests say of a copy."""

    copy: _Copy
    passed: int
    failures: tuple[str, ...]
    ran: bool
    "whether any test gave a value"


class _Idea(NamedTuple):
    """What a student has in mind: kinds of change that the steer named, and that a test suggests; another's program."""

    heard: frozenset[str]
    clue: tuple[str, ...]
    known: Fragments


class RefactoryWorker:
    """Students for a refactory world. Deterministic by task, start state, seed and steer text.

    Raises UsageError for rates outside [0, 1].
    """

    def __init__(
        self,
        world: RefactoryWorld,
        others: Callable[[int], Sequence[str]],
        *,
        noise: float = 0.15,
        compliance: float = 0.8,
        turns: int = 12,
    ) -> None:
        """`others`: question -> correct programs of other students."""
        self._world, self._others = world, others
        self._manner = Manner("refactory", noise, compliance, turns)

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The name and the three parameters."""
        return self._manner.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One go at a repair. Output and state are the program it ends with."""
        question, wrong = self._world.exercise(task.digest)
        begun = self._manner.begin(task, context, start)
        first = wrong if start is None else self._world.code_of(start)
        runs = await self._work(question, first, begun)
        total = len(self._world.tests(question))
        counts = [-1 if begun.slips() else run.passed for run in runs]
        given = first == wrong  # known to be wrong, whatever the tests say
        made = _made(counts, total, given=given)
        best = max(range(made), key=lambda at: (counts[at], at > 0 and given, -at), default=None)
        program = first if best is None else runs[best].copy.program
        return result_of(program, [_event(turn, run, total) for turn, run in enumerate(runs[:made])])

    async def _work(self, question: int, program: str, begun: Begun) -> list[_Run]:
        """The test runs that the student would make if none stopped it: on the start, then on changed copies."""
        others, tests = self._others(question), self._world.tests(question)
        known = Fragments(begun.rng.choice(others)) if others else Fragments()
        first = _run(_Copy(program), await self._world.tested(question, program), tests)
        idea = _Idea(kinds_in(begun.heard), clue(failing("\n".join(first.failures))), known)
        copies = _copies(program, begun.limit - 1, rng=begun.rng, idea=idea)
        reports = await self._world.run(question, [copy.program for copy in copies], tuple(tests)) if copies else []
        runs = [first, *(_run(copy, report, tests) for copy, report in zip(copies, reports, strict=True))]
        return runs[: begun.limit]


def _made(counts: Sequence[int], total: int, *, given: bool) -> int:
    """Runs until one is seen to pass all; that the given program does is no reason to stop."""
    stops = (at + 1 for at, count in enumerate(counts) if count == total and not (at == 0 and given))
    return next(stops, len(counts))


def _copies(program: str, wanted: int, *, rng: random.Random, idea: _Idea) -> list[_Copy]:
    """Different changed copies of a program, as many as wanted where it admits them."""
    tree = parsed(program)
    admitted = {} if tree is None else edits(tree, idea.known)
    found: dict[str, _Copy] = {}
    for _ in range(wanted * _TRIES if admitted else 0):
        if tree is None or len(found) >= wanted:
            break
        thought = frozenset(idea.clue) if rng.random() < THOUGHT else frozenset()
        first = _drawn(admitted, rng, idea.heard or thought)
        copy = _Copy(changed(tree, first), (first,))
        if rng.random() < SECOND:
            copy = _again(copy, rng, idea.known)
        if copy.program != program:
            found.setdefault(copy.program, copy)
    return list(found.values())


def _again(copy: _Copy, rng: random.Random, known: Fragments) -> _Copy:
    """The copy with a second change, of any kind."""
    tree = parsed(copy.program)
    admitted = {} if tree is None else edits(tree, known)
    if tree is None or not admitted:
        return copy
    second = _drawn(admitted, rng, frozenset())
    return _Copy(changed(tree, second), (*copy.changes, second))


def _drawn(admitted: Mapping[str, list[Edit]], rng: random.Random, wanted: frozenset[str]) -> Edit:
    kinds = [kind for kind in admitted if kind in wanted] or list(admitted)
    return rng.choice(admitted[rng.choice(kinds)])


def _run(copy: _Copy, report: Report, tests: Tests) -> _Run:
    ran = any(outcome is not None and outcome[0] for outcome in report)
    return _Run(copy, passed(report, tests), tuple(failures(report, tests)), ran)


def _event(turn: int, run: _Run, total: int) -> TraceEvent:
    changes = run.copy.changes
    arguments = {
        "changes": [edit.kind for edit in changes],
        "lines": [edit.line for edit in changes],
        "program": run.copy.program,
    }
    text = "\n".join((f"{run.passed} of {total} tests passed", *run.failures[:SHOWN]))
    return event_of(turn, Call(RUN, arguments), text, failed=not run.ran)
