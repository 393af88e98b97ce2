"""Demos mined from recorded moves: decisions after which the checkers measured an improvement, as answered questions.

A demo shows a model what one of its policies was shown at a decision, and the action that was taken. No verdict is
read: whether a move is worth showing is the change of `correct` by the checkers.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from pydantic import JsonValue

from controllers.moves import MAX_FANOUT, STOP
from optimizers.evidence.reflection import Reflection
from signatures.digest import seed_of
from signatures.records import PolicyName, Task

Demo: TypeAlias = dict[str, JsonValue]
"""The fields of a policy's signature, and `augmented`, by which dspy tells a worked example from a labelled one."""
MOST_CHARS: Final = 1_200
"""Characters of observations in one demo: it is paid for at every decision."""
LEAST_SURE: Final = 0.5
"""Confidence of a demo whose action hardly ever improved anything; it rises to 1 with the share where it did."""


class Told(NamedTuple):
    """A recorded move, and the task that it was made on."""

    task: Task
    move: Reflection


@dataclass(frozen=True)
class DemoPlan:
    """How many demos to mine."""

    sets: int
    "the empty one among them"
    size: int
    "demos of a set, at most"
    steer_legal: tuple[str, ...]
    seed: int


def demo_sets(told: Sequence[Told], policy: PolicyName, plan: DemoPlan) -> list[list[Demo]]:
    """At most `plan.sets` different sets of demos for one policy; the first is empty.

    The others hold `plan.size` demos where there are as many, no two of one task, their actions in equal shares as far
    as there are moves of each; which, and in which order, is drawn by the seed. Moves of another benchmark, and moves
    whose action the policy could not have named, are left out.
    """
    shares = _improved(told, policy)
    pools: dict[str, list[tuple[str, Demo]]] = defaultdict(list)
    for one in told:
        demo = _demo(one, policy, plan, shares)
        if demo is not None:
            pools[str(demo["action"])].append((one.task.digest, demo))
    sets: list[list[Demo]] = [[]]
    for number in range(1, plan.sets):
        found = _drawn(pools, plan.size, random.Random(seed_of("demos", plan.seed, policy, number)))
        if found not in sets:
            sets.append(found)
    return sets


def _drawn(pools: Mapping[str, Sequence[tuple[str, Demo]]], size: int, rng: random.Random) -> list[Demo]:
    """One demo of each action in turn, of tasks that are not in the set yet, until it is full or nothing is left."""
    actions = sorted(pools)
    rng.shuffle(actions)
    rest = {action: rng.sample(pools[action], len(pools[action])) for action in actions}
    used: set[str] = set()
    found: list[Demo] = []
    while actions and len(found) < size:
        action = actions.pop(0)
        fresh = next((place for place, (digest, _) in enumerate(rest[action]) if digest not in used), None)
        if fresh is None:
            continue
        digest, demo = rest[action].pop(fresh)
        used.add(digest)
        found.append(demo)
        actions.append(action)
    return found


def _demo(one: Told, policy: PolicyName, plan: DemoPlan, shares: Mapping[str, float]) -> Demo | None:
    move = one.move
    action = _answer(move)
    if move.policy != policy or move.foreign or action is None:
        return None
    legal = _legal(policy, move, plan.steer_legal)
    if action not in legal:
        return None
    return {
        "augmented": True,
        "task": one.task.prompt,
        "features": {name: value for name, value in sorted(move.features.items()) if value},
        "observations": _latest(move.before),
        "legal": list(legal),
        "action": action,
        "confidence": round(LEAST_SURE + (1 - LEAST_SURE) * shares.get(action, 0.0), 2),
    }


def _answer(move: Reflection) -> str | None:
    """The action to show: what was taken where the checkers measured an improvement.

    A recorded move never says `done`, and demos that only ever go on would teach a model not to stop. So a further
    attempt that was made although the checker of `correct` had passed, and that improved nothing, is shown as `done`:
    the best attempt is kept either way, and stopping there would have had the same for less.
    """
    if move.gain > 0:
        return move.action
    if move.policy == "stop" and move.features.get("best_passed", 0.0) > 0:
        return "done"
    return None


def _improved(told: Sequence[Told], policy: PolicyName) -> dict[str, float]:
    """The share of each action's moves that improved `correct`; of `done` the share that would have changed nothing."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for _, move in told:
        if move.policy != policy or move.foreign:
            continue
        counts[move.action][0] += move.gain > 0
        counts[move.action][1] += 1
        if policy == "stop" and move.features.get("best_passed", 0.0) > 0:
            counts["done"][0] += move.gain <= 0
            counts["done"][1] += 1
    return {action: good / all_ for action, (good, all_) in counts.items()}


def _legal(policy: PolicyName, move: Reflection, steer_legal: tuple[str, ...]) -> tuple[str, ...]:
    """What could be chosen; `refine_best` is left out, because a move does not say whether that was another attempt."""
    if policy == "stop":
        return STOP
    if policy == "steer":
        return steer_legal
    left = int(move.features.get("attempts_left", MAX_FANOUT))
    return ("refine_last", *(f"fanout_{n}" for n in range(1, min(MAX_FANOUT, left) + 1)))


def _latest(lines: Sequence[str]) -> list[JsonValue]:
    """The latest observations that fit together, oldest first; each whole, so that its delimiters stay closed."""
    kept: list[JsonValue] = []
    left = MOST_CHARS
    for line in reversed(lines):
        if len(line) <= left:
            left -= len(line)
            kept.append(line)
    return kept[::-1]
