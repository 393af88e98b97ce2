"""Evidence: what a proposer is shown of some tasks: moves, whole episodes, and contrastive pairs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, overload

from controllers.program import PROGRAM, Controller, controller_of
from optimizers.evidence.contrast import Pair, by_spread, episode_pairs, spread_of, tree_pairs
from optimizers.evidence.episodes_read import live_told, walk_told
from optimizers.evidence.episodes_told import EpisodeTold
from optimizers.evidence.reflection import Reflection, reflections
from optimizers.replay.tree import TreeReplay
from optimizers.setup import Setup
from signatures.errors import ProgramFault
from signatures.records import Candidate, Task

if TYPE_CHECKING:
    from optimizers.evaluator import Scored


class Evidence(Sequence[Reflection]):
    """The moves, as a sequence, with the whole episodes and the pairs that they were made in beside them."""

    def __init__(
        self, moves: Iterable[Reflection], episodes: Iterable[EpisodeTold] = (), pairs: Iterable[Pair] = ()
    ) -> None:
        self.moves = tuple(moves)
        self.episodes = tuple(episodes)
        self.pairs = tuple(pairs)

    @overload
    def __getitem__(self, index: int) -> Reflection: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Reflection, ...]: ...
    def __getitem__(self, index: int | slice) -> Reflection | tuple[Reflection, ...]:
        """A move, or several."""
        return self.moves[index]

    def __len__(self) -> int:
        return len(self.moves)

    def only(self, component: str) -> Evidence:
        """What concerns one component: the moves of that policy, every episode, the pairs that differ in it.

        Of a program, which decides everything, all.
        """
        if component == PROGRAM:
            return self
        return Evidence(
            [move for move in self.moves if move.policy == component],
            self.episodes,
            [pair for pair in self.pairs if pair.policy == component],
        )


def evidence_of(records: Sequence[Reflection]) -> Evidence:
    """`records` as evidence: as it is, or plain moves without episodes."""
    return records if isinstance(records, Evidence) else Evidence(records)


async def gather(
    candidate: Candidate,
    scored: Sequence[Scored],
    setup: Setup,
    *,
    tasks: Mapping[str, Task],
    trees: TreeReplay | None,
    seed: int,
) -> Evidence:
    """What is known of the tasks of these scores: live rollouts, what `candidate` does on recorded trees, the trees.

    Tasks with the widest spread of `correct` by the checkers come first, of one task's episodes the worst. No score is
    read. Raises StoreError, FirewallBreach.
    """
    controller = _asked_without_a_model(candidate)
    moves: list[Reflection] = []
    episodes: dict[str, EpisodeTold] = {}
    spreads: dict[str, float] = {}
    for one in {one.score.task_digest: one for one in scored}.values():
        digest = one.score.task_digest
        history = list(trees.trees[digest].history) if trees is not None and digest in trees.trees else []
        told: list[EpisodeTold | None] = []
        if one.rollout is not None:
            moves += reflections(one.rollout.history, setup.observer, setup.grant, with_text=True)
            told.append(await live_told(one.rollout, setup.corpus))
            history += one.rollout.history
        if trees is not None:
            moves += trees.moves(digest)
            told.append(await _walk(trees, controller, tasks.get(digest), seed))
        spreads[digest] = spread_of(history)
        episodes |= {episode.id: episode for episode in told if episode is not None}
    pairs = [] if trees is None else tree_pairs(trees, spreads)
    pairs += episode_pairs(list(episodes.values()), spreads)
    if controller is not None and controller.program is not None:
        controller.program.close()
    ordered = sorted(episodes.values(), key=lambda one: (-spreads[one.task], one.task, one.correct, one.id))
    return Evidence(moves, ordered, by_spread(pairs))


def _asked_without_a_model(candidate: Candidate) -> Controller | None:
    """The controller of a candidate that is rules or a program alone; None of one that asks a model."""
    tiers = [json.loads(text).get("tier") for text in candidate.components.values()]
    return controller_of(candidate) if set(tiers) == {"rule"} else None


async def _walk(trees: TreeReplay, controller: Controller | None, task: Task | None, seed: int) -> EpisodeTold | None:
    """What the controller would do; a program that fails in it is told by its evaluation."""
    if controller is None or task is None:
        return None
    try:
        return await walk_told(trees, controller, task, seed=seed)
    except ProgramFault:
        return None
