"""The three files of a release on disk: read as plain files of sane size, written whole, parsed without surprises."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Final, Never

from pydantic import JsonValue

from controllers.durable import sync_folder, write_file
from signatures.errors import ReleaseRefused, StoreError

MANIFEST: Final = "manifest.json"
STATE: Final = "state.json"
REPORT: Final = "report.json"
FILES: Final = (MANIFEST, STATE, REPORT)
MOST_BYTES: Final = 8 * 1024 * 1024
"""Of one file: a release is texts, rules and a report."""
MOST_DEEP: Final = 64
"""Objects and lists inside each other."""

Files = Mapping[str, bytes]
"""The three files of a release by name."""


def read_files(folder: Path) -> Files:
    """The files of a release folder, of one moment where the folder is a link that moves.

    Raises StoreError; ReleaseRefused for a file that is missing, does not belong, or is not plain.
    """
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read as a release: {error}") from error
    try:
        with os.scandir(opened) as entries:
            there = sorted(entry.name for entry in entries)
        for name in FILES:
            if name not in there:
                raise ReleaseRefused(f"{folder}: {name} is missing; a release is {', '.join(FILES)}")
        if foreign := [name for name in there if name not in FILES]:
            raise ReleaseRefused(
                f"{folder}: {foreign[0]!r} does not belong to a release, which is {', '.join(FILES)} alone"
            )
        return {name: read_plain(folder / name, opened) for name in FILES}
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read as a release: {error}") from error
    finally:
        os.close(opened)


def read_plain(path: Path, folder: int | None = None) -> bytes:
    """The bytes of a plain file of at most `MOST_BYTES`; no link is followed, no pipe waited for.

    `folder`: the descriptor of the open folder that it is in. Raises StoreError and ReleaseRefused.
    """
    name = path if folder is None else path.name
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        data = _bytes(name, folder) if stat.S_ISREG(about.st_mode) else None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    if data is None:
        raise ReleaseRefused(f"{path}: is no plain file of at most {MOST_BYTES} bytes")
    return data


def _bytes(name: Path | str, folder: int | None) -> bytes | None:
    """None where it is no plain file any more, or too large."""
    opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        about = os.fstat(opened)
        if not stat.S_ISREG(about.st_mode) or about.st_size > MOST_BYTES:
            return None
        with os.fdopen(opened, "rb", closefd=False) as file:
            data = file.read(MOST_BYTES + 1)
        return None if len(data) > MOST_BYTES else data
    finally:
        os.close(opened)


def write_files(folder: Path, files: Files) -> None:
    """Write a release into an existing, empty folder, its manifest last; what was written of one that fails is taken
    back, and without a manifest it would not load. Raises StoreError.
    """
    try:
        if sorted(files) != sorted(FILES) or any(folder.iterdir()):
            raise StoreError(f"{folder}: a release is {', '.join(FILES)} in an empty folder")
        for name in (STATE, REPORT, MANIFEST):
            write_file(folder / name, files[name])
        sync_folder(folder)
    except OSError as error:
        for name in (MANIFEST, STATE, REPORT):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        raise StoreError(f"{folder}: the release cannot be written: {error}") from error


def parsed(data: bytes | str, where: str) -> dict[str, JsonValue]:
    """The JSON object in UTF-8 `data`. Raises ReleaseRefused for anything that two parsers could read differently.

    That is: another encoding, a key that stands twice, NaN and infinities, and nesting beyond `MOST_DEEP`.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        found = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
    except UnicodeDecodeError as error:
        raise ReleaseRefused(f"{where}: not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise ReleaseRefused(f"{where}: not JSON: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(found, dict):
        raise ReleaseRefused(f"{where}: not a JSON object")
    _require_shallow(found, where)
    return found


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:80]!r} stands twice in one object")
    return made


def _constant(name: str) -> Never:
    raise ValueError(f"{name} is no number")


def _float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _require_shallow(found: JsonValue, where: str) -> None:
    level: list[JsonValue] = [found]
    for _ in range(MOST_DEEP + 1):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise ReleaseRefused(f"{where}: nested deeper than {MOST_DEEP}")
