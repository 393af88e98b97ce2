"""One file for a corpus: whole, the same bytes each time, and refused where a byte is wrong."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controllers.corpus import SqliteCorpus
from controllers.testing import LARGE, SMALL, a_decision, an_attempt, an_episode, listed
from experiments.corpus.pack import Label, check, label_of, pack, unpack
from experiments.places import ledger_beside
from judges.ledger import VerdictLedger
from judges.records import Verdict
from signatures.digest import digest_bytes
from signatures.errors import StoreError, UsageError
from signatures.records import Attempt, Episode, Split

LABEL = Label(licence="MIT, (c) Me", model_file="m.gguf", model_sha256="0" * 64)
FIRST = an_attempt(0).model_copy(update={"trace_digest": digest_bytes(LARGE)})
SECOND = an_attempt(1, parent=FIRST.id).model_copy(update={"state_digest": digest_bytes(b"\xff state")})
STRAY = an_attempt(0, episode="interrupted")
EPISODE = an_episode("e").model_copy(
    update={"attempt_ids": (FIRST.id, SECOND.id), "decision_ids": (a_decision(0).id,), "selected_id": FIRST.id}
)


def verdict(split: Split, episode: str = "e") -> Verdict:
    return Verdict(
        id=f"v-{episode}",
        episode_id=episode,
        attempt_id=FIRST.id,
        task_digest="t",
        benchmark="toy",
        split=split,
        judge="j",
        score=1.0,
    )


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    held = tmp_path / "corpus.db"
    async with SqliteCorpus(held) as corpus:
        await corpus.append(STRAY, FIRST, a_decision(0), blobs=[SMALL, LARGE, b"nothing names it"])
        await corpus.append(SECOND, EPISODE, an_episode("h", split="holdout"), blobs=[b"\xff state"])
    with VerdictLedger(ledger_beside(held)) as ledger:
        await ledger.append(verdict("search"), verdict("holdout", "h"))
    return held


async def test_what_a_finished_episode_reaches_comes_back(path: Path, tmp_path: Path) -> None:
    counts = await pack(path, tmp_path / "a.zst", LABEL)
    assert counts == {"attempt": 2, "decision": 1, "episode": 2, "blob": 1, "blob64": 2, "verdict": 1}
    assert label_of(tmp_path / "a.zst") == check(tmp_path / "a.zst") == LABEL
    assert await unpack(tmp_path / "a.zst", tmp_path / "b.db") == LABEL
    async with SqliteCorpus.open_readonly(tmp_path / "b.db") as corpus:
        held = [record async for record in corpus.arrivals()]
        assert held == [FIRST, a_decision(0), SECOND, EPISODE, an_episode("h", split="holdout")]
        assert await corpus.blob(digest_bytes(LARGE)) == LARGE
        assert {digest async for digest in corpus.blob_digests()} == {
            digest_bytes(b) for b in (SMALL, LARGE, b"\xff state")
        }
    with VerdictLedger(ledger_beside(tmp_path / "b.db")) as ledger:
        assert await ledger.held("v-e") == verdict("search")
        assert await ledger.held("v-h") is None  # no verdict of a holdout leaves its ledger


async def test_the_same_corpus_is_the_same_bytes_and_twice_is_once(path: Path, tmp_path: Path) -> None:
    await pack(path, tmp_path / "a.zst", LABEL)
    for _ in range(2):
        await unpack(tmp_path / "a.zst", tmp_path / "b.db")
    await pack(tmp_path / "b.db", tmp_path / "b.zst", LABEL)
    assert (tmp_path / "a.zst").read_bytes() == (tmp_path / "b.zst").read_bytes()
    async with SqliteCorpus.open_readonly(tmp_path / "b.db") as corpus:
        assert len(await listed(corpus.scan(Attempt))) == 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
async def test_a_wrong_or_missing_byte_is_refused(
    path: Path, tmp_path: Path, where: float, bit: int, cut: bool
) -> None:
    file = tmp_path / "whole.zst"
    if not file.exists():
        await pack(path, file, LABEL)
    raw = bytearray(file.read_bytes())
    at = int(where * len(raw))
    if cut:
        raw = raw[:at]
    else:
        raw[at] ^= 1 << bit
    (tmp_path / "bad.zst").write_bytes(raw)
    try:
        check(tmp_path / "bad.zst")
    except UsageError:
        with pytest.raises(UsageError):
            await unpack(tmp_path / "bad.zst", tmp_path / "bad.db")
        assert not (tmp_path / "bad.db").exists()
        return
    unpacked = [zstandard.ZstdDecompressor().decompressobj().decompress(bytes(one)) for one in (raw, file.read_bytes())]
    assert unpacked[0] == unpacked[1]  # a bit of the frame that says nothing


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def edited(file: Path, change: str, to: str) -> Path:
    text = zstandard.ZstdDecompressor().decompressobj().decompress(file.read_bytes()).decode()
    assert change in text
    file.write_bytes(zstandard.ZstdCompressor().compress(text.replace(change, to, 1).encode()))
    return file


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        ('{"blob":"small"}', '{"blob":"other"}', "names a blob that is not there"),
        ('"tiller_pack":1', '"tiller_pack":2', "this Tiller reads version 1"),
        ('{"header":', '{"heading":', "it has no header"),
        ('{"episode":', '{"episodes":', "no line is a episodes"),
        ('"score":1.0', '"score":"x"', "a verdict cannot be read"),
        ('{"end":{"attempt":2', '{"end":{"attempt":3', "cut off or edited"),
    ],
)
async def test_what_was_edited_is_refused(path: Path, tmp_path: Path, change: str, to: str, says: str) -> None:
    await pack(path, tmp_path / "a.zst", LABEL)
    with pytest.raises(UsageError, match=says):
        check(edited(tmp_path / "a.zst", change, to))


async def test_what_is_in_the_way_or_no_pack_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "a.zst").write_text("mine")
    with pytest.raises(UsageError, match="in the way"):
        await pack(path, tmp_path / "a.zst", LABEL)
    for read in (check, label_of):
        with pytest.raises(UsageError, match=r"a\.zst: is no readable pack"):
            read(tmp_path / "a.zst")
    with pytest.raises(UsageError, match="no such corpus"):
        await pack(tmp_path / "none.db", tmp_path / "b.zst", LABEL)


async def test_a_corpus_that_lacks_a_blob_is_not_packed(tmp_path: Path) -> None:
    async with SqliteCorpus(tmp_path / "a.db") as corpus:
        await corpus.append(FIRST, an_episode("e").model_copy(update={"attempt_ids": (FIRST.id,)}))
    with pytest.raises(StoreError, match="no blob"):
        await pack(tmp_path / "a.db", tmp_path / "a.zst", LABEL)
    assert names(tmp_path) == ["a.db"]


async def test_short_attempts_take_less_than_a_kilobyte_each(tmp_path: Path) -> None:
    drawn = random.Random(0)
    words = [
        "def",
        "return",
        "for",
        "x",
        "y",
        "in",
        "range",
        "if",
        "else",
        "sum",
        "len",
        "not",
        "(",
        ")",
        ":",
        "+",
        "[",
    ]
    async with SqliteCorpus(tmp_path / "a.db") as corpus:
        records: list[Attempt | Episode] = []
        blobs: list[bytes] = []
        for n in range(80):
            outputs = [" ".join(drawn.choices(words, k=60)).encode() for _ in range(5)]
            attempts = [
                an_attempt(i, episode=str(n)).model_copy(update={"output_digest": digest_bytes(output)})
                for i, output in enumerate(outputs)
            ]
            episode = an_episode(str(n)).model_copy(update={"attempt_ids": tuple(one.id for one in attempts)})
            records += [*attempts, episode]
            blobs += outputs
        await corpus.append(*records, blobs=blobs)
    await pack(tmp_path / "a.db", tmp_path / "a.zst", LABEL)
    assert len((tmp_path / "a.zst").read_bytes()) < 300_000
    assert json.loads(label_of(tmp_path / "a.zst").model_dump_json())["licence"] == "MIT, (c) Me"
