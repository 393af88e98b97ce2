"""Carrying a corpus to a folder and back, and sealing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from controllers.corpus import SqliteCorpus
from controllers.testing import an_attempt, an_episode, listed
from experiments.corpus.carrying import export_corpus, import_corpus, seal_corpus, sealed_line
from signatures.errors import UsageError
from signatures.records import Attempt


async def test_there_and_back(tmp_path: Path) -> None:
    async with SqliteCorpus(tmp_path / "a.db") as corpus:
        await corpus.append(an_attempt(0), an_attempt(1), an_episode("e"))
    await export_corpus(tmp_path / "a.db", tmp_path / "folder")
    await import_corpus(tmp_path / "folder", tmp_path / "b.db")
    async with SqliteCorpus.open_readonly(tmp_path / "b.db") as corpus:
        assert await listed(corpus.scan(Attempt)) == [an_attempt(0), an_attempt(1)]
    sealed = await seal_corpus(tmp_path / "b.db", verify=True)
    assert (sealed["rows"], sealed["verified"]) == ({"attempts": 2, "decisions": 0, "episodes": 1}, True)
    assert sealed_line(sealed).startswith(f"{tmp_path / 'b.db.segments'}: sealed attempts 2")


async def test_what_is_no_export_makes_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        await import_corpus(tmp_path / "none", tmp_path / "b.db")
    assert not (tmp_path / "b.db").exists()
