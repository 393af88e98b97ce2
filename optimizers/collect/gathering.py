"""What a corpus holds of a task for replay: the recorded trees with all that was bought for them, as one history."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pydantic import TypeAdapter

from controllers import Corpus
from controllers.baselines import exploring_candidate, seed_candidate
from controllers.history import Seen
from controllers.spec import episode_id
from optimizers.collect.collecting import COLLECT, CollectPlan, Purchase, purchase_spec, tree_spec
from optimizers.setup import Grant, Setup
from signatures.errors import StoreError, UsageError
from signatures.records import Attempt, Episode, Task, TraceEvent, WorkerFingerprint

DRAWN: Final = "stochastic"
"""The condition of the episodes whose decisions were drawn with a floor: they are weighted, not walked."""
_TREE: Final = re.compile(rf"{COLLECT}([1-9]\d*)x([1-9]\d*)")
_TOP_UP: Final = re.compile(rf"{COLLECT}top-up x([1-9]\d*)")
_TRACE: Final[TypeAdapter[tuple[TraceEvent, ...]]] = TypeAdapter(tuple[TraceEvent, ...])


class Part(NamedTuple):
    """A collected episode with its attempts in their order."""

    episode: Episode
    attempts: tuple[Attempt, ...]
    roots: int = 0
    "of a tree: fresh attempts that its plan had"
    depth: int = 0
    "of a tree and of what was bought for one: attempts in the longest lineage that its plan had"


Accepts = Callable[[Part, int], bool]
"""Whether an episode counts; the number is the depth at which it begins in its tree, 1 for a root."""


@dataclass
class Gathered:
    """The collected episodes of one task with the attempts that count."""

    branching: list[Part] = field(default_factory=list)
    "trees and what was bought for them, parents first: together one tree"
    drawn: list[Part] = field(default_factory=list)
    tried: dict[tuple[str, str], int] = field(default_factory=dict)
    "(parent or empty, action) -> times that it was bought, what infrastructure ended counted"
    left_out: int = 0
    "collected episodes that do not count: infrastructure ended them, or they were made with other parts"

    @property
    def tree(self) -> tuple[Attempt, ...]:
        """The attempts of the one tree, parents before children."""
        return tuple(attempt for part in self.branching for attempt in part.attempts)

    @property
    def roots(self) -> int:
        """Fresh attempts in the tree."""
        return sum(attempt.parent_id is None for attempt in self.tree)


async def recorded_tree(
    corpus: Corpus, task_digest: str, *, depth: int | None = None, worker: WorkerFingerprint | None = None
) -> tuple[Seen, ...]:
    """All that replay may walk of a task, with traces, as the history of one `Tree`; empty where nothing is.

    `depth` is the number of attempts that candidates are granted, None the deepest recorded. Raises UsageError where
    trees of several workers are there and none is named, StoreError.
    """
    episodes = [e async for e in corpus.scan(Episode, {"task_digest": task_digest}) if e.condition.startswith(COLLECT)]
    workers = {episode.worker.model_dump_json() for episode in episodes if episode.failure is None}
    if worker is None and len(workers) > 1:
        raise UsageError(f"task {task_digest} has trees of several workers: {', '.join(sorted(workers))}; name one")

    def accepts(part: Part, begins: int) -> bool:
        return part.depth > 0 and worker in (None, part.episode.worker)

    found = await gather(corpus, task_digest, accepts, depth=depth)
    return tuple([await seen_of(corpus, attempt) for attempt in found.tree])


async def gather(
    corpus: Corpus, task_digest: str, accepts: Accepts, *, depth: int | None = None, until: int | None = None
) -> Gathered:
    """The collected episodes of a task that count, up to the mark `until` of the corpus, None for all.

    Trees less deep than `depth` are left out where deeper ones are: their leaves would take support from longer
    candidates. Of trees of several shapes, a root with the number and repeat of another's was given the same seed:
    it is the same attempt again, and is left out with all below it. Episodes that infrastructure ended are left out,
    since they are collected again.
    """
    parts = await _parts(corpus, task_digest, until)
    trees = [part for part in parts if part.roots and part.episode.failure is None and accepts(part, 1)]
    deepest = max((part.depth for part in trees), default=0)
    deep = deepest if depth is None else min(depth, deepest)
    reader = _Reader(accepts, deep)
    for part in sorted((part for part in trees if part.depth >= deep), key=_deepest_first):
        reader.take_tree(part)
    for part in parts:  # in order of arrival: a parent was recorded before what was bought of it
        if part.depth and not part.roots:
            first = part.attempts[0]
            key = first.parent_id or "", first.steer.action
            reader.found.tried[key] = max(reader.found.tried.get(key, 0), first.repeat + 1)
            reader.take_bought(part)
        elif not part.depth and part.episode.failure is None and accepts(part, 1):
            reader.found.drawn.append(part)
    found = reader.found
    found.left_out = len(parts) - len(found.branching) - len(found.drawn)
    return found


async def _parts(corpus: Corpus, task_digest: str, until: int | None) -> list[Part]:
    """The collected episodes of the search split in order of arrival."""
    attempts: defaultdict[str, list[Attempt]] = defaultdict(list)
    async for attempt in corpus.scan(Attempt, {"task_digest": task_digest}, until=until):
        attempts[attempt.episode_id].append(attempt)
    found: list[Part] = []
    async for episode in corpus.scan(Episode, {"task_digest": task_digest}, until=until):
        tree, bought = _TREE.fullmatch(episode.condition), _TOP_UP.fullmatch(episode.condition)
        mine = tuple(sorted(attempts[episode.id], key=lambda attempt: attempt.index))
        if episode.split != "search" or not mine:
            continue
        if tree:
            found.append(Part(episode, mine, int(tree[1]), int(tree[2])))
        elif bought:
            found.append(Part(episode, mine, 0, int(bought[1])))
        elif episode.condition == DRAWN:
            found.append(Part(episode, mine))
    return found


class _Reader:
    """Puts trees and what was bought for them together."""

    def __init__(self, accepts: Accepts, depth: int) -> None:
        self.found = Gathered()
        self._accepts, self._depth = accepts, depth
        self._depths: dict[str, int] = {}
        self._roots: set[tuple[int, int]] = set()

    def take_tree(self, part: Part) -> None:
        """A tree, less the roots that another tree has as well."""
        kept = tuple(self._new(part.attempts))
        self._roots |= {(a.repeat, a.index) for a in kept if a.parent_id is None}
        if kept:
            self.found.branching.append(part._replace(attempts=kept))

    def take_bought(self, part: Part) -> None:
        """What was bought of a parent that is there, or a fresh attempt."""
        parent = part.attempts[0].parent_id
        above = 0 if parent is None else self._depths.get(parent)
        if above is None or part.depth < self._depth or part.episode.failure is not None:
            return
        if self._accepts(part, above + 1):
            self.found.branching.append(part)
            self._place(part.attempts)

    def _new(self, attempts: Sequence[Attempt]) -> Iterator[Attempt]:
        """The attempts below roots that no other tree has; their depths are kept."""
        for attempt in attempts:
            if attempt.parent_id is None and (attempt.repeat, attempt.index) in self._roots:
                continue
            if attempt.parent_id is None or attempt.parent_id in self._depths:
                self._place((attempt,))
                yield attempt

    def _place(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            self._depths[attempt.id] = 1 + (0 if attempt.parent_id is None else self._depths[attempt.parent_id])


def made_with(setup: Setup, task: Task, plan: CollectPlan) -> Accepts:
    """Accepts what this very setup makes for a task: judge, checkers, worker, table of actions and turns.

    A tree's id is a function of its spec, so this is known and not guessed. A stochastic episode may have any floor
    and any seed: of its spec, controller, worker and grant are compared.
    """
    explorer = exploring_candidate(plan.actions)
    parts, each = setup.parts(seed_candidate()), setup.grant.turns_per_attempt

    def accepts(part: Part, begins: int) -> bool:
        episode, first = part.episode, part.attempts[0]
        if not part.depth:
            granted = Grant(episode.granted.attempts or 0, each, plan.actions).amounts
            same = (episode.candidate, episode.worker, episode.granted)
            return same == (explorer.digest, setup.worker.fingerprint, granted)
        shape = CollectPlan(roots=part.roots or 1, depth=part.depth, actions=plan.actions)
        if part.roots:
            spec = tree_spec(setup, task, shape, repeat=first.repeat)
        else:
            bought = Purchase(
                task_digest=task.digest,
                parent_id=first.parent_id,
                action=first.steer.action,
                depth=begins,
                repeat=first.repeat,
            )
            spec = purchase_spec(setup, task, shape, bought)
        return episode_id(spec, parts) == episode.id

    return accepts


async def seen_of(corpus: Corpus, attempt: Attempt) -> Seen:
    """An attempt with its trace. Raises StoreError."""
    if attempt.trace_digest is None:
        return Seen(attempt, ())
    return Seen(attempt, _TRACE.validate_json(await corpus.blob(attempt.trace_digest)))


async def outputs_of(corpus: Corpus, attempts: Sequence[Attempt]) -> dict[str, str]:
    """The outputs of these attempts by their ids, of those that have one. Raises StoreError."""
    found: dict[str, str] = {}
    for attempt in attempts:
        if attempt.output_digest is not None:
            data = await corpus.blob(attempt.output_digest)
            try:
                found[attempt.id] = data.decode("utf-8", "surrogatepass")
            except UnicodeDecodeError as error:
                raise StoreError(f"blob {attempt.output_digest} is not text: {error}") from error
    return found


def _deepest_first(part: Part) -> tuple[int, int, str]:
    return (-part.depth, -part.roots, part.episode.id)
