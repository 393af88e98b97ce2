"""Contrastive pairs: on one task a better and a worse way on, by the checkers, that differ in one decision.

*Better* is a higher `correct` of what would be selected; for a decision to stop also the same for fewer turns. No
verdict is read, neither for what is better nor for what is shown first.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from controllers.history import Seen
from controllers.moves import legal_topology
from controllers.observe import correctness
from optimizers.evidence.episodes_read import branch_told, change, path_to
from optimizers.evidence.episodes_told import Choice, EpisodeTold, Telling, within
from optimizers.replay.tree import Path, TreeReplay
from signatures.digest import digest_of
from signatures.records import PolicyName

LEAST_GAP: Final = 1e-9


class Pair(NamedTuple):
    """Two episodes on one task in which the same was decided up to one decision."""

    task: str
    better: EpisodeTold
    worse: EpisodeTold
    choice: Choice
    "the decision, as the better one took it"
    instead: str
    "what the worse one drew"
    gap: float
    "by how much `correct` differs, by the checkers"
    spread: float
    "of `correct` over all attempts of the task: their standard deviation, by the checkers"

    @property
    def policy(self) -> PolicyName:
        """Which decision differs."""
        return self.choice.policy

    @property
    def id(self) -> str:
        """Names the pair by its episodes and the decision."""
        return digest_of("pair", self.policy, self.choice.made, self.better.id, self.worse.id)

    def shown(self, *, lines: int) -> dict[str, object]:
        """As a model is shown it: what both share, the decision, then how each went on. Raises FirewallBreach."""
        made = self.choice.made
        shared = self.better._replace(attempts=self.better.attempts[:made], choices=()) if self._shared else None
        decision = self.choice.shown()
        decision.pop("drawn")
        return {
            "what": "two ways on from one place, the better and the worse by the checkers",
            "task": self.task[:12],
            "spread of `correct` in this task": round(self.spread, 4),
            **({} if shared is None else {"what both had done": list(shared.steps(lines=lines))}),
            "the decision in which they differ": decision,
            "better": {"drew": self.choice.action, **self._ended(self.better, lines)},
            "worse": {"drew": self.instead, **self._ended(self.worse, lines)},
        }

    @property
    def _shared(self) -> bool:
        """Whether the attempts before the decision are the same, not only what had been decided."""
        made = self.choice.made
        ids = [[seen.attempt.id for seen in one.attempts[:made]] for one in (self.better, self.worse)]
        return ids[0] == ids[1]

    def _ended(self, episode: EpisodeTold, lines: int) -> dict[str, object]:
        """How one went on; after shared attempts, the decisions at the place itself are said once, for both."""
        made = self.choice.made if self._shared else 0
        steps = list(episode.steps(lines=lines, since=made))
        said = sum(choice.made == made for choice in episode.choices) if self._shared else 0
        return {
            "`correct` of what is selected, by the checkers": round(episode.correct, 4),
            "turns": episode.turns,
            "then": steps[said:],
        }

    def telling(self) -> Telling:
        """`shown` by the number of observations of each attempt."""
        return lambda lines: self.shown(lines=lines)


def shown_pairs(pairs: Sequence[Pair], *, most_chars: int) -> list[str]:
    """The pairs as JSON texts in this order, of about `most_chars` characters together; see `shown_episodes`."""
    return within([one.telling() for one in pairs], "pairs", most_chars)


def spread_of(history: Iterable[Seen]) -> float:
    """The standard deviation of `correct` over attempts, by the checkers; 0 for fewer than two."""
    values = [correctness(seen.attempt) for seen in history if seen.attempt.outcome != "infra_error"]
    return statistics.pstdev(values) if len(values) > 1 else 0.0


def by_spread(pairs: Iterable[Pair]) -> list[Pair]:
    """Each pair once: tasks of the widest spread first, in a task the widest gap. The order they came in is nothing."""
    once = {pair.id: pair for pair in pairs}
    return [once[id] for id in sorted(once, key=lambda id: (-once[id].spread, -once[id].gap, id))]


def tree_pairs(replay: TreeReplay, tasks: Iterable[str]) -> list[Pair]:
    """For each task digest with a tree and each policy the pair of the widest gap, ordered as `by_spread` does."""
    found: list[Pair] = []
    for task in tasks:
        if task in replay.trees:
            best: dict[PolicyName, Pair] = {}
            for pair in _pairs_of(replay, task):
                other = best.get(pair.policy)
                if other is None or (-pair.gap, pair.id) < (-other.gap, other.id):
                    best[pair.policy] = pair
            found += best.values()
    return by_spread(found)


def episode_pairs(episodes: Sequence[EpisodeTold], spreads: Mapping[str, float]) -> list[Pair]:
    """Of each task's episodes the best beside the worst, where the first thing in which they differ is a decision."""
    by_task: defaultdict[str, list[EpisodeTold]] = defaultdict(list)
    for episode in episodes:
        by_task[episode.task].append(episode)
    found: list[Pair] = []
    for task, rows in by_task.items():
        ordered = sorted(rows, key=lambda one: (one.correct, one.id))
        worse, better = ordered[0], ordered[-1]
        choices = _first_difference(better, worse)
        gap = better.correct - worse.correct
        if choices is not None and gap > LEAST_GAP:
            found.append(Pair(task, better, worse, choices[0], choices[1].action, gap, spreads.get(task, 0.0)))
    return by_spread(found)


