"""Exact tree replay as an estimator: a candidate's mean over the recorded tasks, nothing drawn and nothing weighted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controllers.program import Controller
from optimizers.intervals import mean_interval
from optimizers.replay import Asked, Evidence
from optimizers.replay.estimates import MAX_UNSUPPORTED, Estimate, Refusal, Support, widened
from optimizers.replay.tree import Replayed
from signatures.errors import UsageError
from signatures.records import Task


class ExactTree:
    """Walks each task's recorded tree (`optimizers/replay/tree.py`) and takes the mean over tasks.

    A task's value is that of its supported part. Its children were attempted under forced steers, so there are no
    weights: `ess` is the number of tasks, and what refuses is unsupported mass alone. The interval is a bootstrap
    over tasks (Wilson's where all are 0 or 1), widened by the unsupported share.
    """

    id = "tree"

    async def estimate(self, evidence: Evidence, asked: Asked) -> list[Estimate | Refusal]:
        """One answer per candidate. Raises UsageError without trees or controllers."""
        if evidence.trees is None or len(asked.controllers) != len(asked.names):
            raise UsageError("tree replay needs recorded trees, and a controller for every name")
        recorded = [task for task in evidence.tasks if task.digest in evidence.trees.trees]
        answers: list[Estimate | Refusal] = []
        unknown = (asked.target.unknown if asked.target else ()) or [()] * len(asked.names)
        for name, controller, actions in zip(asked.names, asked.controllers, unknown, strict=True):
            if actions:  # at run time it would fall back to a uniform draw: its author means something else
                reason = f"no recorded attempt was given {', '.join(actions)}: collect attempts under it"
                answers.append(Refusal(candidate=name, estimator=self.id, reason=reason))
                continue
            replayed = await _replayed(evidence, controller, recorded)
            answers.append(answer_of(name, self.id, replayed))
        return answers


async def _replayed(evidence: Evidence, controller: Controller, tasks: Sequence[Task]) -> dict[str, Replayed]:
    assert evidence.trees is not None
    found = {task.digest: await evidence.trees.value(controller, task) for task in tasks}
    return {digest: one for digest, one in found.items() if one is not None}


def answer_of(name: str, estimator: str, replayed: Mapping[str, Replayed]) -> Estimate | Refusal:
    """The answer from one `Replayed` per task. A task with an unknown outcome is left out and counted."""
    if not replayed:
        return Refusal(candidate=name, estimator=estimator, reason="no task has a recorded tree: record some first")
    lost = sum(one.unsupported for one in replayed.values()) / len(replayed)
    known = {task: one.values for task, one in replayed.items() if None not in one.values.values()}
    support = Support(
        n=len(known),
        tasks=len(known),
        left_out=len(replayed) - len(known),
        ess=float(len(known)),
        largest_share=1.0 / len(known) if known else 0.0,
        unsupported=min(1.0, lost),
    )
    if lost > MAX_UNSUPPORTED:
        reason = (
            f"{lost:.1%} of what it would do is in no recorded tree (at most {MAX_UNSUPPORTED:.0%}): "
            "attempt those cells live"
        )
        return Refusal(candidate=name, estimator=estimator, reason=reason, support=support)
    if not known:
        return Refusal(candidate=name, estimator=estimator, reason="no recorded outcome is known", support=support)
    bounds = {}
    for objective in next(iter(known.values())):
        found = mean_interval({task: [values[objective]] for task, values in known.items()})
        assert found.mean is not None
        bounds[objective] = widened(found.mean, found.lo, found.hi, support.unsupported)
    return Estimate(candidate=name, estimator=estimator, values=bounds, support=support)
