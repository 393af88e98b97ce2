"""Where whole episodes are read: live rollouts, walks of a candidate's rules on recorded trees, branches of trees."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from controllers import Corpus
from controllers.arms import distribution
from controllers.history import Seen
from controllers.moves import STOP, legal_topology, move_of
from controllers.observe import correctness, lineage
from controllers.policies import View, Weights
from controllers.program import Controller
from controllers.selector import select
from controllers.spec import Rollout
from optimizers.evidence.episodes_told import Choice, EpisodeTold, Tried
from optimizers.replay.tree import Path, Tree, TreeReplay
from optimizers.replay.walk import Walk
from signatures.records import Decision, PolicyName, Task


async def live_told(rollout: Rollout, corpus: Corpus) -> EpisodeTold:
    """A live episode with the decisions that the corpus has of it. Raises StoreError."""
    ids = rollout.episode.decision_ids
    found = [one for id in ids if (one := await corpus.get(Decision, id)) is not None]
    choices = [
        Choice(
            policy=one.policy,
            made=int(one.features.get("attempts", 0.0)),
            features=one.features,
            legal=one.legal,
            action=one.action,
            chances=one.probabilities,
            tier=one.tier,
        )
        for one in sorted(found, key=lambda one: one.step)
    ]
    return EpisodeTold(rollout.episode.task_digest, "live", rollout.history, tuple(choices), len(ids) - len(found))


async def walk_told(replay: TreeReplay, controller: Controller, task: Task, *, seed: int) -> EpisodeTold | None:
    """One episode that a controller of rules or a program would play on what is recorded; None where nothing is.

    Raises ProgramFault where a program fails.
    """
    tree = replay.trees.get(task.digest)
    if tree is None:
        return None
    asked: list[tuple[PolicyName, View, Weights]] = []

    async def ask(policy: PolicyName, view: View) -> Weights:
        weights = await controller.policies[policy].decide(view)
        asked.append((policy, view, weights))
        return weights

    mass, path = await Walk(replay, tree, task, ask, seed, controller.begins_with_stop).episode()
    rounds = sorted({*(len(view.history) for _, view, _ in asked), len(path)})
    choices: list[Choice] = []
    for policy, view, weights in asked:
        made = len(view.history)
        following = path[made : next((n for n in rounds if n > made), made)]
        choices.append(
            Choice(
                policy=policy,
                made=made,
                features=view.features,
                legal=view.legal,
                action=_taken(policy, path[:made], following, supported=mass > 0),
                chances=distribution(weights.weights, view.legal),
                tier=controller.policies[policy].tier,
                recorded=tried(tree, path[:made], policy, view.legal, of=_parent(path, made)),
            )
        )
    return EpisodeTold(task.digest, "walk", path, tuple(choices))


def branch_told(replay: TreeReplay, task_digest: str, path: Path, *, stopped: bool = False) -> EpisodeTold:
    """Recorded attempts in this order as an episode; `stopped`: it ended by a decision to stop."""
    tree = replay.trees[task_digest]
    choices: list[Choice] = []
    for made in range(len(path) + stopped):
        before, following = path[:made], path[made : made + 1]
        left = replay.left(before)
        features, topology = replay.observed(before, left), legal_topology(before, left.attempts or 0)
        asked: list[tuple[PolicyName, tuple[str, ...]]] = [("stop", STOP)] if before else []
        if following:
            asked.append(("topology", topology))
            asked += [] if following[0].attempt.parent_id is None else [("steer", replay.grant.steer_legal)]
        for policy, legal in asked:
            if len(legal) > 1:
                action = _taken(policy, before, following, supported=True)
                recorded = tried(tree, before, policy, legal, of=_parent(path, made))
                choices.append(Choice(policy, made, features, legal, action, recorded=recorded))
    return EpisodeTold(task_digest, "branch", path, tuple(choices))


def tried(
    tree: Tree, before: Path, policy: PolicyName, legal: Sequence[str], *, of: str | None = None
) -> Mapping[str, Tried]:
    """What the tree holds of each legal action after these attempts, and how it changed `correct` (see `change`).

    For a steer: of the attempt `of`. Nothing for `stop`, whose alternatives are those of topology, nor before the
    first attempt.
    """
    if not before or policy == "stop":
        return {}
    taken = {seen.attempt.id for seen in before}
    found: dict[str, Tried] = {}
    for action in legal:
        nodes = [n for n in _nodes(tree, before, policy, action, of) if n.attempt.id not in taken]
        if nodes:
            changes = [change(before, node) for node in nodes]
            found[action] = Tried(len(nodes), math.fsum(changes) / len(changes))
    return found


def change(before: Sequence[Seen], node: Seen) -> float:
    """How an attempt changes `correct` by the checkers: a refinement its parent's, a fresh one the best."""
    parent = next((seen for seen in before if seen.attempt.id == node.attempt.parent_id), None)
    if parent is not None:
        return correctness(node.attempt) - correctness(parent.attempt)
    chosen = select(before)
    return max(0.0, correctness(node.attempt) - (0.0 if chosen is None else correctness(chosen.attempt)))


def path_to(replay: TreeReplay, task_digest: str, node: Seen) -> Path:
    """The attempts from a root of the task's tree to `node`."""
    return tuple(lineage(replay.trees[task_digest].history, node.attempt.id))


def _nodes(tree: Tree, before: Path, policy: PolicyName, action: str, of: str | None) -> Sequence[Seen]:
    """The recorded attempts that an action of one attempt leads to; of several fresh ones together none is said."""
    if policy == "steer":
        return tree.children.get((of or before[-1].attempt.id, action), ())
    if action.startswith("fanout"):
        return tree.roots if action == "fanout_1" else ()
    parent = move_of(action, before).parents[0]
    if parent is None:
        return ()
    return [node for (id, _), nodes in tree.children.items() if id == parent.attempt.id for node in nodes]


def _parent(path: Path, made: int) -> str | None:
    """What the attempt after the first `made` went on from."""
    return path[made].attempt.parent_id if made < len(path) else None


def _taken(policy: PolicyName, before: Path, following: Path, *, supported: bool) -> str:
    """What a policy drew, by what followed; empty where nothing is recorded of that."""
    if policy == "stop":
        return "continue" if following or not supported else "done"
    if not following:
        return ""
    first = following[0].attempt
    if policy == "steer":
        return first.steer.action
    if first.parent_id is None:
        return f"fanout_{len(following)}"
    last = move_of("refine_last", before).parents[0]
    return "refine_last" if last is not None and last.attempt.id == first.parent_id else "refine_best"
