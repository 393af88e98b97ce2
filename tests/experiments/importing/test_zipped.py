"""Members of zip files (the zstandard ones: see the twin of `from_inspect`)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from experiments.importing.zipped import member, zipped
from signatures.errors import UsageError


def test_a_member_comes_back(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("x", b"data" * 100)
    with zipped(tmp_path / "a.zip") as opened:
        assert member(opened, "x") == b"data" * 100


def test_what_says_it_is_huge_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as new:
        new.writestr("x", b"data" * 100)
    with zipped(tmp_path / "a.zip") as opened, pytest.raises(UsageError, match="x has 400 bytes"):
        member(opened, "x", most=10)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UsageError, match=r"a\.zip: is no readable zip file"), zipped(tmp_path / "a.zip"):
        pass
