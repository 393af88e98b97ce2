"""A lock on a file that one process holds at a time, and that the system takes back from a process that dies."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import BinaryIO


def hold(path: Path) -> BinaryIO:
    """Lock a file, which is made with its folder where there is none; closing what is returned lets go.

    Waits for nobody. Raises BlockingIOError where it is held already, OSError where it cannot be opened or locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file
