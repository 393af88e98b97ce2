from __future__ import annotations

import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.worlds.terminal_tree import TREE_FILES, read_tree, wipe, write_tree

NAMES = st.text("abc-.é ", min_size=1, max_size=6).filter(lambda name: name not in (".", "..", "run"))
MODES = st.sampled_from((0o000, 0o311, 0o444, 0o600, 0o644, 0o755, 0o777))
FILES = st.tuples(st.just("f"), MODES, st.text(max_size=20)).map(list)
LINKS = st.tuples(st.just("l"), st.just(0o777), st.sampled_from(("a", "../x", "/nowhere"))).map(list)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, list[object]]:
    tree: dict[str, list[object]] = {}
    for folder in draw(st.lists(NAMES, max_size=3, unique=True)):
        tree[folder] = ["d", draw(MODES), ""]
        for name in draw(st.lists(NAMES, max_size=3, unique=True)):
            tree[f"{folder}/{name}"] = draw(FILES | LINKS)
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        if name not in tree:
            tree[name] = draw(FILES | LINKS)
    return tree


@given(tree=trees())
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read_back_and_can_be_wiped(tree: dict[str, list[object]]) -> None:
    umask = os.umask(0o077)
    try:
        with TemporaryDirectory() as home:
            write_tree(tree, home)
            assert read_tree(home) == tree
            assert read_tree(home) == tree, "reading leaves closed files and folders closed"
            wipe(home)
            assert list(Path(home).iterdir()) == []
    finally:
        os.umask(umask)


def test_bytes_pipes_and_what_stands_below_run(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    write_tree({"x": ["b", 0o640, "/wD/"], "run": ["d", 0o755, ""], "run/pid": ["f", 0o644, "1"]}, str(tmp_path))
    os.umask(umask)
    os.mkfifo(tmp_path / "pipe")
    assert (tmp_path / "x").read_bytes() == b"\xff\x00\xff"
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640
    assert read_tree(str(tmp_path)) == {"x": ["b", 0o640, "/wD/"], "run": ["d", 0o755, ""]}


def test_a_tree_that_is_too_large_is_refused(tmp_path: Path) -> None:
    for number in range(TREE_FILES + 1):
        (tmp_path / str(number)).touch()
    with pytest.raises(OverflowError):
        read_tree(str(tmp_path))
    wipe(str(tmp_path))
    for number in range(3):
        (tmp_path / str(number)).write_bytes(bytes(100_000))
    with pytest.raises(OverflowError):
        read_tree(str(tmp_path))
