"""To a folder of datasets and back: nothing changes on the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from controllers.corpus.dataset import BATCH_BLOBS, BATCH_ROWS, export_dataset, import_dataset
from controllers.corpus.journal import SqliteCorpus
from controllers.corpus.memory import MemoryCorpus
from controllers.corpus.schema import AnyRecord
from controllers.testing import LARGE, SMALL, a_decision, an_attempt, an_episode, listed
from signatures.errors import StoreError, UsageError
from signatures.records import Attempt

MANY = BATCH_ROWS + 50


async def filled() -> MemoryCorpus:
    """Kinds that alternate, more rows than a batch, blobs of every sort."""
    corpus = MemoryCorpus()
    for number in range(MANY):
        await corpus.append(a_decision(number), an_attempt(number, wall_s=number / 7), blobs=[b"%d" % number])
    await corpus.append(an_episode(), blobs=[SMALL, LARGE, b"", b"\x00\xff\n"])
    return corpus


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


async def content(corpus: MemoryCorpus | SqliteCorpus) -> tuple[list[AnyRecord], dict[str, bytes]]:
    digests = await listed(corpus.blob_digests())
    return await listed(corpus.arrivals()), {digest: await corpus.blob(digest) for digest in digests}


async def test_the_round_trip_is_exact(tmp_path: Path) -> None:
    corpus = await filled()
    async with SqliteCorpus(tmp_path / "one.db") as one:
        await export_dataset(corpus, tmp_path / "first")
        await import_dataset(tmp_path / "first", one)
        await export_dataset(one, tmp_path / "below" / "second")
    async with SqliteCorpus(tmp_path / "two.db") as two:
        await import_dataset(tmp_path / "below" / "second", two)
        await import_dataset(tmp_path / "first", two)  # again: nothing is doubled
        assert await content(two) == await content(corpus)
    assert len((await content(corpus))[1]) > BATCH_BLOBS
    assert names(tmp_path) == {
        "below",
        "first",
        *(f"{name}.db{part}" for name in ("one", "two") for part in ("", ".blobs")),
    }


async def test_an_empty_corpus_makes_the_round_trip(tmp_path: Path) -> None:
    async with MemoryCorpus() as empty, MemoryCorpus() as back:
        await export_dataset(empty, tmp_path / "empty")
        await import_dataset(tmp_path / "empty", back)
        assert await content(back) == ([], {})


async def test_others_can_read_the_folder(tmp_path: Path) -> None:
    from datasets import load_from_disk

    await export_dataset(await filled(), tmp_path / "folder")
    found = load_from_disk(tmp_path / "folder")
    assert {name: len(part) for name, part in found.items()} == {
        "attempts": MANY,
        "decisions": MANY,
        "episodes": 1,
        "blobs": MANY + 4,
    }
    row = found["attempts"][1]
    assert (row["n"], row["episode_id"], row["parent_id"], row["outcome"]) == (4, "e", None, "ok")
    assert Attempt.model_validate_json(row["json"]) == an_attempt(1, wall_s=1 / 7)


async def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="in the way"):
        await export_dataset(MemoryCorpus(), tmp_path / "folder")
    assert names(tmp_path / "folder") == set()


async def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    async with SqliteCorpus(tmp_path / "corpus.db") as corpus:
        await corpus.append(an_attempt(0), blobs=[LARGE])
        shutil.rmtree(tmp_path / "corpus.db.blobs")
        with pytest.raises(StoreError, match="cannot read blob"):
            await export_dataset(corpus, tmp_path / "folder")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot export"):
        await export_dataset(MemoryCorpus(), tmp_path / "file" / "folder")
    assert names(tmp_path) == {"corpus.db", "file"}


async def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    (tmp_path / "plain").mkdir()
    Dataset.from_dict({"a": [1]}).save_to_disk(tmp_path / "one")
    DatasetDict({"attempts": Dataset.from_dict({"a": [1]})}).save_to_disk(tmp_path / "other")
    for name, why in (("missing", "no such folder"), ("plain", "no folder of"), ("one", "no exp"), ("other", "no exp")):
        with pytest.raises(UsageError, match=why):
            await import_dataset(tmp_path / name, MemoryCorpus())


async def test_an_import_that_contradicts_is_refused(tmp_path: Path) -> None:
    await export_dataset(await filled(), tmp_path / "folder")
    async with MemoryCorpus() as corpus:
        await corpus.append(an_attempt(0, outcome="empty"))
        with pytest.raises(StoreError, match="other content"):
            await import_dataset(tmp_path / "folder", corpus)


async def test_a_changed_export_is_found(tmp_path: Path) -> None:
    from datasets import DatasetDict, load_from_disk

    await export_dataset(await filled(), tmp_path / "folder")
    found = load_from_disk(tmp_path / "folder")
    other = {**found, "blobs": found["blobs"].map(lambda row: {"data": row["data"] + b"!"}, cache_file_name=None)}
    DatasetDict(other).save_to_disk(tmp_path / "changed")
    with pytest.raises(StoreError, match="is damaged"):
        await import_dataset(tmp_path / "changed", MemoryCorpus())
