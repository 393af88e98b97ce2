"""An append-only, fsynced log of JSON lines: what survives a kill, for journals and event streams."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from signatures.digest import canonical_json
from signatures.errors import StoreError


class JsonLog:
    """One writer's log. A torn last line (a kill in mid-write) is dropped on open; any other damage is an error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._drop_torn_tail()
            self._file = path.open("ab")
        except OSError as error:
            raise StoreError(f"{path}: cannot open for appending: {error}") from error

    def append(self, entry: dict[str, object]) -> None:
        """Write `entry` as one line; return when it is on disk. Raises StoreError."""
        line = canonical_json(entry).encode("utf-8", "surrogatepass") + b"\n"
        if self._file.closed:
            raise StoreError(f"{self.path}: cannot append: the log is closed")
        before = self._file.tell()
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self._take_back(before)
            raise StoreError(f"{self.path}: cannot append: {error}") from error

    def close(self) -> None:
        """Close the file; further appends fail."""
        self._file.close()

    def _take_back(self, size: int) -> None:
        """Undo half a write, so that the next line does not join it; where even that fails the log is closed."""
        with suppress(OSError):
            self._file.close()
        try:
            os.truncate(self.path, size)
            self._file = self.path.open("ab")
        except OSError:
            return

    def _drop_torn_tail(self) -> None:
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self.path.open("r+b") as file:
                file.truncate(whole)
                os.fsync(file.fileno())


def read_jsonlog(path: Path) -> Iterator[dict[str, object]]:
    """The entries of a log, oldest first; a torn last line is left out. Raises StoreError naming a bad line."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(lines[:-1], 1):
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise StoreError(f"{path}:{number}: not a JSON line: {error}") from error
        if not isinstance(entry, dict):
            raise StoreError(f"{path}:{number}: not a JSON object")
        yield entry
