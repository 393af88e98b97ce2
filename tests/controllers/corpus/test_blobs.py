"""Blobs come back as they were, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.corpus.blobs import Blob, BlobFolder, Packer, checked
from signatures.errors import StoreError

LARGE = Blob.of(bytes(range(256)) * 1000)


@given(st.binary(max_size=5000))
def test_packing_and_unpacking_give_the_bytes_back(data: bytes) -> None:
    packer = Packer()
    assert packer.unpack(packer.pack(data), "it") == data
    assert checked(Blob.of(data).digest, data) == data


@given(st.lists(st.binary(max_size=2000), max_size=20))
def test_packing_all_is_packing_each(parts: list[bytes]) -> None:
    packer = Packer()
    assert [packer.unpack(frame, "it") for frame in packer.pack_all(parts)] == parts


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_other_bytes_under_a_digest_are_refused(one: bytes, other: bytes) -> None:
    if one == other:
        assert checked(Blob.of(one).digest, other) == one
    else:
        with pytest.raises(StoreError, match="is damaged"):
            checked(Blob.of(one).digest, other)


def test_a_damaged_frame_names_what_it_was() -> None:
    with pytest.raises(StoreError, match="blob x is damaged"):
        Packer().unpack(b"not a frame", "blob x")


def test_files_are_written_once_and_read_back(tmp_path: Path) -> None:
    folder = BlobFolder(tmp_path / "corpus.db")
    folder.write([LARGE])
    (file,) = folder.path.iterdir()
    before = file.stat()
    folder.write([LARGE, Blob.of(b"second")])
    assert file.stat() == before
    assert folder.read(LARGE.digest) == LARGE.data
    assert folder.read(Blob.of(b"second").digest) == b"second"
    assert folder.size() == sum(file.stat().st_size for file in folder.path.iterdir()) < len(LARGE.data)


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    folder = BlobFolder(tmp_path / "corpus.db")
    folder.write([LARGE, Blob.of(b"other")])
    (folder.path / f"{LARGE.digest}.zst").write_bytes((folder.path / f"{Blob.of(b'other').digest}.zst").read_bytes())
    with pytest.raises(StoreError, match="is damaged"):
        folder.read(LARGE.digest)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    folder = BlobFolder(tmp_path / "corpus.db")
    too_long = Blob("x" * 300, b"no file system takes this name")
    with pytest.raises(OSError, match="name too long"):
        folder.write([too_long])
    assert list(folder.path.iterdir()) == []
