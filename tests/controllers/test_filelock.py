"""One holder at a time, also across processes; closing or dying lets go."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controllers.filelock import hold

HOLDER = """
import sys
from pathlib import Path
from controllers.filelock import hold
lock = hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def another_holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        try:
            yield child
        finally:
            child.kill()


def test_what_another_process_holds_is_refused_until_that_process_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "it.lock"
    with another_holder(path) as child:
        with pytest.raises(BlockingIOError):
            hold(path)
        child.kill()
        child.wait(timeout=60)
        with hold(path) as mine:
            assert not mine.closed


def test_closing_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "it.lock"
    with hold(path), pytest.raises(BlockingIOError):
        hold(path)
    with another_holder(path):
        pass


def test_the_file_and_its_folder_are_made_where_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "it.lock"
    with hold(path):
        assert path.read_bytes() == b""


def test_what_the_file_holds_stays(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"one\n")
    with hold(path):
        assert path.read_bytes() == b"one\n"
    assert path.read_bytes() == b"one\n"


def test_a_file_that_cannot_be_opened_is_no_held_one(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(IsADirectoryError):
        hold(tmp_path)
    with pytest.raises((FileExistsError, NotADirectoryError)):
        hold(tmp_path / "plain" / "it.lock")
