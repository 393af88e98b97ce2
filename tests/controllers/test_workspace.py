"""A folder as text and back."""

from __future__ import annotations

import base64
import io
import os
import socket
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.workspace import pack, unpack
from signatures.errors import UsageError

NAMES = st.text("abcé .-", min_size=1, max_size=8).filter(lambda name: name.strip(". ") != "")
FILES = st.dictionaries(st.tuples(NAMES, NAMES), st.binary(max_size=200), max_size=6)


@settings(max_examples=40)
@given(FILES)
def test_packing_and_unpacking_gives_the_same_folder_and_text(files: dict[tuple[str, str], bytes]) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        for (folder, name), data in files.items():
            (Path(one) / f"d{folder}").mkdir(exist_ok=True)
            (Path(one) / f"d{folder}" / name).write_bytes(data)
        state = pack(Path(one), 10_000)
        assert state is not None
        unpack(state, Path(two) / "copy")
        for (folder, name), data in files.items():
            assert (Path(two) / "copy" / f"d{folder}" / name).read_bytes() == data
        assert pack(Path(two) / "copy", 10_000) == state


def test_modes_and_links_are_kept_and_sockets_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    folder.mkdir()
    (folder / "run.sh").write_text("true")
    (folder / "run.sh").chmod(0o755)
    (folder / "absolute").symlink_to("/usr/bin/env")
    os.link(folder / "run.sh", folder / "same")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        state = pack(folder, 1000)
    assert state is not None
    unpack(state, tmp_path / "copy")
    assert (tmp_path / "copy/run.sh").stat().st_mode & 0o777 == 0o755
    assert os.readlink(tmp_path / "copy/absolute") == "/usr/bin/env"  # noqa: PTH115  # the text, not the target
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["absolute", "run.sh", "same"]


def test_times_do_not_show(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    first = pack(tmp_path, 100)
    os.utime(tmp_path / "a", (1, 1))
    assert pack(tmp_path, 100) == first


def test_a_folder_over_the_limit_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(101))
    assert pack(tmp_path, 100) is None
    assert pack(tmp_path, 101) is not None


@pytest.mark.parametrize("state", ["not base64!", "bm8gdGFy"])
def test_other_text_is_refused(state: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a workspace"):
        unpack(state, tmp_path / "w")


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../escaped"))
    with pytest.raises(UsageError, match="not a workspace"):
        unpack(base64.b64encode(buffer.getvalue()).decode(), tmp_path / "w")
    assert not (tmp_path / "escaped").exists()
