"""Folders are made with those above them, files hold what was written, and what cannot be made is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.durable import make_folder, sync_folder, write_file


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    make_folder(tmp_path / "a")
    (tmp_path / "a" / "file").write_bytes(b"kept")
    make_folder(tmp_path / "a")
    assert (tmp_path / "a" / "file").read_bytes() == b"kept"


def test_no_folder_is_made_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"kept")
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(FileExistsError):
            make_folder(path)
    assert (tmp_path / "a").read_bytes() == b"kept"


def test_only_a_folder_that_is_there_is_synced(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "missing")


@given(before=st.binary(max_size=200), data=st.binary(max_size=200))
def test_a_file_holds_the_last(tmp_path_factory: pytest.TempPathFactory, before: bytes, data: bytes) -> None:
    path = tmp_path_factory.mktemp("files") / "file"
    write_file(path, before)
    write_file(path, data)
    assert path.read_bytes() == data


def test_no_file_is_written_where_there_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "missing" / "file", b"data")
    assert not (tmp_path / "missing").exists()
