"""The tasks of an imported corpus as a benchmark, so that `replay_run` can value controllers on them.

Nothing of it can be attempted: it has no worker, no checker and no judge to ask, only the verdicts that were imported.
Its actions are those that recorded attempts were given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from pydantic import BaseModel, ConfigDict

from controllers import Checker, Worker
from controllers.corpus import SqliteCorpus
from controllers.history import Seen
from experiments.importing.building import JUDGE, task_of
from judges import Judge
from judges.records import Judgement
from signatures.errors import JudgeUnavailable, UsageError
from signatures.records import Attempt, Directive, Episode, Objective, Split, Task

if TYPE_CHECKING:
    import dspy

__all__ = ["ImportedBenchmark"]

MOST_ACTIONS: Final = 8


class ImportedOptions(BaseModel):
    """Which corpus, and which of its benchmarks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    corpus: str
    benchmark: str | None = None
    "None: the only one there is"
    judge: str = JUDGE
    "whose verdicts count"


class _Held(NamedTuple):
    """What is read of the corpus."""

    id: str
    tasks: tuple[Task, ...]
    directives: tuple[Directive, ...]


class ImportedBenchmark:
    """Tasks, actions and verdicts as they were recorded. Raises UsageError without the option `corpus`."""

    reference = "imported: see `corpus_run passk`"
    objectives = (Objective(name="correct", unit="score", worst=0.0, best=1.0, over="judge"),)

    def __init__(self, options: ImportedOptions | None = None) -> None:
        if options is None:
            raise UsageError("an imported benchmark is read from a corpus: give the option corpus")
        path = Path(options.corpus)
        if not path.is_file():
            raise UsageError(f"{path}: no such corpus")
        with ThreadPoolExecutor(max_workers=1) as own:  # the caller may be inside a loop
            self._held = own.submit(lambda: asyncio.run(_read(path, options.benchmark))).result()
        self._judge = options.judge

    @property
    def id(self) -> str:
        """The benchmark's id in the corpus."""
        return self._held.id

    @property
    def directives(self) -> tuple[Directive, ...]:
        """The actions that recorded attempts were given."""
        return self._held.directives

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """All tasks are of the search split, by digest. Raises UsageError for another."""
        if split != "search":
            raise UsageError(f"imported episodes are of the search split; there is no {split} split")
        return self._held.tasks

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """A source says nothing of families: each task is one."""
        return {task.digest: (task.digest,) for task in self.tasks(split)}

    def worker(self, name: str | None, lm: dspy.LM | None) -> Worker:
        """Raises UsageError."""
        _refuse("attempted")

    def checkers(self) -> tuple[Checker, ...]:
        """None."""
        return ()

    def judge(self) -> Judge:
        """The judge of the source, who cannot be asked again."""
        return _Gone(self._judge)

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """None beyond the common ones."""
        return {}

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """None: what an action points at is not known."""
        return {}

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The text that was recorded."""
        return next((one.text for one in self.directives if one.action == action), action)

    def probes(self) -> Sequence[tuple[str, Task, str, bool]]:
        """None."""
        return ()


class _Gone:
    """A judge that has spoken."""

    deterministic = True

    def __init__(self, revision: str) -> None:
        self.revision = revision

    async def judge(self, task: Task, output: str) -> Judgement:
        """Raises JudgeUnavailable."""
        raise JudgeUnavailable(f"{self.revision} judged the recorded attempts; it cannot be asked of others")


async def _read(path: Path, benchmark: str | None) -> _Held:
    async with SqliteCorpus.open_readonly(path) as corpus:
        episodes = [one async for one in corpus.scan(Episode, {"split": "search"})]
        names = sorted({one.benchmark for one in episodes})
        if benchmark is None and len(names) != 1:
            raise UsageError(f"{path}: holds {', '.join(names) or 'no episode'}: name one with the option benchmark")
        id = benchmark or names[0]
        if id not in names:
            raise UsageError(f"{path}: holds no episode of {id!r}; it holds {', '.join(names)}")
        digests = sorted({one.task_digest for one in episodes if one.benchmark == id})
        tasks = tuple([await task_of(corpus, digest) for digest in digests])
        given = {a.steer.action: a.steer.text async for a in corpus.scan(Attempt, {"benchmark": id}) if a.steer.text}
    if len(given) > MOST_ACTIONS:
        raise UsageError(f"{path}: attempts were given {len(given)} actions; at most {MOST_ACTIONS} can be valued")
    return _Held(id, tasks, tuple(Directive(action=action, text=text) for action, text in sorted(given.items())))


def _refuse(what: str) -> NoReturn:
    raise UsageError(f"an imported task cannot be {what}: what was recorded is all there is")
