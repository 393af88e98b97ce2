"""Exact tree replay: a candidate's expected outcome on recorded attempts, enumerated and not sampled.

A task's recorded attempts form a tree: fresh attempts at the root, refinements under their parent by action.
`fanout` draws recorded fresh attempts without replacement, `refine` a recorded child of that parent under that
action. What the tree does not hold is unsupported: its probability is counted and nothing is invented.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from controllers.arms import distribution
from controllers.history import Seen
from controllers.moves import STOP, legal_topology, move_of
from controllers.observe import Observer, observe
from controllers.policies import View
from controllers.program import Controller
from controllers.selector import select
from optimizers.evidence.reflection import Reflection, reflections
from optimizers.scoring import episode_values, unselected_values
from optimizers.setup import Grant
from signatures.records import Amounts, Objective, PolicyName, Task

Path = tuple[Seen, ...]
Branches = list[tuple[float, Path]]


class Replayed(NamedTuple):
    """Expected values over what is supported, and the probability of what is not."""

    values: Mapping[str, float | None]
    unsupported: float
    used: Amounts

    @property
    def supported(self) -> bool:
        """Whether the corpus holds everything the candidate would do on this task."""
        return self.unsupported <= 1e-9


class Tree:
    """The recorded attempts of one task, with the judge's number of each (None: it could not say)."""

    def __init__(self, history: Sequence[Seen], verdicts: Mapping[str, float | None]) -> None:
        self.history = tuple(history)
        self.verdicts = verdicts
        usable = [seen for seen in history if seen.attempt.outcome != "infra_error"]
        self.roots = tuple(seen for seen in usable if seen.attempt.parent_id is None)
        children: defaultdict[tuple[str, str], list[Seen]] = defaultdict(list)
        for seen in usable:
            if seen.attempt.parent_id is not None:
                children[seen.attempt.parent_id, seen.attempt.steer.action].append(seen)
        self.children = {key: tuple(nodes) for key, nodes in children.items()}


class TreeReplay:
    """Replays controllers on trees. Features and outcomes of a path are computed once for all candidates."""

    def __init__(
        self, trees: Mapping[str, Tree], observer: Observer, objectives: Sequence[Objective], grant: Grant
    ) -> None:
        self.trees = trees
        self.grant = grant
        self._observer = observer
        self._objectives = tuple(objectives)
        self._features: dict[tuple[str, ...], dict[str, float]] = {}
        self._moves: dict[str, list[Reflection]] = {}
        self._outcomes: dict[tuple[str, ...], Mapping[str, float | None]] = {}
        self.around = ReplayAround(self)

    def moves(self, task_digest: str) -> list[Reflection]:
        """The moves that a task's tree shows; none where nothing is recorded."""
        if task_digest not in self._moves:
            tree = self.trees.get(task_digest)
            history = () if tree is None else tree.history
            self._moves[task_digest] = reflections(history, self._observer, self.grant, with_text=True)
        return self._moves[task_digest]

    async def value(self, controller: Controller, task: Task) -> Replayed | None:
        """The exact expectation on `task`; None where nothing of the task is recorded."""
        tree = self.trees.get(task.digest)
        if tree is None:
            return None
        leaves: Branches = []
        unsupported = 0.0
        frontier: Branches = [(1.0, ())]
        while frontier:
            mass, path = frontier.pop()
            stopped, branches, lost = await self._step(controller, task, tree, path)
            unsupported += mass * lost
            if stopped > 0:
                leaves.append((mass * stopped, path))
            frontier += [(mass * p, longer) for p, longer in branches]
        return self.expected(tree, leaves, unsupported)

    async def _step(self, controller: Controller, task: Task, tree: Tree, path: Path) -> tuple[float, Branches, float]:
        """From one path: probability of stopping here, supported continuations, unsupported probability."""
        left = self.left(path)
        legal = legal_topology(path, left.attempts or 0)
        if not legal:
            return 1.0, [], 0.0
        features = self.observed(path, left)

        async def chances(policy: PolicyName, actions: tuple[str, ...]) -> dict[str, float]:
            if len(actions) == 1:
                return {actions[0]: 1.0}
            answer = await controller.policies[policy].decide(View(task, features, actions, path, self.around))
            return {a: p for a, p in distribution(answer.weights, actions).items() if p > 0}

        asked = path or controller.begins_with_stop
        done = (await chances("stop", STOP)).get("done", 0.0) if asked else 0.0
        branches: Branches = []
        lost = 0.0
        if done < 1:
            for action, share in (await chances("topology", legal)).items():
                move = move_of(action, path)
                if move.kind == "fanout":
                    drawn = without_replacement(tree.roots, path, len(move.parents))
                else:
                    parent = move.parents[0]
                    assert parent is not None
                    steers = await chances("steer", self.grant.steer_legal)
                    drawn = children_of(tree, path, parent, steers)
                found = sum(p for p, _ in drawn)
                lost += (1 - done) * share * (1 - found)
                branches += [((1 - done) * share * p, longer) for p, longer in drawn]
        return done, branches, max(0.0, lost)

    def left(self, path: Path) -> Amounts:
        """What an episode that made these attempts may still spend, as in the loop."""
        each, attempts = self.grant.turns_per_attempt, self.grant.attempts - len(path)
        if each is None:
            return Amounts(attempts=attempts)
        turns = max(0, self.grant.attempts * each - _turns(path))
        return Amounts(attempts=min(attempts, math.ceil(turns / each)), turns=turns)

    def observed(self, path: Path, left: Amounts) -> dict[str, float]:
        """The features that a policy sees after these attempts."""
        key = tuple(seen.attempt.id for seen in path)
        if key not in self._features:
            self._features[key] = observe(path, self._observer, granted=self.grant.amounts, left=left)
        return self._features[key]

    def _outcome(self, tree: Tree, path: Path) -> Mapping[str, float | None]:
        key = tuple(seen.attempt.id for seen in path)
        if key not in self._outcomes:
            chosen = select(path)
            if chosen is None:
                return unselected_values(path, None, self._objectives)
            id = chosen.attempt.id
            self._outcomes[key] = episode_values(path, id, tree.verdicts.get(id), self._objectives)
        return self._outcomes[key]

    def unknown(self) -> Replayed:
        """No value at all, of a task whose replay could not be finished."""
        return Replayed(dict.fromkeys((objective.name for objective in self._objectives), None), 0.0, Amounts())

    def expected(self, tree: Tree, leaves: Branches, unsupported: float) -> Replayed:
        """The mean over finished episodes, each with its probability; what is unsupported is not in it."""
        outcomes = [(mass, self._outcome(tree, path), path) for mass, path in leaves]
        held = math.fsum(mass for mass, _, _ in outcomes)
        values: dict[str, float | None] = {}
        for name in (objective.name for objective in self._objectives):
            parts = [(mass, outcome[name]) for mass, outcome, _ in outcomes]
            known = [mass * value for mass, value in parts if value is not None]
            values[name] = min(1.0, math.fsum(known) / held) if held and len(known) == len(parts) else None
        attempts = math.fsum(mass * len(path) for mass, _, path in outcomes) / (held or 1.0)
        turns = math.fsum(mass * _turns(path) for mass, _, path in outcomes) / (held or 1.0)
        return Replayed(values, unsupported, Amounts(attempts=round(attempts), turns=round(turns)))


