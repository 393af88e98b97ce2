"""Questions from recorded trees: states of which the record says which action was best by the checkers.

The value of an action is the expected best `correct` by the checkers after it, over the recorded attempts that it could
have led to; a verdict is never read. States are ones whose legal actions all cost one attempt, so that no action wins
by spending more:

policy    state                                                      answer
topology  two fresh attempts, the first the better; one is left       refine_last, refine_best or fanout_1
steer     one fresh attempt, to be refined                            one of the directives
stop      one or two fresh attempts                                   done where no recorded attempt is better
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controllers.moves import STOP, legal_topology, move_of
from controllers.observe import correctness
from controllers.policies.choice import MOST_CHARS, shown_of
from controllers.selector import select
from optimizers.replay.tree import Branches, Path, Tree, TreeReplay, children_of, without_replacement
from optimizers.skill.question import Question
from signatures.records import PolicyName, Task

_NONE: Final = 1e-9
_TOPOLOGY: Final = 3
"""Actions of a state that tells topologies apart: refine the latest, refine the best, or begin afresh."""


@dataclass(frozen=True)
class Mining:
    """What is mined: the policy, and how clear the record must be."""

    policy: PolicyName
    margin: float = 0.1
    "least value of the best action above the second best; of `continue` above `done`"
    chars: int = MOST_CHARS
    "of observations in a question"


def mined(
    trees: TreeReplay, tasks: Sequence[Task], families: Mapping[str, tuple[str, ...]], mining: Mining
) -> list[Question]:
    """All questions for one policy that the trees of these tasks answer, in the order of the tasks."""
    of: dict[PolicyName, Callable[[TreeReplay, Tree], Iterator[State]]] = {
        "topology": _topology,
        "steer": _steer,
        "stop": _stop,
    }
    found: list[Question] = []
    for task in tasks:
        tree = trees.trees.get(task.digest)
        for state in () if tree is None else of[mining.policy](trees, tree):
            question = _question(trees, task, families.get(task.digest, ()), mining, state)
            if question is not None:
                found.append(question)
    return found


@dataclass(frozen=True)
class State:
    """A path of recorded attempts and the value of each action there."""

    path: Path
    values: Mapping[str, float]


def _question(
    trees: TreeReplay, task: Task, families: tuple[str, ...], mining: Mining, state: State
) -> Question | None:
    """None where the record does not say what is best."""
    ranked = sorted(state.values, key=lambda action: -state.values[action])
    margin = state.values[ranked[0]] - state.values[ranked[1]]
    if ranked[0] == "done" or (mining.policy == "stop" and margin <= _NONE):
        if margin > _NONE:
            return None
        ranked, margin = ["done"], 0.0
    elif margin < mining.margin:
        return None
    return Question.of(
        policy=mining.policy,
        task=task.digest,
        families=families,
        prompt=task.prompt,
        features=trees.observed(state.path, trees.left(state.path)),
        observations=shown_of(state.path, mining.chars).lines,
        legal=tuple(state.values),
        label=ranked[0],
        margin=round(margin, 6),
        values={action: round(value, 6) for action, value in state.values.items()},
    )


def _topology(trees: TreeReplay, tree: Tree) -> Iterator[State]:
    for _, path in without_replacement(tree.roots, (), 2) if len(tree.roots) > 1 else ():
        legal = legal_topology(path, 1)
        if len(legal) == _TOPOLOGY and (values := _moves(trees, tree, path, legal)) is not None:
            yield State(path, values)


def _steer(trees: TreeReplay, tree: Tree) -> Iterator[State]:
    for _, path in without_replacement(tree.roots, (), 1):
        found = {a: _expected(children_of(tree, path, path[0], {a: 1.0})) for a in trees.grant.steer_legal}
        values = {action: value for action, value in found.items() if value is not None}
        if len(values) == len(found) > 1:
            yield State(path, values)


def _stop(trees: TreeReplay, tree: Tree) -> Iterator[State]:
    for n in range(1, min(2, len(tree.roots)) + 1):
        for _, path in without_replacement(tree.roots, (), n):
            best = _best(path)
            if best >= 1.0:  # no attempt can be better, recorded or not
                yield State(path, dict(zip(STOP, (best, best), strict=True)))
            elif values := _moves(trees, tree, path, legal_topology(path, 1)):
                yield State(path, dict(zip(STOP, (max(values.values()), best), strict=True)))


def _moves(trees: TreeReplay, tree: Tree, path: Path, legal: Sequence[str]) -> dict[str, float] | None:
    """The value of each move; of a refinement the mean over the recorded steers. None where one was never recorded."""
    values: dict[str, float] = {}
    for action in legal:
        move = move_of(action, path)
        parent = move.parents[0]
        if parent is None:
            free = len(tree.roots) > len(path)
            value = _expected(without_replacement(tree.roots, path, len(move.parents))) if free else None
        else:
            value = _expected(children_of(tree, path, parent, dict.fromkeys(trees.grant.steer_legal, 1.0)))
        if value is None:
            return None
        values[action] = value
    return values


def _expected(branches: Branches) -> float | None:
    total = math.fsum(mass for mass, _ in branches)
    return math.fsum(mass * _best(path) for mass, path in branches) / total if total > 0 else None


def _best(path: Path) -> float:
    chosen = select(path)
    return 0.0 if chosen is None else correctness(chosen.attempt)
