"""The corpus in memory keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controllers.corpus.memory import MemoryCorpus
from controllers.testing import LARGE, SMALL, CorpusContract, a_decision, an_attempt, an_episode, listed
from signatures.digest import digest_bytes
from signatures.errors import StoreError
from signatures.records import Attempt


class TestMemoryCorpus(CorpusContract):
    @pytest.fixture
    def corpus(self) -> Iterator[MemoryCorpus]:
        corpus = MemoryCorpus()
        yield corpus
        corpus.close()


async def test_it_ends_with_its_block() -> None:
    async with MemoryCorpus() as corpus:
        await corpus.append(an_attempt(0))
    with pytest.raises(StoreError, match="closed"):
        await corpus.append(an_attempt(1))
    assert await listed(corpus.scan(Attempt)) == [an_attempt(0)]


async def test_it_lists_all_that_arrived() -> None:
    async with MemoryCorpus() as corpus:
        await corpus.append(a_decision(0), an_attempt(0), blobs=[SMALL, LARGE])
        await corpus.append(an_episode(), blobs=[SMALL])
        assert await listed(corpus.arrivals()) == [a_decision(0), an_attempt(0), an_episode()]
        assert await listed(corpus.arrivals(until=1)) == [a_decision(0)]
        assert await listed(corpus.blob_digests()) == [digest_bytes(SMALL), digest_bytes(LARGE)]
