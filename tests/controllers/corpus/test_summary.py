"""The numbers of a corpus."""

from __future__ import annotations

from pathlib import Path

import pytest

from controllers.corpus.journal import SqliteCorpus
from controllers.corpus.summary import CorpusSummary, summarise
from controllers.testing import LARGE, SMALL, a_decision, an_attempt, an_episode
from signatures.errors import StoreError


def file_bytes(folder: Path) -> int:
    files = (file for file in folder.rglob("*") if file.is_file() and not file.name.endswith("-shm"))
    return sum(file.stat().st_size for file in files)


async def test_an_empty_corpus_counts_nothing(tmp_path: Path) -> None:
    SqliteCorpus(tmp_path / "corpus.db").close()
    counted = summarise(tmp_path / "corpus.db")
    assert counted == CorpusSummary(
        records={"attempts": 0, "decisions": 0, "episodes": 0},
        episodes={},
        outcomes={},
        blobs=0,
        blob_bytes=0,
        disk_bytes=(tmp_path / "corpus.db").stat().st_size,
    )


async def test_all_is_counted_while_a_writer_writes(tmp_path: Path) -> None:
    async with SqliteCorpus(tmp_path / "corpus.db") as corpus:
        await corpus.append(an_episode("a"), an_episode("b"), an_episode("c", split="dev", condition="refine@3"))
        await corpus.append(*(an_attempt(n, outcome="empty" if n > 2 else "ok") for n in range(5)), a_decision(0))
        await corpus.append(blobs=[SMALL, LARGE])
        counted = summarise(tmp_path / "corpus.db")
        assert counted == CorpusSummary(
            records={"attempts": 5, "decisions": 1, "episodes": 3},
            episodes={("dev", "refine@3"): 1, ("search", "random@3"): 2},
            outcomes={"ok": 3, "empty": 2},
            blobs=2,
            blob_bytes=len(SMALL) + len(LARGE),
            disk_bytes=file_bytes(tmp_path),
        )


def test_a_missing_corpus_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such corpus"):
        summarise(tmp_path / "corpus.db")
    assert list(tmp_path.iterdir()) == []
