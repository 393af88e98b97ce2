"""Small files of a run folder that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from signatures.errors import StoreError


def read_whole(path: Path) -> str | None:
    """What `write_whole` wrote; None where there is no such file. Raises StoreError."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all. Raises StoreError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error}") from error
