"""random@k in closed form for every objective: k fresh attempts, drawn without replacement, stopped at the first pass.

With n recorded fresh attempts of a task, f of which the checker of `correct` did not pass, attempt i is drawn at place
j with every earlier one failing with probability C(f', j-1) / C(n-1, j-1) / n, f' being the failing ones without i.
Sums over an episode follow from that. The one that is kept is the first that passed, else the best of k failing ones:
a failing attempt with b failing ones behind it (ties share evenly) is kept with probability C(b, k-1) / C(n, k).
For 0/1 outcomes that the checker sees this is 1 - C(n-c, k) / C(n, k) of `closed_form.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import comb

from controllers.baselines import control_arms
from controllers.history import Seen
from controllers.selector import rank
from optimizers.replay import Asked, Evidence
from optimizers.replay.estimates import Estimate, Refusal
from optimizers.replay.exact_tree import answer_of
from optimizers.replay.tree import Replayed, Tree
from signatures.errors import NoSupport, UsageError
from signatures.records import Amounts, Objective


class FreshDraws:
    """Answers for the control arm random@k alone; every other candidate is refused. Tree replay is held to it."""

    id = "random@k"

    def __init__(self, k: int, objectives: Sequence[Objective]) -> None:
        if k < 1:
            raise UsageError(f"random@{k}: k is at least 1")
        self.k = k
        self.objectives = tuple(objectives)

    async def estimate(self, evidence: Evidence, asked: Asked) -> list[Estimate | Refusal]:
        """One answer per candidate. Raises UsageError without trees or controllers."""
        if evidence.trees is None or len(asked.controllers) != len(asked.names):
            raise UsageError("the closed form needs recorded trees, and a controller for every name")
        arm = control_arms(self.k, None, (), placebo=False)[0].candidate
        trees = {task.digest: tree for task in evidence.tasks if (tree := evidence.trees.trees.get(task.digest))}
        answers: list[Estimate | Refusal] = []
        for name, controller in zip(asked.names, asked.controllers, strict=True):
            if {policy: controller.candidate.components.get(policy) for policy in ("stop", "topology")} != {
                policy: arm.components[policy] for policy in ("stop", "topology")
            }:
                reason = f"the closed form holds for random@{self.k} alone: use tree replay"
                answers.append(Refusal(candidate=name, estimator=self.id, reason=reason))
            else:
                answers.append(self._answer(name, trees))
        return answers

    def _answer(self, name: str, trees: Mapping[str, Tree]) -> Estimate | Refusal:
        try:
            values = {digest: self.task_value(tree) for digest, tree in trees.items()}
        except NoSupport as error:
            return Refusal(candidate=name, estimator=self.id, reason=str(error))
        return answer_of(name, self.id, values)

    def task_value(self, tree: Tree) -> Replayed:
        """The expectation on one task; wholly unsupported where fewer than k are recorded and none passed.

        Raises NoSupport where a sum over the episode could leave its objective's scale: clipping is not linear.
        """
        roots, k = tree.roots, self.k
        failing = [seen for seen in roots if not _passed(seen)]
        if len(roots) < k and len(failing) == len(roots):
            return Replayed(dict.fromkeys((o.name for o in self.objectives), None), 1.0, Amounts())
        drawn = {seen.attempt.id: _drawn(seen, len(roots), len(failing), k) for seen in roots}
        kept = {seen.attempt.id: drawn[seen.attempt.id] for seen in roots if _passed(seen)}
        kept |= _best_of_failing(failing, len(roots), k)
        values = {one.name: self._value(one, tree, drawn, kept) for one in self.objectives}
        attempts = sum(drawn.values())
        turns = sum(drawn[seen.attempt.id] * (seen.attempt.cost.turns or 0) for seen in roots)
        return Replayed(values, 0.0, Amounts(attempts=round(attempts), turns=round(turns)))

    def _value(
        self, objective: Objective, tree: Tree, drawn: Mapping[str, float], kept: Mapping[str, float]
    ) -> float | None:
        shares = drawn if objective.over == "episode" else kept
        if objective.over == "judge":
            raw = {seen.attempt.id: tree.verdicts.get(seen.attempt.id) for seen in tree.roots}
        else:
            raw = {seen.attempt.id: _checked(seen, objective.name) for seen in tree.roots}
        known = {id: value for id, value in raw.items() if value is not None and shares.get(id, 0.0) > 0}
        if any(raw[id] is None for id, share in shares.items() if share > 0):
            return None
        if objective.over != "episode":
            return sum(shares[id] * objective.scaled(value) for id, value in known.items())
        ordered = sorted(known.values())
        ends = [*accumulate(ordered[: self.k]), *accumulate(ordered[: -self.k - 1 : -1])]
        low, high = sorted((objective.worst, objective.best))
        if min(ends) < low or max(ends) > high:
            raise NoSupport(f"{objective.name}: {self.k} attempts may leave its scale, so it has no closed form")
        return objective.scaled(sum(shares[id] * value for id, value in known.items()))


def _passed(seen: Seen) -> bool:
    check = seen.attempt.check("correct")
    return check is not None and bool(check.passed)


def _checked(seen: Seen, objective: str) -> float | None:
    check = seen.attempt.check(objective)
    return None if check is None else check.value


def _drawn(seen: Seen, n: int, failing: int, k: int) -> float:
    """The chance that this attempt is drawn before the episode stops."""
    others = failing - (not _passed(seen))
    return sum(comb(others, j) / comb(n - 1, j) for j in range(min(k, n))) / n


def _best_of_failing(failing: Sequence[Seen], n: int, k: int) -> dict[str, float]:
    """The chance of each failing attempt to be kept: k failing ones are drawn, and the selector ranks it first."""
    if len(failing) < k:
        return {}
    ranked = sorted(failing, key=lambda seen: rank(seen.attempt)[:-1])
    groups: list[list[Seen]] = []
    for seen in ranked:
        if groups and rank(groups[-1][0].attempt)[:-1] == rank(seen.attempt)[:-1]:
            groups[-1].append(seen)
        else:
            groups.append([seen])
    found: dict[str, float] = {}
    behind = len(failing)
    for group in groups:
        none_of_it = comb(behind - len(group), k)
        share = (comb(behind, k) - none_of_it) / comb(n, k) / len(group)
        found |= {seen.attempt.id: share for seen in group}
        behind -= len(group)
    return found
