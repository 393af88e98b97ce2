"""The planted world with overlapping families, one for each part that is broken, and a worker that some steers kill."""

from __future__ import annotations

from collections.abc import Mapping

from signatures.digest import canonical_json
from signatures.errors import WorkerError
from signatures.records import (
    AttemptContext,
    AttemptResult,
    Cost,
    Split,
    Task,
    TraceEvent,
    WorkerFingerprint,
)
from tests.worlds.planted import PlantedBenchmark, PlantedConfig


class LayeredBenchmark(PlantedBenchmark):
    """As the planted one, but no family is a unit: the task is."""

    def __init__(self, config: PlantedConfig | None = None) -> None:
        super().__init__(config)

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """Task digest -> its broken parts."""
        return {digest: tuple(name.split("+")) for digest, (name,) in super().families(split).items()}


class SteerHater:
    """A worker that repairs nothing, and whose process dies at two of three tasks when a steer names the fan.

    The rule's first directive is the fan, while a placebo names it now and then: both arms lose some, not as many.
    """

    fingerprint = WorkerFingerprint(name="steer-hater")

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """Raises WorkerError where the steer names the fan, for most tasks."""
        if "fan" in context.steer.text and int(task.digest[:4], 16) % 3:
            raise WorkerError("the process died")
        state = start or canonical_json({"broken": ["fan.0"]})
        trace = (TraceEvent(turn=0, kind="message", name="panel", text="fan"),)
        return AttemptResult(output=state, state=state, trace=trace, cost=Cost(turns=1))