def _first_difference(one: EpisodeTold, other: EpisodeTold) -> tuple[Choice, Choice] | None:
    """The first decision in which they differ, of two that were asked the same until then."""
    for mine, theirs in zip(one.choices, other.choices, strict=False):
        if (mine.policy, mine.made) != (theirs.policy, theirs.made):
            return None
        if mine.action != theirs.action:
            return (mine, theirs) if mine.action and theirs.action else None
    return None


def _pairs_of(replay: TreeReplay, task: str) -> Iterator[Pair]:
    tree = replay.trees[task]
    spread = spread_of(tree.history)
    ids = dict.fromkeys(parent for parent, _ in tree.children)
    by_id = {seen.attempt.id: seen for seen in tree.history}
    for id in ids:
        if id not in by_id:
            continue
        before = path_to(replay, task, by_id[id])
        if not legal_topology(before, replay.left(before).attempts or 0):
            continue
        legal = replay.grant.steer_legal
        children = {a: nodes for (parent, a), nodes in tree.children.items() if parent == id and a in legal}
        if not children:
            continue
        for found in (*_steers(before, children), *_further(before, children, tree.roots)):
            yield _pair(replay, task, before, found, spread)


_Found = tuple[PolicyName, Path, Path, float]


def _steers(before: Path, children: Mapping[str, Sequence[Seen]]) -> Iterator[_Found]:
    """The action whose attempts are best on average beside the one whose are worst, each by the attempt that says so
    most."""
    if len(children) < 2:
        return
    means = {a: math.fsum(change(before, n) for n in nodes) / len(nodes) for a, nodes in children.items()}
    best, worst = max(sorted(means), key=means.__getitem__), min(sorted(means), key=means.__getitem__)
    up, down = _extreme(children[best], best=True), _extreme(children[worst], best=False)
    gap = correctness(up.attempt) - correctness(down.attempt)
    if means[best] - means[worst] > LEAST_GAP and gap > LEAST_GAP:
        yield "steer", (*before, up), (*before, down), gap


def _further(before: Path, children: Mapping[str, Sequence[Seen]], roots: Sequence[Seen]) -> Iterator[_Found]:
    """Going on beside a fresh attempt, and going on beside stopping."""
    taken = {seen.attempt.id for seen in before}
    refined = [node for nodes in children.values() for node in nodes]
    fresh = [root for root in roots if root.attempt.id not in taken]
    now = max(correctness(seen.attempt) for seen in before)

    def gain(node: Seen) -> float:
        return max(0.0, correctness(node.attempt) - now)

    if fresh:
        on, anew = (math.fsum(map(gain, nodes)) / len(nodes) for nodes in (refined, fresh))
        winners, losers = (refined, fresh) if on > anew else (fresh, refined)
        up, down = _extreme(winners, best=True), _extreme(losers, best=False)
        gap = gain(up) - gain(down)
        if abs(on - anew) > LEAST_GAP and gap > LEAST_GAP:
            yield "topology", (*before, up), (*before, down), gap
    up = _extreme(refined, best=True)
    if gain(up) > LEAST_GAP:
        yield "stop", (*before, up), before, gain(up)
    else:
        yield "stop", before, (*before, up), 0.0


def _extreme(nodes: Sequence[Seen], *, best: bool) -> Seen:
    sign = -1.0 if best else 1.0
    return min(nodes, key=lambda node: (sign * correctness(node.attempt), node.attempt.id))


def _pair(replay: TreeReplay, task: str, before: Path, found: _Found, spread: float) -> Pair:
    policy, up, down, gap = found
    better, worse = (branch_told(replay, task, path, stopped=path == before) for path in (up, down))
    mine, theirs = (_at(episode, policy, len(before)) for episode in (better, worse))
    return Pair(task, better, worse, mine, theirs.action, gap, spread)


def _at(episode: EpisodeTold, policy: PolicyName, made: int) -> Choice:
    return next(one for one in episode.choices if (one.policy, one.made) == (policy, made))
