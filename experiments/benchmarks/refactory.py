"""The refactory benchmark: students' wrong programs, to be repaired, split by the question that they answer.

Source: the programs of Hu et al., "Re-factoring based program repair applied to programming assignments" (ASE 2019),
as packaged in debugging-benchmark 0.0.1. Of that package only data files are read.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import Field

from controllers import Checker, Worker
from controllers.checkers.clean import CleanChecker
from controllers.checkers.clock import ClockChecker
from controllers.checkers.refactory import RefactoryChecker
from controllers.checkers.security import SecurityChecker
from controllers.history import Seen
from controllers.loading import load_worker
from controllers.workers.chat import ChatConfig
from controllers.workers.refactory import RefactoryWorker
from controllers.worlds import refactory_record
from controllers.worlds.refactory import Exercise, Loaded, RefactoryWorld, Tests, data_folder
from controllers.worlds.refactory_questions import BENCHMARK, DIRECTIVES, QUESTIONS, prompt
from experiments.chat_worker import chat_worker
from experiments.config import RunConfig
from experiments.held_out import FamilySplits, require_known
from judges import Judge
from judges.refactory import RefactoryJudge, hidden_calls
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import Directive, Objective, Probability, Split, Task

if TYPE_CHECKING:
    import dspy

__all__ = ["RefactoryBenchmark"]

RIGHT: Final = frozenset(
    (
        "297428dd19eca8b575487c7e",
        "331a4d47dc8873246e695709",
        "4f3d6e3a0f3ccfeeb5c1eaec",
        "68f46fe041d63beff02f74ba",
        "7339f8f4d46ff9b79dda4c82",
        "73e2e31ee93cb5738c4a0998",
        "7b7958f4333c43baf7587690",
        "8ba589cb7adf2cf7fddf661a",
        "9c8c9335373e0ab5ffcebb38",
        "f2f3ddf1b58cc5a26658c3e2",
        "ff57c68c6b30520fc5664ac1",
    )
)
"""Tasks left out because their program passes every visible and hidden test: it is not wrong. Found by judging all
distinct programs; the slow test `test_only_the_right_ones_are_left_out` does it again."""
SYSTEM: Final = "You repair Python programs. You answer with the whole repaired program in one ```python block."
ATTEMPTS: Final = 3
"""Attempts of an episode that the objectives' scales are made for."""


class RefactoryConfig(RunConfig):
    """What a user may choose. Questions that are neither dev nor holdout are the search split."""

    dev_questions: tuple[int, ...] = (3,)
    holdout_questions: tuple[int, ...] = (2,)
    turns: int = Field(default=12, ge=1)
    "test runs of one attempt of the scripted worker"
    noise: Probability = 0.15
    compliance: Probability = 0.8


class _Case(NamedTuple):
    """A task with all that only the adapter and the world may know of it."""

    task: Task
    exercise: Exercise

    @property
    def families(self) -> tuple[str, ...]:
        return _named(self.exercise.question)


