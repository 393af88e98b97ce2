"""A worker of which only the recording is left: what it did can be replayed, nothing new can be asked of it."""

from __future__ import annotations

from signatures.records import AttemptContext, AttemptResult, Task, WorkerFingerprint

__all__ = ["RecordedWorker"]


class RecordedWorker:
    """Has the fingerprint of the worker that made a recording, so that the recorded attempts are found as its own."""

    def __init__(self, fingerprint: WorkerFingerprint) -> None:
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """That of the worker that was recorded."""
        return self._fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """Raises RuntimeError, always: an attempt that the recording lacks did not happen, and is no bad answer."""
        who = self._fingerprint.model or self._fingerprint.name
        raise RuntimeError(
            f"this is a recording of {who}: task {task.digest} has no attempt of these inputs in it, and none can be "
            f"made. Replay what is recorded, or give the model itself as the worker"
        )
