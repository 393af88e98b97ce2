"""Commands: they wire a benchmark, a worker, a search and MLflow together, and print what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from controllers import Checker, Worker
from controllers.history import Seen
from judges import Judge
from signatures.records import Directive, Objective, Split, Task

if TYPE_CHECKING:
    import dspy


class Benchmark(Protocol):
    """An adapter: tasks, default worker, checkers, judge, table of actions, objectives. Never a loop of its own."""

    @property
    def id(self) -> str:
        """The file name in `experiments/benchmarks/`."""

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is measured, `correct` first, with scale and reference point."""

    @property
    def directives(self) -> tuple[Directive, ...]:
        """The table of actions, at most eight."""

    @property
    def reference(self) -> str:
        """A published reference, or what was measured before, in one line."""

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """The tasks of a split in a fixed order; splits are disjoint by family. Raises UsageError."""

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """Task digest -> families it belongs to. For reports only; never shown to a policy."""

    def worker(self, name: str | None, lm: dspy.LM | None) -> Worker:
        """The benchmark's own worker, `chat` (the model `lm`), or the one of that name or `package.module:Class`."""

    def checkers(self) -> tuple[Checker, ...]:
        """One deployable checker per objective."""

    def judge(self) -> Judge:
        """The terminal scorer."""

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """The benchmark's own observation features of the attempts so far (names start with its own prefix)."""

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """For each action that points somewhere: whether the lineage has not looked there yet."""

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The text that realises an action of the table after these attempts."""

    def probes(self) -> Sequence[tuple[str, Task, str, bool]]:
        """Known-good and known-bad outputs: (name, task, output, whether the judge must pass it)."""
