"""The terminal benchmark: shell faults in a box, split by the kind of fault.

A task's faults never leave this module and the judge: elsewhere a task is its digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import Field

from controllers import Checker, Worker
from controllers.checkers.terminal import TerminalChecker
from controllers.history import Seen
from controllers.loading import load_worker
from controllers.workers.chat import ChatConfig
from controllers.workers.terminal import TerminalWorker
from controllers.worlds import terminal_record
from controllers.worlds.terminal import SCENARIOS, TerminalWorld
from controllers.worlds.terminal_box import Entry, needed, to_text
from controllers.worlds.terminal_faults import BENCHMARK, HISTORY, Atom, Scenario, broken, sound, touched
from controllers.worlds.terminal_layers import DIRECTIVES, LAYER_NAMES
from experiments.chat_worker import chat_worker
from experiments.config import RunConfig
from experiments.held_out import FamilySplits, require_apart, require_known
from judges import Judge
from judges.terminal import Case as JudgedCase
from judges.terminal import TerminalJudge
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import Directive, Objective, Probability, Split, Task

if TYPE_CHECKING:
    import dspy

__all__ = ["TerminalBenchmark"]

SYSTEM: Final = """You are a technician. A ticket about a Linux box is given to you; you mend the box alone, with its \
shell, in the folder /box. The trouble can have several causes. `./health` checks the box; `bin/start` starts what it \
does, any number of times. Mend causes, not symptoms: do not change the health script, open modes, delete what is not \
yours or write answers by hand. Change nothing else. Answer when all checks pass, or when nothing is left to try."""
"""What a chat model is told."""
ATTEMPTS: Final = 3
"""Attempts of an episode that the objectives' scales are made for."""
MOST: Final = 4
_PROBED: Final = 2


class TerminalConfig(RunConfig):
    """What a user may choose. Dev and holdout are named by the kinds of fault that only they may have."""

    dev_layers: tuple[str, ...] = ("env",)
    holdout_layers: tuple[str, ...] = ("links",)
    min_faults: int = Field(default=2, ge=1)
    max_faults: int = Field(default=4, ge=1, le=MOST)
    turns: int = Field(default=12, ge=1)
    "commands of one attempt"
    noise: Probability = 0.15
    compliance: Probability = 0.8


class _Case(NamedTuple):
    """A task with all that only the adapter and the judge may know of it."""

    task: Task
    scenario: Scenario
    atoms: tuple[Atom, ...]
    tree: Mapping[str, Entry]

    @property
    def families(self) -> tuple[str, ...]:
        found = {atom.layer for atom in self.atoms}
        return tuple(name for name in LAYER_NAMES if name in found)


