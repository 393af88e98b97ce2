from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.jsonlog import JsonLog, read_jsonlog
from signatures.errors import StoreError

ENTRIES = st.lists(st.dictionaries(st.text(), st.none() | st.integers() | st.text(), max_size=3), max_size=6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "log.jsonl"


def written(path: Path, *entries: dict[str, object]) -> None:
    log = JsonLog(path)
    for entry in entries:
        log.append(entry)
    log.close()


@given(entries=ENTRIES)
def test_entries_come_back_in_order(tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, object]]) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    written(path, *entries[:2])
    written(path, *entries[2:])
    assert list(read_jsonlog(path)) == entries


def test_an_entry_can_be_read_as_soon_as_it_was_appended(path: Path) -> None:
    log = JsonLog(path)
    log.append({"n": 1})
    assert list(read_jsonlog(path)) == [{"n": 1}]
    log.append({"n": 2})
    assert list(read_jsonlog(path)) == [{"n": 1}, {"n": 2}]
    log.close()


@pytest.mark.parametrize("cut", range(1, 17))
def test_a_torn_tail_is_dropped_wherever_the_kill_came(path: Path, cut: int) -> None:
    written(path, {"n": 1}, {"text": "Gr\u00fc\u00dfe"})
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert list(read_jsonlog(path)) == [{"n": 1}]
    written(path, {"n": 3})
    assert list(read_jsonlog(path)) == [{"n": 1}, {"n": 3}]


def test_a_log_that_holds_only_a_torn_line_is_empty(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"n": 1')
    assert list(read_jsonlog(path)) == []
    written(path)
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("line", "what"), [(b"{torn}", "not a JSON line"), (b"", "not a JSON line"), (b"[1]", "not a JSON object")]
)
def test_a_damaged_line_in_the_middle_is_named(path: Path, line: bytes, what: str) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"n":1}\n' + line + b'\n{"n":3}\n')
    entries = read_jsonlog(path)
    assert next(entries) == {"n": 1}
    with pytest.raises(StoreError, match=f"log.jsonl:2: {what}"):
        next(entries)


def test_a_log_that_is_not_there_has_no_entries(path: Path) -> None:
    assert list(read_jsonlog(path)) == []


def test_any_text_makes_the_round_trip(path: Path) -> None:
    written(path, {"text": "a\ud800b\u2028\n"})
    assert list(read_jsonlog(path)) == [{"text": "a\ud800b\u2028\n"}]


def test_what_is_no_json_is_refused_and_leaves_no_trace(path: Path) -> None:
    log = JsonLog(path)
    with pytest.raises(ValueError, match="JSON"):
        log.append({"n": float("nan")})
    with pytest.raises(TypeError):
        log.append({"n": object()})
    log.append({"n": 1})
    log.close()
    assert list(read_jsonlog(path)) == [{"n": 1}]


def test_a_closed_log_takes_nothing(path: Path) -> None:
    log = JsonLog(path)
    log.close()
    with pytest.raises(StoreError, match="closed"):
        log.append({"n": 1})


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open"):
        JsonLog(tmp_path / "file" / "log.jsonl")


def test_a_read_only_folder_is_a_store_error(tmp_path: Path) -> None:
    folder = tmp_path / "fixed"
    folder.mkdir(mode=0o500)
    if _writable(folder):
        folder = Path("/proc/self")  # root may write into any folder of a disk, but not here
    with pytest.raises(StoreError, match="cannot open"):
        JsonLog(folder / "log.jsonl")


def _writable(folder: Path) -> bool:
    try:
        (folder / "try").write_text("")
    except OSError:
        return False
    return True


def test_a_log_that_cannot_be_read_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        list(read_jsonlog(tmp_path))
    with pytest.raises(StoreError, match="cannot open"):
        JsonLog(tmp_path)
