"""The refactory world: wrong programs by task, visible tests by question, and a sandbox that runs programs on calls.

It holds no answer but those of the visible tests. The judge brings its own calls; a world runs whatever it is given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from controllers.isolation import SandboxConfig
from controllers.sandbox import Sandbox
from controllers.snippets import extract_code
from signatures.errors import UsageError, WorkerError

DRIVER: Final = Path(__file__).with_name("refactory_driver.py")
STEPS: Final = 5_000
"""Lines that one visible call may execute."""
CPU_S: Final = 2.0
"""Processor seconds of one program. They stop what executes no lines, such as a huge power, on a busy machine too."""
WALL_S: Final = 30.0
"""Seconds of one program, which stop one that sleeps; many times `CPU_S`, for a machine that is busy."""
SANDBOX_S: Final = 900.0
"""Seconds of all programs of one call: more than their own limits let them take: only a busy machine exceeds it."""
MISSING: Final = (
    "benchmark refactory needs the package debugging-benchmark; add it with `uv sync --group benchmarks`"
    " (with pip: `pip install 'tiller[refactory]'`)"
)
Tests = Mapping[str, str]
"""Call -> repr of the value that the reference program gives."""
Outcome = tuple[bool, str]
"""Whether the call gave a value; the repr of it, or the error."""
Report = Sequence[Outcome | None]
"""What each call of a program gave, in order; None: it was not made."""
REMEMBERED: Final = 4096
"""Programs whose visible tests are not run again."""


class Exercise(NamedTuple):
    """What a task's digest stands for."""

    question: int
    program: str
    "the wrong program"


class Loaded(NamedTuple):
    """A question's data: the lines that stand before each program, and the visible tests."""

    prelude: str
    tests: Tests


def data_folder() -> Path:
    """Where the installed package keeps the students' programs; its modules are not imported. Raises UsageError."""
    spec = find_spec("debugging_benchmark")
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    for place in places:
        if (folder := Path(place) / "refactory").is_dir():
            return folder
    raise UsageError(MISSING)


def agrees(outcome: Outcome | None, expected: str) -> bool:
    """Whether a call gave exactly the expected value: True is not 1, a tuple is not a list."""
    return outcome == (True, expected)


def passed(report: Report, tests: Tests) -> int:
    """How many of the tests a report passes."""
    return sum(agrees(outcome, expected) for outcome, expected in zip(report, tests.values(), strict=True))


def failures(report: Report, tests: Tests) -> list[str]:
    """One line per failing test: `CALL: expected VALUE, got VALUE`, `..., raised ERROR` or `..., not run`."""
    lines = []
    for (call, expected), outcome in zip(tests.items(), report, strict=True):
        if not agrees(outcome, expected):
            what = "not run" if outcome is None else f"{'got' if outcome[0] else 'raised'} {outcome[1]}"
            lines.append(f"{call}: expected {expected}, {what}")
    return lines


class RefactoryWorld:
    """Runs programs, each in a process of its own, all of one call of `run` in one sandbox."""

    def __init__(
        self, exercises: Mapping[str, Exercise], questions: Mapping[int, Loaded], *, sandbox: Sandbox | None = None
    ) -> None:
        """`exercises`: by task digest."""
        self._exercises = dict(exercises)
        self._questions = dict(questions)
        self._tested: dict[tuple[int, str], Report] = {}
        self._sandbox = sandbox or Sandbox(SandboxConfig(memory_bytes=256 << 20, wall_s=SANDBOX_S))

    @cached_property
    def isolation(self) -> str:
        """How the programs are confined."""
        return self._sandbox.isolation()

    def exercise(self, task_digest: str) -> Exercise:
        """The question and the wrong program of a task. Raises UsageError for an unknown task."""
        if task_digest not in self._exercises:
            raise UsageError(f"refactory has no task {task_digest}")
        return self._exercises[task_digest]

    def question_of(self, task_digest: str) -> int | None:
        """The number of a task's question, None for an unknown task."""
        found = self._exercises.get(task_digest)
        return None if found is None else found.question

    def tests(self, question: int) -> Tests:
        """The visible tests of a question."""
        return self._questions[question].tests

    def code_of(self, output: str) -> str:
        """The program in an output."""
        return extract_code(output)

    async def tested(self, question: int, program: str) -> Report:
        """What a program gives for the visible tests, in their order: run once, since the answer is always the same."""
        key = (question, program)
        if key not in self._tested:
            if len(self._tested) >= REMEMBERED:
                self._tested.clear()
            [self._tested[key]] = await self.run(question, [program], tuple(self.tests(question)))
        return self._tested[key]

    async def run(
        self, question: int, programs: Sequence[str], calls: Sequence[str], *, steps: int = STEPS
    ) -> list[Report]:
        """For each program what each call gives.

        A call is stopped after `steps` lines; after two such calls a program's others are not made. Deterministic, but
        for what executes no lines and is stopped by the clock. Raises WorkerError where the sandbox itself failed, or
        did not get through in its time.
        """
        job = {
            "programs": [program.encode("utf-8", "replace").decode() for program in programs],
            "prelude": self._questions[question].prelude,
            "calls": list(calls),
            "steps": steps,
            "cpu_s": CPU_S,
            "wall_s": WALL_S,
        }
        files = {"driver.py": DRIVER.read_text(encoding="utf-8"), "job.json": json.dumps(job)}
        done = await self._sandbox.run(files, argv=("-S", "-E", "driver.py"))
        if 0 < done.exit_code < 128 and done.ended_by == "exit":  # a signal may be a program's own doing
            raise WorkerError(f"the driver of refactory failed: {done.stderr.strip()[-500:]}", retryable=True)
        if done.ended_by == "wall":
            raise WorkerError("refactory: the programs were not through in the time of the sandbox", retryable=True)
        lines = done.stdout.splitlines()[: len(programs)]
        reports = [_report(line) for line in lines]
        return reports + [[None] * len(calls)] * (len(programs) - len(reports))


def _report(line: str) -> Report:
    return [None if one is None else (bool(one[0]), str(one[1])) for one in json.loads(line)]
