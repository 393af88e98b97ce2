"""The planted world before a gate: a small gate as a config, and benchmarks whose parts try to cheat."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from controllers import Worker
from controllers.program import controller_of
from experiments.gate.holdout.config import HoldoutConfig
from judges import Judge
from judges.records import Judgement
from signatures.digest import digest_of
from signatures.records import AttemptContext, AttemptResult, Candidate, Split, Task, TraceEvent, WorkerFingerprint
from tests.worlds.planted import PlantedBenchmark, PlantedJudge

HERE = "tests.worlds.gated"
SLICES = 5
"""The holdout's 180 machines in slices of 36."""


def saved(folder: Path, name: str, candidate: Candidate) -> str:
    """Save a controller as a search does; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(controller_of(candidate).dumps() + "\n", encoding="utf-8")
    return str(path)


def gate_config(root: Path, candidate: str, baseline: str = "continue@3", **changed: JsonValue) -> HoldoutConfig:
    """A gate on the planted world, its files below `root`."""
    given: dict[str, JsonValue] = {
        "candidate": candidate,
        "baseline": baseline,
        "benchmark": "tests.worlds.planted:PlantedBenchmark",
        "turns": 3,
        "slices": SLICES,
        "root": str(root),
        "tracking": False,
    }
    return HoldoutConfig.model_validate({**given, **changed})


@dataclass(frozen=True)
class BoastingWorker:
    """As the worker inside, but it says of everything that the judge gave it full marks."""

    inner: Worker

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The inner worker's: a boast is not work."""
        return self.inner.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One attempt, with a claim in its output and its trace."""
        result = await self.inner.attempt(task, context, start)
        claimed = json.dumps({**json.loads(result.output), "score": 1.0, "success": True})
        said = TraceEvent(turn=len(result.trace), kind="message", name="judge", text="score 1.0")
        return result.model_copy(update={"output": claimed, "trace": (said, *result.trace)})


class BoastingBenchmark(PlantedBenchmark):
    """Its worker reports its own score."""

    def worker(self, name: str | None, lm: object) -> Worker:
        """The planted worker, boasting."""
        return BoastingWorker(super().worker(name, lm))


@dataclass(frozen=True)
class WordyWorker:
    """As the worker inside, with a bill: three turns and 100 tokens an attempt, 300 more with a steer."""

    inner: Worker

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """One of its own."""
        return WorkerFingerprint(name="wordy")

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One attempt, billed."""
        result = await self.inner.attempt(task, context, start)
        cost = result.cost.model_copy(update={"turns": 3, "tokens_in": 100 + 300 * bool(context.steer.text)})
        return result.model_copy(update={"cost": cost})


class WordyBenchmark(PlantedBenchmark):
    """Its worker bills tokens: 100 an attempt, 300 more for one with a steer."""

    def worker(self, name: str | None, lm: object) -> Worker:
        """The planted worker, with a bill."""
        return WordyWorker(super().worker(name, lm))


@dataclass(frozen=True)
class KindJudge:
    """Has nothing to say of machines that do not run."""

    revision: str = "kind judge 1"
    deterministic: bool = True

    async def judge(self, task: Task, output: str) -> Judgement:
        """A pass where all works; on a broken machine no score, but for those that the probes show."""
        found = await PlantedJudge().judge(task, output)
        probed = task.digest in {probe.digest for _, probe, _, _ in PlantedBenchmark().probes()}
        return found if probed or found.score == 1.0 else found.model_copy(update={"score": None})


class KindBenchmark(PlantedBenchmark):
    """Its judge leaves out the verdicts of losing pairs."""

    def judge(self) -> Judge:
        """The judge that looks away."""
        return KindJudge()


class RenamedBenchmark(PlantedBenchmark):
    """The same machines under other ids."""

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """The planted tasks, renamed."""
        return tuple(
            task.model_copy(update={"digest": digest_of("renamed", task.digest)}) for task in super().tasks(split)
        )


class LeakingBenchmark(PlantedBenchmark):
    """Two tasks of the holdout stand in the search split as well, under other ids."""

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """The planted tasks, with the leak."""
        leaked: Sequence[Task] = super().tasks("holdout")[:2] if split == "search" else ()
        return (*super().tasks(split), *(t.model_copy(update={"digest": f"again {t.digest}"}) for t in leaked))
