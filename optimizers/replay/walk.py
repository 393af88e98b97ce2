"""Sampled tree replay: seeded walks on recorded attempts, for controllers that ask a model in every state.

Exact replay asks a policy at every branch; a walk asks it in the states of one episode. Where the tree holds only a
part of what the policy would do, the walk goes on within that part and carries its probability as a weight: the mean
weight is the supported mass, the weighted mean of the outcomes the value of what is supported.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from controllers.arms import distribution, draw
from controllers.moves import STOP, legal_topology, move_of
from controllers.policies import View, Weights
from optimizers.replay.tree import Branches, Path, Replayed, Tree, TreeReplay, children_of, without_replacement
from signatures.digest import seed_of
from signatures.records import PolicyName, Task

Ask = Callable[[PolicyName, View], Awaitable[Weights]]
"""How a policy's weights are had: asked, or out of a cache."""


@dataclass(frozen=True)
class Walk:
    """One walk of a controller on the tree of a task. What it draws is a function of its seed and the answers."""

    trees: TreeReplay
    tree: Tree
    task: Task
    ask: Ask
    seed: int
    begins_with_stop: bool = False
    "as `Controller.begins_with_stop`"

    async def episode(self) -> tuple[float, Path]:
        """The attempts of one episode, and how much of what could have happened on the way the tree holds."""
        mass = 1.0
        path: Path = ()
        while True:
            kept, longer = await self._step(path)
            mass *= kept
            if not mass or len(longer) == len(path):
                return mass, longer
            path = longer

    async def _step(self, path: Path) -> tuple[float, Path]:
        """One round from `path`: its supported probability, and the path after it, the same where the episode ends."""
        left = self.trees.left(path)
        legal = legal_topology(path, left.attempts or 0)
        if not legal:
            return 1.0, path
        features = self.trees.observed(path, left)

        async def chances(policy: PolicyName, actions: tuple[str, ...]) -> dict[str, float]:
            if len(actions) == 1:
                return {actions[0]: 1.0}
            answer = await self.ask(policy, View(self.task, features, actions, path, self.trees.around))
            return {action: p for action, p in distribution(answer.weights, actions).items() if p > 0}

        asked = path or self.begins_with_stop
        if asked and self._drawn("stop", path, await chances("stop", STOP)) == "done":
            return 1.0, path
        moves = await chances("topology", legal)
        mass, held = _held(moves, {action: self._fanned(action, path) for action in moves})
        if not held:
            return 0.0, path
        move = move_of(self._drawn("topology", path, held), path)
        if move.kind == "fanout":
            return mass, self._taken(path, without_replacement(self.tree.roots, path, len(move.parents)))
        parent = move.parents[0]
        assert parent is not None
        steers = await chances("steer", self.trees.grant.steer_legal)
        children = {action: children_of(self.tree, path, parent, {action: 1.0}) for action in steers}
        supported, held = _held(steers, {action: bool(found) for action, found in children.items()})
        if not held:
            return 0.0, path
        return mass * supported, self._taken(path, children[self._drawn("steer", path, held)])

    def _fanned(self, action: str, path: Path) -> bool:
        """Whether the tree may hold the move: for a refinement only its steer can tell."""
        move = move_of(action, path)
        taken = {seen.attempt.id for seen in path}
        free = sum(root.attempt.id not in taken for root in self.tree.roots)
        return move.kind != "fanout" or len(move.parents) <= free

    def _drawn(self, policy: str, path: Path, chances: Mapping[str, float]) -> str:
        seed = seed_of("walk", self.seed, self.task.digest, len(path), policy)
        return draw(chances, tuple(chances), seed=seed).action

    def _taken(self, path: Path, branches: Branches) -> Path:
        """One of the recorded continuations, each as likely as its share says."""
        shares = {str(number): p for number, (p, _) in enumerate(branches)}
        return branches[int(self._drawn("attempt", path, shares))][1]


async def walked(
    trees: TreeReplay, task: Task, ask: Ask, *, walks: int, seed: int, begins_with_stop: bool = False
) -> Replayed | None:
    """The mean of `walks` walks on `task`; None where nothing of the task is recorded.

    With one walk the values are those of a single episode. Over many walks the mean of their weights is the supported
    mass and the weighted mean of their outcomes the exact value.
    """
    tree = trees.trees.get(task.digest)
    if tree is None:
        return None
    seeds = [seed_of("walks", seed, number) for number in range(walks)]
    ends = [await Walk(trees, tree, task, ask, one, begins_with_stop).episode() for one in seeds]
    leaves = [(mass / walks, path) for mass, path in ends if mass > 0]
    return trees.expected(tree, leaves, max(0.0, 1.0 - math.fsum(mass for mass, _ in leaves)))


def _held(chances: Mapping[str, float], supported: Mapping[str, bool]) -> tuple[float, dict[str, float]]:
    """The probability of what is supported, and its actions with theirs."""
    held = {action: p for action, p in chances.items() if supported[action]}
    return min(1.0, math.fsum(held.values())), held
