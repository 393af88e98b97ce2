"""From what a client calls its task to a task: hashed, and never one that is kept for judging."""

from __future__ import annotations

from typing import Final

from experiments import Benchmark
from experiments.harvest.tasks import content_key
from experiments.production.prompts import asked_task
from experiments.serve.bodies import TaskGiven
from signatures.errors import UsageError
from signatures.records import Split, Task

_OPEN: Final[tuple[Split, ...]] = ("production", "search")
_APART: Final[tuple[Split, ...]] = ("dev", "holdout")


class Tasks:
    """The tasks of a benchmark, by what a client may name them by."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark.id
        self._open = {task.digest: task for split in _OPEN for task in _there(benchmark, split)}
        said = {content_key(task.prompt) for task in self._open.values()}
        self._apart: dict[str, Split] = {}
        for split in _APART:
            for task in _there(benchmark, split):
                keys = {content_key(task.digest), content_key(task.prompt)}
                self._apart.update(dict.fromkeys(keys - said, split))

    def of(self, given: TaskGiven) -> Task:
        """The benchmark's own task where the id is its digest and the prompt is its prompt, else one of that text.

        Raises UsageError for a task of the dev or holdout split, in whatever letter case, spacing and Unicode form:
        searches learn from production.
        """
        for said in (given.id, given.prompt):
            split = None if said is None else self._apart.get(content_key(said))
            if split is not None:
                raise UsageError(f"task: it is one of the {split} split, which is kept for judging")
        known = self._open.get(given.id or "")
        if known is not None and known.prompt == given.prompt:
            return known
        return asked_task(self.benchmark, given.prompt, given.id)


def _there(benchmark: Benchmark, split: Split) -> tuple[Task, ...]:
    try:
        return benchmark.tasks(split)
    except UsageError:  # most benchmarks have no production split
        return ()