class RefactoryBenchmark:
    """Stateless repair of small programs, with visible tests to check and hidden ones to judge.

    Raises UsageError where the package is not installed, and for splits that leave one without a question.
    """

    id = BENCHMARK
    directives: tuple[Directive, ...] = DIRECTIVES
    reference = (
        "none at this setting: Hu et al. (ASE 2019) published the programs, and a tool that repairs them by search"
    )

    def __init__(self, config: RefactoryConfig | None = None) -> None:
        self.config = config = config or RefactoryConfig()
        _check(config)
        dev, holdout = _named(*config.dev_questions), _named(*config.holdout_questions)
        self._splits = FamilySplits(BENCHMARK, lambda: self._cases, dev=dev, holdout=holdout)
        self._folder = data_folder()
        self._others: dict[int, tuple[str, ...]] = {}

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """`correct` is the judge's; the others are sums, scaled so that three full attempts are not the worst.

        `cheap` is left out: a test run costs a turn, which `fast` counts.
        """
        calls = float(ATTEMPTS * self.config.turns)
        return (
            Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge"),
            Objective(name="fast", unit="turns", worst=calls * 4 / 3, best=0.0, over="episode"),
            Objective(name="secure", unit="weighted issues", worst=3.0, best=0.0, over="lineage"),
            Objective(name="clean", unit="calls", worst=calls / 2, best=0.0, over="episode"),
        )

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """The tasks of a split, by digest: a prefix is a random sample. Raises UsageError for `production`."""
        return self._splits.tasks(split)

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """Task digest -> its question. For reports only."""
        return self._splits.families(split)

    @cached_property
    def world(self) -> RefactoryWorld:
        """The wrong programs and the visible tests, shared by worker and checker."""
        exercises = {case.task.digest: case.exercise for case in self._cases}
        return RefactoryWorld(exercises, {number: self._loaded(number) for number in QUESTIONS})

    def worker(self, name: str | None, lm: dspy.LM | None) -> Worker:
        """The student, `chat` (the model `lm`, answering at once), or the worker of that name. Raises UsageError."""
        config = self.config
        if name == "chat":
            return chat_worker(lm, ChatConfig(system=SYSTEM, turns_limit=config.turns))
        if name not in (None, BENCHMARK):
            return load_worker(name)
        return RefactoryWorker(
            self.world, self._correct, noise=config.noise, compliance=config.compliance, turns=config.turns
        )

    def checkers(self) -> tuple[Checker, ...]:
        """One per objective."""
        return (RefactoryChecker(self.world), ClockChecker("turns"), SecurityChecker(), CleanChecker())

    def judge(self) -> Judge:
        """Visible and hidden tests against the reference programs."""
        return RefactoryJudge(self.world, {number: self.hidden(number) for number in QUESTIONS})

    def hidden(self, number: int) -> Mapping[str, Tests]:
        """Group -> the hidden tests of a question. For the judge, and for what tests the judge."""
        return {group: self._answers(number, calls) for group, calls in hidden_calls(number).items()}

    def programs(self, number: int) -> Mapping[str, str]:
        """Digest -> every distinct wrong program of a question, with those that are left out because they are right."""
        return {case.task.digest: case.exercise.program for case in self._of(number).values()}

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """What traces and failing tests show, under `refactory.`; see `controllers/worlds/refactory_record.py`."""
        return refactory_record.features(history)

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """For each action: whether no change of its kind was tried in the lineage."""
        return refactory_record.untried(history)

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The text that realises an action after these attempts. Raises UsageError for an unknown action."""
        return refactory_record.directive_text(action, history)

    def probes(self) -> Sequence[tuple[str, Task, str, bool]]:
        """For the first task of each question of search and dev: the reference passes.

        For the first task of all, its own program, silence, and a table of the visible tests and their answers fail.
        """
        cases = (*self._splits.cases("search"), *self._splits.cases("dev"))
        firsts = {case.exercise.question: case for case in reversed(cases)}
        found: list[tuple[str, Task, str, bool]] = []
        for number, case in sorted(firsts.items()):
            found.append(("reference", case.task, _fenced(self._reference(number)), True))
        first = cases[0]
        table = table_of(self.world.tests(first.exercise.question))
        found.append(("table of the visible tests", first.task, _fenced(table), False))
        found.append(("unchanged program", first.task, _fenced(first.exercise.program), False))
        found.append(("no output", first.task, "", False))
        return found

    def _code(self, number: int, kind: str) -> list[Path]:
        return sorted((self._folder / f"question_{number}" / "code" / kind).glob("*.py"))

    def _reference(self, number: int) -> str:
        return self._code(number, "reference")[0].read_text(encoding="utf-8")

    def _prelude(self, number: int) -> str:
        file = self._folder / f"question_{number}" / "code" / "global.py"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def _correct(self, number: int) -> tuple[str, ...]:
        """Other students' correct programs, without those that are the reference."""
        if number not in self._others:
            reference = _plain(self._reference(number))
            texts = dict.fromkeys(file.read_text(encoding="utf-8") for file in self._code(number, "correct"))
            self._others[number] = tuple(text for text in texts if _plain(text) != reference)
        return self._others[number]

    def _answers(self, number: int, calls: Sequence[str]) -> Tests:
        """What the reference answers: a program of the package, which is trusted as much as any that is installed."""
        space: dict[str, object] = {}
        exec(f"{self._prelude(number)}\n{self._reference(number)}", space)
        return {call: repr(eval(call, dict(space))) for call in calls}

    def _loaded(self, number: int) -> Loaded:
        return Loaded(self._prelude(number), self._answers(number, QUESTIONS[number].visible()))

    @cached_property
    def _cases(self) -> tuple[_Case, ...]:
        found = (case for number in QUESTIONS for case in self._of(number).values() if case.task.digest not in RIGHT)
        return tuple(found)

    def _of(self, number: int) -> dict[str, _Case]:
        """The distinct programs of a question: of those that differ in layout and comments alone, the first."""
        found: dict[str, _Case] = {}
        for file in self._code(number, "wrong"):
            text = file.read_text(encoding="utf-8")
            plain = _plain(text)
            if plain not in found:
                digest = digest_of(BENCHMARK, number, plain)
                told = prompt(QUESTIONS[number], self._prelude(number), text)
                task = Task(digest=digest, benchmark=BENCHMARK, prompt=told)
                found[plain] = _Case(task, Exercise(number, text))
        return found


def _check(config: RefactoryConfig) -> None:
    dev, holdout = config.dev_questions, config.holdout_questions
    require_known(BENCHMARK, "question", (*dev, *holdout), QUESTIONS)
    both = sorted(set(dev) & set(holdout))
    if both:
        raise UsageError(f"splits overlap: question {both[0]} is in both dev_questions and holdout_questions")
    if not dev or not holdout or len({*dev, *holdout}) == len(QUESTIONS):
        raise UsageError("refactory: search, dev and holdout need a question each")


def _named(*questions: int) -> tuple[str, ...]:
    """Questions as families."""
    return tuple(f"question {number}" for number in questions)


def _plain(program: str) -> str:
    return ast.unparse(ast.parse(program))


def _fenced(program: str) -> str:
    return f"```python\n{program.strip()}\n```"


def table_of(tests: Tests) -> str:
    """A program that knows the visible tests by heart, and answers None to anything else."""
    table: dict[str, list[str]] = {}
    for call, expected in tests.items():
        name, _, arguments = call.partition("(")
        table.setdefault(name, []).append(f"(({arguments[:-1]},), {expected})")
    found = "next((answer for asked, answer in [{}] if asked == given), None)"
    return "\n".join(
        f"def {name}(*given):\n    return {found.format(', '.join(rows))}\n" for name, rows in table.items()
    )
