from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.release_files import (
    FILES,
    MANIFEST,
    MOST_BYTES,
    MOST_DEEP,
    REPORT,
    STATE,
    parsed,
    read_files,
    read_plain,
    write_files,
)
from signatures.errors import ReleaseRefused, StoreError
from tests.worlds.signed import put

THREE = {MANIFEST: b"{}", STATE: b'{"a": 1}', REPORT: b"{}"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_files(tmp_path, THREE)
    assert read_files(tmp_path) == THREE


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    put(tmp_path, THREE)
    (tmp_path / name).unlink()
    with pytest.raises(ReleaseRefused, match=f"{name} is missing"):
        read_files(tmp_path)


class Runs:
    """What a pickle would do to whoever loads it."""

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, ("ran",))


@pytest.mark.parametrize("name", ["program.pkl", "state.pkl", "MLmodel", "state.json.bak", ".hidden", "a\nb"])
def test_a_file_that_does_not_belong_is_refused_and_not_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "r", THREE)
    (tmp_path / "r" / name).write_bytes(pickle.dumps(Runs()))
    with pytest.raises(ReleaseRefused, match="does not belong") as refused:
        read_files(tmp_path / "r")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["link", "hanging", "folder", "pipe", "huge"])
def test_only_plain_files_of_sane_size_are_read(tmp_path: Path, name: str, kind: str) -> None:
    folder = tmp_path / "r"
    put(folder, THREE)
    (folder / name).unlink()
    if kind == "link":
        (tmp_path / "elsewhere").write_bytes(THREE[name])
        (folder / name).symlink_to(tmp_path / "elsewhere")
    elif kind == "hanging":
        (folder / name).symlink_to(tmp_path / "nowhere")
    elif kind == "folder":
        (folder / name).mkdir()
    elif kind == "pipe":
        os.mkfifo(folder / name)
    else:
        with (folder / name).open("wb") as file:
            file.truncate(MOST_BYTES + 1)
    with pytest.raises(ReleaseRefused, match=f"{name}: is no plain file"):
        read_files(folder)


def test_a_folder_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", Path(__file__)):
        with pytest.raises(StoreError, match="cannot be read as a release"):
            read_files(path)
    with pytest.raises(StoreError, match="cannot be read"):
        read_plain(tmp_path / "nowhere")


def test_the_folder_itself_may_be_a_link_that_moves(tmp_path: Path) -> None:
    put(tmp_path / "v1", THREE)
    (tmp_path / "current").symlink_to("v1")
    assert read_files(tmp_path / "current") == THREE


def test_a_folder_that_holds_something_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(StoreError, match="empty folder"):
        write_files(tmp_path, THREE)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    with pytest.raises(StoreError):
        write_files(tmp_path, {MANIFEST: b""})


FULL = """
import resource, signal, sys
from pathlib import Path
from controllers.release_files import MANIFEST, REPORT, STATE, write_files
from signatures.errors import StoreError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
files = {MANIFEST: b"m", STATE: b"s", REPORT: b"r"}
for large in files:
    try:
        write_files(Path(sys.argv[1]), {**files, large: b"x" * 2000})
    except StoreError as error:
        assert "cannot be written" in str(error), error
    else:
        sys.exit("it was written")
    assert list(Path(sys.argv[1]).iterdir()) == []
"""


def test_a_full_disk_leaves_nothing_half(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


@given(st.dictionaries(st.text(), JSON, max_size=3))
def test_ordinary_json_is_read_as_json_reads_it(value: dict[str, object]) -> None:
    assert parsed(json.dumps(value), "x") == json.loads(json.dumps(value))
    assert parsed(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), "x") is not None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"1", "not a JSON object"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": 1e999}', "too large a number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a": 1, "b": {"c": 1, "c": 1}}', "the key 'c' stands twice"),
        (b'{"a": 1} {"a": 2}', "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        (pickle.dumps({"a": 1}), "not UTF-8"),
        (b"[" * 200_000, "not JSON"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "not JSON"),
        (b'{"a":' * (MOST_DEEP + 1) + b"1" + b"}" * (MOST_DEEP + 1), "nested deeper"),
        (b'{"a":' + b"[" * 500 + b"]" * 500 + b"}", "nested deeper"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_two_parsers_could_read_differently_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ReleaseRefused, match=f"x: .*{why}"):
        parsed(data, "x")


def test_many_keys_that_stand_twice_are_refused_at_once() -> None:
    pairs = ",".join(f'"{n}":0' for n in range(200_000))
    with pytest.raises(ReleaseRefused, match="the key '199999' stands twice"):
        parsed(f'{{{pairs},"199999":0}}', "x")


def test_what_is_deep_enough_is_read() -> None:
    parsed(b'{"a":' * MOST_DEEP + b"1" + b"}" * MOST_DEEP, "x")
