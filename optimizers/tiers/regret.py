"""What a rule in a model's place would lose: both replayed on the same recorded trees, compared task by task.

A tree is one draw of what the worker does on its task, so a task's difference has the noise of the record in it; the
trees of different tasks are drawn apart, so the spread of the differences over tasks holds that noise and the tasks'
own. The interval is the gate's own betting interval on bounded differences (`optimizers/gate/sequential.py`), which
is valid at any number of tasks and keeps a width where no task shows a difference: a bootstrap would say 0 there. It is
an interval of the mean over these folds' rules, each on tasks that it was not fitted to.
What the trees do not hold is taken at its worst: all that the model could have won there, and nothing for the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from controllers.policies import Policy, View, Weights
from optimizers.gate.evidence import evidence_of
from optimizers.gate.paired import Values, pairs_of
from optimizers.gate.records import Evidence
from optimizers.replay.estimates import widened
from optimizers.replay.tree import Replayed, TreeReplay
from optimizers.replay.walk import walked
from optimizers.tiers.asked import Answers, Unrecorded
from signatures.digest import seed_of
from signatures.records import Finite, PolicyName, Probability, Record, Task

Policies = Mapping[PolicyName, Policy]


class Regret(Record):
    """The loss on one objective: the model's value less the rule's, in units of the objective's scaled value."""

    objective: str
    evidence: Evidence
    "rule - model, on what the trees hold of each task"
    loss: Finite | None
    "the mean; None: no task has both values"
    hi: Finite
    "upper end of the interval, with what the trees do not hold, or one side's checkers did not say, at its worst"
    tasks: int = Field(ge=0)
    unsupported: Probability
    "mean share of what either would do that is not in the trees, or needs an answer that nobody recorded"


@dataclass(frozen=True)
class Replayer:
    """Recorded trees, and what may be asked while walking on them."""

    trees: TreeReplay
    tasks: Sequence[Task]
    "those with a tree"
    answers: Answers
    walks: int = 16
    "episodes walked per task; all controllers get the same seeds, so that equal decisions give equal episodes"
    seed: int = 0

    async def values(self, policies_for: Callable[[str], Policies]) -> dict[str, Replayed]:
        """By task digest, what the policies for that task would reach."""
        return {task.digest: await self._value(task, policies_for(task.digest)) for task in self.tasks}

    async def _value(self, task: Task, policies: Policies) -> Replayed:
        async def ask(name: PolicyName, view: View) -> Weights:
            return await self.answers.weights(policies[name], view)

        try:
            found = await walked(self.trees, task, ask, walks=self.walks, seed=seed_of("tiers", self.seed))
        except Unrecorded:
            found = None
        return self.trees.unknown()._replace(unsupported=1.0) if found is None else found


def regrets_of(model: Mapping[str, Replayed], rule: Mapping[str, Replayed], *, alpha: float) -> tuple[Regret, ...]:
    """One per objective, each upper end at one-sided level `alpha`. Both sides have the same tasks, at least one."""
    objectives = tuple(next(iter(model.values())).values)
    return tuple(_regret(name, model, rule, alpha) for name in objectives)


def _regret(name: str, model: Mapping[str, Replayed], rule: Mapping[str, Replayed], alpha: float) -> Regret:
    held = evidence_of(pairs_of(name, _held(model, name), _held(rule, name)), alpha=alpha)
    worst = pairs_of(name, _ends(model, rule, name, best=True), _ends(rule, model, name, best=False))
    sure = evidence_of(worst, alpha=alpha)
    low = sure.lo if sure.sure_lo is None else sure.sure_lo
    shares = [min(1.0, max(one.unsupported, rule[task].unsupported)) for task, one in model.items()]
    return Regret(
        objective=name,
        evidence=held,
        loss=None if held.effect is None else 0.0 - held.effect,
        hi=1.0 if low is None or not sure.n else 0.0 - low,
        tasks=len(model),
        unsupported=sum(shares) / len(shares),
    )


def _held(replayed: Mapping[str, Replayed], name: str) -> Values:
    return {task: [one.values[name]] for task, one in replayed.items()}


def _ends(mine: Mapping[str, Replayed], other: Mapping[str, Replayed], name: str, *, best: bool) -> Values:
    """The most, or the least, that a task's value may be given what is not supported; None: neither was measured.

    What was measured of the other alone counts at its worst: a rule may lead to where nobody can say how well it did.
    """
    found: dict[str, list[float | None]] = {}
    for task, one in mine.items():
        end = _end(one, name, best=best)
        known = other[task].values[name] is not None
        found[task] = [float(best) if end is None and known else end]
    return found


def _end(one: Replayed, name: str, *, best: bool) -> float | None:
    value, share = one.values[name], min(1.0, one.unsupported)
    if value is None:
        return None if share < 1 - 1e-9 else float(best)
    bound = widened(value, value, value, share)
    return bound.hi if best else bound.lo
