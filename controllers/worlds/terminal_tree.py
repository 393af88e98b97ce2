"""A folder tree of a box, written and read inside it. Stdlib only: it runs in the box, beside `terminal_inside.py`.

A tree is `path -> [kind, mode, text]`: `d` folder, `f` text, `b` base64, `l` link.
"""

# pathlib would add a quarter to the start-up time
# ruff: noqa: PTH101, PTH108, PTH115, PTH106, PTH102, PTH118, PTH123, PTH211

from __future__ import annotations

import base64
import os

HOME = "/box"
TREE_FILES, TREE_BYTES = 400, 256 << 10
NOT_KEPT = "run"
"""Like /run of a machine: sockets, pipes and process ids, which no snapshot holds."""


def wipe(folder: str) -> None:
    """Remove all that is in a folder, whatever its modes."""
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, 0o700)
            wipe(entry.path)
            os.rmdir(entry.path)
        else:
            os.unlink(entry.path)


def write_tree(tree: dict[str, list[object]], home: str = HOME) -> None:
    """Make the tree: `path -> [kind, mode, text]`, kinds `d` folder, `f` text, `b` base64, `l` link."""
    folders = []
    os.umask(0)
    for path in sorted(tree):
        kind, mode, text = tree[path]
        place = os.path.join(home, path)
        if kind == "d":
            os.mkdir(place, 0o700)
            folders.append((place, mode))
        elif kind == "l":
            os.symlink(str(text), place)
        else:
            data = base64.b64decode(str(text)) if kind == "b" else str(text).encode()
            fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(fd, data)
            os.fchmod(fd, int(str(mode)))
            os.close(fd)
    for place, mode in reversed(folders):
        os.chmod(place, int(str(mode)))


def read_tree(home: str = HOME) -> dict[str, list[object]]:
    """The folder as `write_tree` takes it. Raises OverflowError where it is larger than a snapshot may be."""
    tree: dict[str, list[object]] = {}
    _read(home, "", tree, [0])
    return tree


def _read(folder: str, below: str, tree: dict[str, list[object]], size: list[int]) -> None:
    mode = os.lstat(folder).st_mode & 0o7777
    os.chmod(folder, mode | 0o700)
    try:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = below + entry.name
            if len(tree) >= TREE_FILES:
                raise OverflowError
            bits = entry.stat(follow_symlinks=False).st_mode & 0o7777
            name = path.encode("utf-8", "backslashreplace").decode()
            if entry.is_symlink():
                tree[name] = ["l", 0o777, os.fsencode(os.readlink(entry.path)).decode("utf-8", "backslashreplace")]
            elif entry.is_dir():
                tree[name] = ["d", bits, ""]
                if path != NOT_KEPT:
                    _read(entry.path, path + "/", tree, size)
            elif entry.is_file():
                tree[name] = _file(entry.path, bits, size)
    finally:
        os.chmod(folder, mode)


def _file(place: str, bits: int, size: list[int]) -> list[object]:
    if not bits & 0o400:
        os.chmod(place, bits | 0o400)
    with open(place, "rb") as file:
        data = file.read()
    if not bits & 0o400:
        os.chmod(place, bits)
    size[0] += len(data)
    if size[0] > TREE_BYTES:
        raise OverflowError
    try:
        return ["f", bits, data.decode()]
    except UnicodeDecodeError:
        return ["b", bits, base64.b64encode(data).decode()]
