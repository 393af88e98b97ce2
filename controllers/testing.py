"""Contract suite for corpora: subclass it, give the `corpus` fixture, and pytest runs it on your class.

The tests are async: they need pytest-asyncio with `asyncio_mode = "auto"`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TypeVar

from controllers import Corpus
from signatures.digest import digest_bytes, digest_of
from signatures.errors import StoreError, UsageError
from signatures.records import (
    Amounts,
    Attempt,
    CheckerResult,
    Cost,
    Decision,
    Episode,
    Outcome,
    Split,
    Steer,
    WorkerFingerprint,
)

T = TypeVar("T")
_WORKER = WorkerFingerprint(name="scripted", params={"noise": "0.15"})
SMALL, LARGE = b"small", bytes(range(256)) * 400
"""One blob of each storage class that back ends tell apart: 5 bytes and 100 KiB."""


def an_attempt(
    number: int, *, episode: str = "e", parent: str | None = None, outcome: Outcome = "ok", wall_s: float | None = None
) -> Attempt:
    """Attempt `number` of an episode; only `wall_s` is measured."""
    return Attempt(
        id=digest_of("attempt", episode, number),
        episode_id=episode,
        round=number,
        index=number,
        parent_id=parent,
        task_digest=f"task of {episode}",
        benchmark="toy",
        worker=_WORKER,
        steer=Steer(kind="fixed", action="look", text="Sieh nach: \u201ealles\u201c \U0001f9ed."),
        output_digest=digest_bytes(SMALL),
        checks=(
            CheckerResult(objective="correct", value=0.1 + 0.2, unit="share", passed=False),
            CheckerResult(objective="fast", value=wall_s, unit="s", timed=True),
        ),
        outcome=outcome,
        cost=Cost(turns=3, usd=1e-7, wall_s=wall_s),
    )


def a_decision(number: int, *, episode: str = "e", action: str = "continue") -> Decision:
    """Decision `number` of an episode."""
    return Decision(
        id=digest_of("decision", episode, number),
        episode_id=episode,
        step=number,
        policy="stop",
        features={"turns": 3.0, "failing": 1 / 3},
        legal=("continue", "done"),
        probabilities={"continue": 0.95, "done": 0.05},
        action=action,
        propensity=0.95,
        draw_seed=7,
        tier="rule",
        policy_digest="p",
    )


def an_episode(name: str = "e", *, split: Split = "search", condition: str = "random@3") -> Episode:
    """The record of a whole episode."""
    return Episode(
        id=name,
        condition=condition,
        seed=1,
        split=split,
        benchmark="toy",
        task_digest=f"task of {name}",
        worker=_WORKER,
        decision_ids=(),
        attempt_ids=(),
        selected_id=None,
        granted=Amounts(attempts=3),
        spent=Amounts(attempts=1, wall_s=0.5),
    )


@contextmanager
def refused(error: type[Exception]) -> Iterator[None]:
    """Fail unless `error` is raised inside."""
    try:
        yield
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised")


async def listed(records: AsyncIterator[T]) -> list[T]:
    """All that comes."""
    return [record async for record in records]


class CorpusContract:
    """What every corpus owes. Fixture to give: `corpus`, an empty one."""

    async def test_what_was_appended_comes_back_equal(self, corpus: Corpus) -> None:
        """Every field of every kind, and blobs of every size."""
        attempt, decision, episode = an_attempt(0, wall_s=0.1), a_decision(0), an_episode()
        await corpus.append(attempt, decision, episode, blobs=[SMALL, LARGE, b""])
        assert await corpus.get(Attempt, attempt.id) == attempt
        assert await corpus.get(Decision, decision.id) == decision
        assert await corpus.get(Episode, episode.id) == episode
        for data in (SMALL, LARGE, b""):
            assert await corpus.blob(digest_bytes(data)) == data

    async def test_what_is_not_there_is_not_made_up(self, corpus: Corpus) -> None:
        """An id without a record is None, of another kind too; a digest without a blob is an error."""
        await corpus.append(an_episode("e"))
        assert await corpus.get(Attempt, "e") is None
        assert await corpus.get(Episode, "f") is None
        with refused(StoreError):
            await corpus.blob(digest_bytes(b"never appended"))

    async def test_nothing_may_be_appended(self, corpus: Corpus) -> None:
        """An empty append is no error and leaves no mark."""
        before = await corpus.high_water()
        await corpus.append()
        assert await corpus.high_water() == before

    async def test_twice_the_same_is_once(self, corpus: Corpus) -> None:
        """In one call, in two calls, and where only measured fields differ: the first is kept."""
        first, slower = an_attempt(0, wall_s=0.1), an_attempt(0, wall_s=0.2)
        await corpus.append(first, first, blobs=[SMALL, SMALL])
        await corpus.append(first, blobs=[SMALL])
        await corpus.append(slower)
        assert await listed(corpus.scan(Attempt)) == [first]

    async def test_the_same_id_with_other_content_is_refused_whole(self, corpus: Corpus) -> None:
        """What came in the same call is not kept either."""
        await corpus.append(an_attempt(0))
        with refused(StoreError):
            await corpus.append(an_attempt(1), an_attempt(0, outcome="empty"), blobs=[LARGE])
        with refused(StoreError):
            await corpus.append(a_decision(0), a_decision(0, action="done"))
        assert await listed(corpus.scan(Attempt)) == [an_attempt(0)]
        assert await listed(corpus.scan(Decision)) == []
        with refused(StoreError):
            await corpus.blob(digest_bytes(LARGE))

    async def test_a_refusal_is_the_offenders_alone(self, corpus: Corpus) -> None:
        """Of appends under way together, only those that contradict fail."""
        await corpus.append(an_attempt(0))
        good = [corpus.append(an_attempt(number)) for number in range(1, 20)]
        bad = [corpus.append(an_attempt(0, outcome="empty")) for _ in range(3)]
        fates = await asyncio.gather(*good, *bad, return_exceptions=True)
        assert [type(fate) for fate in fates] == [type(None)] * 19 + [StoreError] * 3
        assert len(await listed(corpus.scan(Attempt))) == 20

    async def test_of_contradicting_appends_at_once_one_wins(self, corpus: Corpus) -> None:
        """Whatever order they arrive in, the corpus holds the one that did not fail."""
        outcomes: tuple[Outcome, ...] = ("ok", "empty", "refusal", "timeout")
        rivals = [an_attempt(0, outcome=outcome) for outcome in outcomes]
        fates = await asyncio.gather(*map(corpus.append, rivals), return_exceptions=True)
        assert [rival for rival, fate in zip(rivals, fates, strict=True) if fate is None] == await listed(
            corpus.scan(Attempt)
        )

    async def test_a_scan_is_in_order_of_arrival(self, corpus: Corpus) -> None:
        """Across calls and within one, over more records than one page of any back end."""
        attempts = [an_attempt(number) for number in range(700)]
        for first in range(0, 700, 70):
            await corpus.append(*attempts[first : first + 70])
        assert await listed(corpus.scan(Attempt)) == attempts

    async def test_a_scan_filters_by_columns(self, corpus: Corpus) -> None:
        """By one, by several, by one that no record has; an unknown one is the caller's mistake."""
        root = an_attempt(0, episode="a")
        child = an_attempt(1, episode="a", parent=root.id, outcome="empty")
        other = an_attempt(0, episode="b")
        await corpus.append(root, other, child, an_episode("a"), an_episode("b", split="dev", condition="refine@3"))
        assert await listed(corpus.scan(Attempt, {"episode_id": "a"})) == [root, child]
        assert await listed(corpus.scan(Attempt, {"parent_id": root.id})) == [child]
        assert await listed(corpus.scan(Attempt, {"benchmark": "toy", "outcome": "ok"})) == [root, other]
        assert await listed(corpus.scan(Attempt, {"task_digest": "task of b", "id": other.id})) == [other]
        assert await listed(corpus.scan(Attempt, {"outcome": "timeout"})) == []
        assert await listed(corpus.scan(Episode, {"split": "dev", "condition": "refine@3"})) == [
            an_episode("b", split="dev", condition="refine@3")
        ]
        with refused(UsageError):
            await listed(corpus.scan(Attempt, {"colour": "red"}))

    async def test_a_prefix_stays_as_it_was(self, corpus: Corpus) -> None:
        """A scan up to a mark does not see what came later, whatever its kind."""
        await corpus.append(an_attempt(0), a_decision(0))
        mark = await corpus.high_water()
        await corpus.append(a_decision(1), an_attempt(1), an_episode())
        assert await listed(corpus.scan(Attempt, until=mark)) == [an_attempt(0)]
        assert await listed(corpus.scan(Decision, {"episode_id": "e"}, until=mark)) == [a_decision(0)]
        assert await listed(corpus.scan(Episode, until=mark)) == []
        assert await listed(corpus.scan(Attempt, until=await corpus.high_water())) == [an_attempt(0), an_attempt(1)]

    async def test_a_scan_ends_where_it_began(self, corpus: Corpus) -> None:
        """A reader that appends as it reads does not read its own."""
        await corpus.append(an_attempt(0), an_attempt(1))
        seen = 0
        async for attempt in corpus.scan(Attempt):
            await corpus.append(an_attempt(attempt.index + 100))
            seen += 1
        assert seen == 2

    async def test_other_threads_may_append(self, corpus: Corpus) -> None:
        """Each with its own event loop, at the same time."""

        def elsewhere(thread: int) -> None:
            async def several() -> None:
                await asyncio.gather(*(corpus.append(an_attempt(n, episode=f"e{thread}")) for n in range(25)))

            asyncio.run(several())

        await asyncio.gather(*(asyncio.to_thread(elsewhere, thread) for thread in range(4)))
        assert len({attempt.id async for attempt in corpus.scan(Attempt)}) == 100
