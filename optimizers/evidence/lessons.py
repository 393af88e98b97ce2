"""Lessons: what other runs, other benchmarks and production show, as moves in the vocabulary of one benchmark.

Which episodes there are is read from sealed segments; their attempts and traces from the corpus that was sealed. Good
and bad are the checkers' words: no verdict is read. Attempts of the dev and holdout splits are never opened, whichever
benchmark they are of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from controllers.corpus.segments import Segments
from controllers.history import Seen
from controllers.observe import NoObserver, Observer
from optimizers.collect.collecting import COLLECT
from optimizers.collect.gathering import seen_of
from optimizers.evidence.reflection import Reflection, reflections
from optimizers.setup import Grant
from signatures.errors import StoreError
from signatures.records import Attempt

if TYPE_CHECKING:
    from controllers.corpus import SqliteCorpus

OPEN: Final = ("search", "production")
"""The splits that may be learned from."""
SHARED: Final = frozenset(
    (
        *(
            "attempts",
            "attempts_left",
            "turns_left",
            "usd_left",
            "depth",
            "correct",
            "passed",
            "best_passed",
            "failing",
        ),
        *("progress", "stalled", "errors", "error_kinds", "repeats", "changed", "odd_outcome"),
    )
)
"""Features that mean the same in every benchmark and need no benchmark to be observed (`controllers/observe.py`)."""
_COLUMNS: Final = (
    "id",
    "benchmark",
    "split",
    "condition",
    "task_digest",
    "failed",
    "attempts",
    "granted_attempts",
    "granted_turns",
)


@dataclass(frozen=True)
class Lens:
    """The benchmark that learns, and what it must not look at."""

    benchmark: str
    observer: Observer
    grant: Grant
    withheld: frozenset[str] = frozenset()
    "digests of tasks that something is decided on later: val, dev, holdout"
    replayed: frozenset[str] = frozenset()
    "digests of tasks whose recorded trees the run shows by itself"


class Lessons(NamedTuple):
    """What one corpus taught."""

    moves: tuple[Reflection, ...]
    "in order of arrival of their episodes"
    episodes: Mapping[str, int]
    "`<benchmark> <split>` -> episodes read"
    left_out: Mapping[str, int]
    "reason -> episodes"


class _Row(NamedTuple):
    """One episode, as its segment has it."""

    id: str
    benchmark: str
    split: str
    condition: str
    task_digest: str
    failed: bool
    attempts: list[str]
    granted_attempts: int | None
    granted_turns: int | None


def closed_in(segments: Segments) -> frozenset[str]:
    """Digests of the tasks on which `segments` hold an episode of the dev or holdout split. Raises StoreError."""
    table = segments.table("episodes", ["split", "task_digest"])
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return frozenset(digest for split, digest in rows if split not in OPEN)


async def lessons_of(corpus: SqliteCorpus, segments: Segments, lens: Lens, known: set[str]) -> Lessons:
    """The moves of the episodes in `segments`, whose rows `corpus` holds, up to their last row.

    `known` holds ids of episodes that were read already, from another file; those read here are added. Left out and
    counted, by the first reason that holds: the split is `dev` or `holdout`; the task is withheld, or was of such a
    split once in this corpus; the run replays the tree itself; infrastructure ended it; it was read before; it is
    damaged. Raises StoreError where the segments or the corpus cannot be read at all.
    """
    rows = list(_rows(segments))
    closed = lens.withheld | {row.task_digest for row in rows if row.split not in OPEN}
    moves: list[Reflection] = []
    episodes, left_out = Counter[str](), Counter[str]()
    for row in rows:
        reason = _left_out(row, lens, closed, known)
        if reason is None:
            history = await _history(corpus, row, segments.sealed_n)
            reason = None if history is not None else "damaged"
        if reason is not None or history is None:
            left_out[str(reason)] += 1
            continue
        known.add(row.id)
        episodes[f"{row.benchmark} {row.split}"] += 1
        moves += _moves(row, history, lens)
    return Lessons(tuple(moves), dict(episodes), dict(left_out))


def _rows(segments: Segments) -> Iterator[_Row]:
    table = segments.table("episodes", list(_COLUMNS))
    for values in zip(*(column.to_pylist() for column in table.columns), strict=True):
        yield _Row(*values)


def _left_out(row: _Row, lens: Lens, closed: frozenset[str], known: set[str]) -> str | None:
    ours = row.benchmark == lens.benchmark
    reasons = (
        (row.split not in OPEN, f"of the {row.split} split"),
        (row.task_digest in closed, "of a task that candidates are compared on"),
        (ours and row.condition.startswith(COLLECT) and row.task_digest in lens.replayed, "replayed by the run itself"),
        (row.failed, "ended by infrastructure"),
        (row.id in known, "read before"),
    )
    return next((reason for holds, reason in reasons if holds), None)


async def _history(corpus: SqliteCorpus, row: _Row, until: int) -> list[Seen] | None:
    """The attempts of an episode with their traces, in order; None where one is missing or damaged."""
    try:
        by_id = {one.id: one async for one in corpus.scan(Attempt, {"episode_id": row.id}, until=until)}
        return [await seen_of(corpus, by_id[id]) for id in row.attempts]
    except StoreError as error:
        if error.retryable:
            raise
        return None
    except (KeyError, ValueError):
        return None


def _moves(row: _Row, history: list[Seen], lens: Lens) -> Iterator[Reflection]:
    """What the episode shows that this benchmark can use: of another one's, features and actions that exist here."""
    ours = row.benchmark == lens.benchmark
    kept = SHARED | {f"last.{action}" for action in lens.grant.steer_legal}
    for move in reflections(history, lens.observer if ours else NoObserver(), _grant(row, lens)):
        if move.policy == "steer" and move.action not in lens.grant.steer_legal:
            continue
        features = move.features if ours else {name: move.features[name] for name in move.features if name in kept}
        yield move.model_copy(
            update={"features": features, "origin": f"{row.benchmark} {row.split}", "foreign": not ours}
        )


def _grant(row: _Row, lens: Lens) -> Grant:
    """What the episode was granted; a tree was granted all its branches, so a candidate's grant stands for it."""
    attempts, turns = row.granted_attempts, row.granted_turns
    if row.condition.startswith(COLLECT) or not attempts:
        return lens.grant
    return Grant(attempts, None if turns is None else turns // attempts, lens.grant.steer_legal)
