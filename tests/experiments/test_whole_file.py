"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.whole_file import read_whole, write_whole
from signatures.errors import StoreError


def test_what_was_written_is_read_and_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "note.json"
    assert read_whole(file) is None
    for text in ("{}\n", "größer\n"):
        write_whole(file, text)
        assert read_whole(file) == text
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_read_or_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        read_whole(tmp_path / "folder")
    with pytest.raises(StoreError, match="cannot be written"):
        write_whole(tmp_path / "nowhere" / "note.json", "{}")
    (tmp_path / "damaged").write_bytes(b"\xff")
    with pytest.raises(StoreError, match="cannot be read"):
        read_whole(tmp_path / "damaged")
