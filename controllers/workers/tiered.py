"""A worker over several named workers, such as a cheap and a strong one: the steer says which makes the attempt."""

from __future__ import annotations

from collections.abc import Mapping

from controllers import Worker
from signatures.digest import canonical_json
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Task, TraceEvent, WorkerFingerprint

__all__ = ["TieredWorker"]


class TieredWorker:
    """Passes an attempt on to the worker of `context.steer.tier`, the first one where it names none.

    The trace begins with the tier; cost, output and state are that worker's own. They must understand each other's
    states, since one goes on where another ended.
    """

    def __init__(self, workers: Mapping[str, Worker]) -> None:
        """`workers`: tier -> worker, the cheapest first. Raises UsageError without any, or for an empty name."""
        if not workers or not all(workers):
            raise UsageError("a tiered worker has at least one worker, and each tier has a name")
        self._workers = dict(workers)

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """All of them, in their order."""
        params = {name: canonical_json(worker.fingerprint) for name, worker in self._workers.items()}
        return WorkerFingerprint(name="tiered", params={**params, "tiers": canonical_json(list(self._workers))})

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One attempt of the worker of that tier. Raises UsageError for a tier that there is not."""
        tier = context.steer.tier or next(iter(self._workers))
        worker = self._workers.get(tier)
        if worker is None:
            raise UsageError(
                f"the steer {context.steer.action} gives tier {tier!r}; there are {', '.join(self._workers)}"
            )
        result = await worker.attempt(task, context, start)
        said = TraceEvent(turn=0, kind="process", name="tier", text=tier)
        return result.model_copy(update={"trace": (said, *result.trace)})
