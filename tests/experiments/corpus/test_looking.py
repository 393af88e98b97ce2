"""Looking into a corpus (what the command prints: see its own test)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from controllers.corpus import SqliteCorpus
from controllers.testing import an_attempt, an_episode
from experiments.corpus.looking import counts, existing, listed, show, size
from signatures.errors import UsageError


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1500, "1.5 kB"), (2_000_000, "2.0 MB"), (3 * 10**9, "3.0 GB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_nothing_is_said_as_such() -> None:
    assert listed({}) == "none"
    assert listed({"a": 1200, "b": 3}) == "a 1,200, b 3"


async def test_counts_and_records(tmp_path: Path) -> None:
    path = tmp_path / "corpus.db"
    async with SqliteCorpus(path) as corpus:
        await corpus.append(an_attempt(0), an_episode("e"))
    assert counts(path)[1].split(maxsplit=1) == ["records", "attempts 1, decisions 0, episodes 1"]
    assert '"kind": "Episode",' in "\n".join(await show(path, "e"))
    assert (await show(path, "e", trace=True))[-1] == "has no trace"


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such corpus"):
        existing(tmp_path / "none.db")
    with pytest.raises(UsageError, match="no such corpus"):
        asyncio.run(show(tmp_path / "none.db", "x"))
