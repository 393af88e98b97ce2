"""Whose work a gate measured, in words: a simulated worker, or the model by its name; and which workers it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controllers import Worker
from controllers.workers.recorded import RecordedWorker
from signatures.errors import UsageError
from signatures.records import WorkerFingerprint

if TYPE_CHECKING:
    from experiments.wiring import Ready

CHAT: Final = "chat"
"""The worker that `worker_lm` is the model of."""


def said_of(worker: WorkerFingerprint, benchmark: str) -> str:
    """`model NAME` for a worker that names its model; `simulated worker NAME` for the benchmark's own without one.

    Any other worker, such as a command of the user's, is `worker NAME`: it does not say what it asks.
    """
    if worker.model is not None:
        return f"model {worker.model}"
    return f"simulated worker {worker.name}" if worker.name == benchmark else f"worker {worker.name}"


def worker_asked(worker: str | None, worker_lm: str | None) -> str | None:
    """The worker that a config means: one that names a model for `chat`, and no worker, means `chat`."""
    return CHAT if worker is None and worker_lm is not None else worker


def refuse_recording(worker: Worker, benchmark: str) -> None:
    """Raises UsageError for a worker of which only a recording is left."""
    if isinstance(worker, RecordedWorker):
        raise UsageError(
            f"a gate makes new attempts, and of {said_of(worker.fingerprint, benchmark)} only a recording is here: "
            "name the model itself with worker=chat worker_lm=MODEL, or ask the recording with replay_run"
        )


def require_live(world: Ready) -> Ready:
    """The same. Raises UsageError for a worker that can attempt nothing new, and for a model that nobody would ask."""
    who, named = world.worker.fingerprint, world.config.worker_lm
    refuse_recording(world.worker, world.benchmark.id)
    if named is not None and who.model is None:
        raise UsageError(
            f"worker_lm={named}: {said_of(who, world.benchmark.id)} asks no model; leave worker out, or say worker=chat"
        )
    return world


def calls_said(world: Ready, attempts: int) -> str:
    """What a projection says of a model's calls, `; up to ...`; nothing where the worker asks no model.

    Each turn of an attempt may be a call; a worker without tools answers at once.
    """
    model = world.worker.fingerprint.model
    if model is None:
        return ""
    return f"; up to {attempts * world.config.turns:,} calls of {model}, as many as there may be turns"