class ReplayAround:
    """The episode around a decision under replay, for programs."""

    def __init__(self, trees: TreeReplay) -> None:
        self._trees = trees

    @property
    def steers(self) -> tuple[str, ...]:
        """Those of the grant."""
        return self._trees.grant.steer_legal

    def left(self, history: Path) -> Amounts:
        """As `TreeReplay.left`."""
        return self._trees.left(history)

    def observed(self, history: Path) -> Mapping[str, float]:
        """As `TreeReplay.observed`."""
        return self._trees.observed(history, self._trees.left(history))


def _turns(path: Path) -> int:
    return sum(seen.attempt.cost.turns or 0 for seen in path)


def _then(path: Path, seen: Seen) -> Path:
    """The path with one attempt more, at its place in the episode: ties go to the earlier, not the first recorded."""
    if seen.attempt.index != len(path):
        seen = seen._replace(attempt=seen.attempt.model_copy(update={"index": len(path)}))
    return (*path, seen)


def without_replacement(roots: Sequence[Seen], path: Path, n: int) -> Branches:
    """All ordered draws of `n` recorded fresh attempts that are not on the path, each equally likely."""
    branches: Branches = [(1.0, path)]
    for _ in range(n):
        longer: Branches = []
        for p, drawn in branches:
            taken = {seen.attempt.id for seen in drawn}
            free = [root for root in roots if root.attempt.id not in taken]
            longer += [(p / len(free), _then(drawn, root)) for root in free]
        branches = longer
    return branches


def children_of(tree: Tree, path: Path, parent: Seen, steers: Mapping[str, float]) -> Branches:
    """All recorded children of `parent` under each action, weighted by the action's probability."""
    taken = {seen.attempt.id for seen in path}
    branches: Branches = []
    for action, share in steers.items():
        nodes = [n for n in tree.children.get((parent.attempt.id, action), ()) if n.attempt.id not in taken]
        branches += [(share / len(nodes), _then(path, node)) for node in nodes]
    return branches
