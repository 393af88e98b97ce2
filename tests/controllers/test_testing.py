"""The corpus contract passes a corpus that keeps it, and finds the one promise that another breaks."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterable, Mapping

import pytest

from controllers import RecordT
from controllers.corpus.memory import MemoryCorpus
from controllers.corpus.schema import AnyRecord
from controllers.testing import Corpus, CorpusContract, an_attempt, refused
from signatures.errors import StoreError
from signatures.records import Attempt


class Delegating:
    """A corpus over another one; each subclass breaks one promise."""

    def __init__(self) -> None:
        self.inner = MemoryCorpus()

    async def append(self, *records: AnyRecord, blobs: Iterable[bytes] = ()) -> None:
        await self.inner.append(*records, blobs=blobs)

    async def get(self, kind: type[RecordT], id: str) -> RecordT | None:
        return await self.inner.get(kind, id)

    def scan(
        self, kind: type[RecordT], where: Mapping[str, str] | None = None, *, until: int | None = None
    ) -> AsyncIterator[RecordT]:
        return self.inner.scan(kind, where, until=until)

    async def high_water(self) -> int:
        return await self.inner.high_water()

    async def blob(self, digest: str) -> bytes:
        return await self.inner.blob(digest)


class StoresBeforeItRefuses(Delegating):
    async def append(self, *records: AnyRecord, blobs: Iterable[bytes] = ()) -> None:
        await self.inner.append(blobs=blobs)
        for record in records:
            await self.inner.append(record)


class RefusesNothing(Delegating):
    async def append(self, *records: AnyRecord, blobs: Iterable[bytes] = ()) -> None:
        try:
            await self.inner.append(*records, blobs=blobs)
        except StoreError:
            return


class IgnoresTheMark(Delegating):
    def scan(
        self, kind: type[RecordT], where: Mapping[str, str] | None = None, *, until: int | None = None
    ) -> AsyncIterator[RecordT]:
        return self.inner.scan(kind, where)


class DropsBlobs(Delegating):
    async def append(self, *records: AnyRecord, blobs: Iterable[bytes] = ()) -> None:
        await self.inner.append(*records)


class RefusesRepeats(Delegating):
    async def append(self, *records: AnyRecord, blobs: Iterable[bytes] = ()) -> None:
        stored = {record.id async for record in self.inner.arrivals()}
        if any(record.id in stored for record in records):
            raise StoreError("again")
        await self.inner.append(*records, blobs=blobs)


async def broken(corpus: Corpus) -> set[str]:
    """Names of the contract's tests that `corpus`'s class fails."""
    contract = CorpusContract()
    failed = set()
    for name, test in inspect.getmembers(contract, inspect.iscoroutinefunction):
        try:
            await test(type(corpus)())
        except (AssertionError, StoreError):
            failed.add(name.removeprefix("test_"))
    return failed


@pytest.mark.parametrize(
    ("liar", "caught"),
    [
        (Delegating, set()),
        (StoresBeforeItRefuses, {"the_same_id_with_other_content_is_refused_whole"}),
        (
            RefusesNothing,
            {
                "the_same_id_with_other_content_is_refused_whole",
                "a_refusal_is_the_offenders_alone",
                "of_contradicting_appends_at_once_one_wins",
            },
        ),
        (IgnoresTheMark, {"a_prefix_stays_as_it_was"}),
        (DropsBlobs, {"what_was_appended_comes_back_equal"}),
        (RefusesRepeats, {"twice_the_same_is_once"}),
    ],
)
async def test_a_broken_promise_is_found(liar: type[Delegating], caught: set[str]) -> None:
    assert await broken(liar()) == caught


def test_refused_wants_the_error() -> None:
    with pytest.raises(AssertionError, match="StoreError was not raised"), refused(StoreError):
        pass


def test_the_samples_differ_by_what_is_measured_only() -> None:
    assert an_attempt(0, wall_s=0.1).content_digest() == an_attempt(0, wall_s=0.2).content_digest()
    assert an_attempt(0).content_digest() != an_attempt(0, outcome="empty").content_digest()
    assert Attempt.model_validate_json(an_attempt(0).model_dump_json()) == an_attempt(0)