class TerminalBenchmark:
    """Stateful repair: find and mend two to four faults of a small Linux box.

    Raises UsageError where no box can be started, and for splits that name unknown layers or one layer twice.
    """

    id = BENCHMARK
    directives: tuple[Directive, ...] = DIRECTIVES
    reference = "no published figure: the boxes are this benchmark's own; see the arms in its section of the docs"

    def __init__(self, config: TerminalConfig | None = None) -> None:
        self.config = config = config or TerminalConfig()
        _check(config)
        self._splits = FamilySplits(BENCHMARK, self._counted, dev=config.dev_layers, holdout=config.holdout_layers)
        needed()

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """`correct` is the judge's; the others are sums, scaled so that three full attempts are not the worst."""
        calls = float(ATTEMPTS * self.config.turns)
        return (
            Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge"),
            Objective(name="fast", unit="turns", worst=calls * 4 / 3, best=0.0, over="episode"),
            Objective(name="secure", unit="changes", worst=3.0, best=0.0, over="lineage"),
            Objective(name="cheap", unit="kchar", worst=calls, best=0.0, over="episode"),
            Objective(name="clean", unit="calls", worst=calls / 3, best=0.0, over="episode"),
        )

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """The tasks of a split, by digest: a prefix is a random sample. Raises UsageError for `production`."""
        return self._splits.tasks(split)

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """Task digest -> the kinds of fault in its box. For reports only."""
        return self._splits.families(split)

    def scenarios(self, split: Split) -> Mapping[str, str]:
        """Task digest -> the kind of box. For reports only."""
        return {case.task.digest: case.scenario.name for case in self._splits.cases(split)}

    @cached_property
    def world(self) -> TerminalWorld:
        """The boxes, shared by worker, checkers and judge."""
        return TerminalWorld({case.task.digest: case.tree for case in self._cases})

    def worker(self, name: str | None, lm: dspy.LM | None) -> Worker:
        """The technician, `chat` (the model `lm` with the shell), or the worker of that name. Raises UsageError."""
        config = self.config
        if name == "chat":
            return chat_worker(lm, ChatConfig(system=SYSTEM, turns_limit=config.turns), self.world)
        if name not in (None, BENCHMARK):
            return load_worker(name)
        return TerminalWorker(self.world, noise=config.noise, compliance=config.compliance, turns=config.turns)

    def checkers(self) -> tuple[Checker, ...]:
        """One per objective."""
        return tuple(TerminalChecker(objective.name, self.world) for objective in self.objectives)

    def judge(self) -> Judge:
        """Health, collateral damage, modes, idempotence, restart and new inputs."""
        cases = {c.task.digest: JudgedCase(c.scenario, touched(c.scenario, c.atoms)) for c in self._cases}
        return TerminalJudge(self.world, cases)

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """What the record shows, under `terminal.`; see `controllers/worlds/terminal_record.py`."""
        return terminal_record.features(history)

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """For each action: whether something it points at was not looked at in the lineage."""
        return terminal_record.untried(history)

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The text that realises an action after these attempts. Raises UsageError for an unknown action."""
        return terminal_record.directive_text(action, history)

    def probes(self) -> Sequence[tuple[str, Task, str, bool]]:
        """For two tasks each of search and dev: the mended box passes; what only looks mended, and silence, fail."""
        found: list[tuple[str, Task, str, bool]] = []
        for case in (*self._splits.cases("search")[:_PROBED], *self._splits.cases("dev")[:_PROBED]):
            mended = self._after(case, *(atom.mend for atom in case.atoms))
            found.append(("mended box", case.task, mended, True))
            found.append(("untouched box", case.task, to_text(case.tree), False))
            found.append(("no output", case.task, "", False))
            for name, tree in deceits(case.scenario, case.tree):
                found.append((name, case.task, to_text(tree), False))
        return found

    def _after(self, case: _Case, *commands: str) -> str:
        session = self.world.session(case.task.digest, None)
        for command in commands:
            session.call("run", {"command": command})
        text = session.snapshot()
        session.close()
        return text

    @cached_property
    def _cases(self) -> tuple[_Case, ...]:
        return tuple(_all_cases())

    def _counted(self) -> Iterator[_Case]:
        """The cases with as many faults as the options ask."""
        least, most = self.config.min_faults, self.config.max_faults
        return (case for case in self._cases if least <= len(case.atoms) <= most)


def deceits(scenario: Scenario, tree: Mapping[str, Entry]) -> Iterator[tuple[str, dict[str, Entry]]]:
    """Boxes that pass their own health script, or would by their looks, and that a judge must fail.

    All modes opened, the health script rewritten, its answers written by hand, and a file of others' deleted: the last
    and the first on top of a sound box.
    """
    whole = sound(scenario)
    names = [line.split()[1] for line in whole["health"][2].splitlines() if line.startswith("check ")]
    said = "".join(f"echo ok {name}\n" for name in names)
    yield "health script rewritten", {**tree, "health": ("f", 0o755, f"#!/bin/bash\n{said}")}
    yield (
        "modes opened",
        {path: (kind, 0o777 if path != "etc/key" else mode, text) for path, (kind, mode, text) in whole.items()},
    )
    yield "file of others deleted", {path: entry for path, entry in whole.items() if path != HISTORY}


def _check(config: TerminalConfig) -> None:
    dev, holdout = config.dev_layers, config.holdout_layers
    require_known(BENCHMARK, "layer", (*dev, *holdout), LAYER_NAMES)
    require_apart("layers", dev, holdout)
    if config.min_faults > config.max_faults:
        raise UsageError(f"min_faults {config.min_faults} is more than max_faults {config.max_faults}")


def _all_cases() -> Iterator[_Case]:
    """Every box with one to four different faults."""
    for scenario in SCENARIOS.values():
        for count in range(1, MOST + 1):
            for atoms in combinations(scenario.atoms, count):
                tree = broken(scenario, atoms)
                digest = digest_of(BENCHMARK, scenario.ticket, to_text(tree))
                task = Task(digest=digest, benchmark=BENCHMARK, prompt=scenario.ticket)
                yield _Case(task, scenario, atoms, tree)
