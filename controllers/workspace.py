"""A folder as text, and back: how a worker's workspace travels as the state of an attempt."""

from __future__ import annotations

import base64
import io
import os
import tarfile
from pathlib import Path

from signatures.errors import UsageError


def pack(folder: Path, limit_bytes: int) -> str | None:
    """The folder as a base64 tar: equal content gives equal text. None where its files hold over `limit_bytes`.

    Names, modes, links and contents are kept; owners and times are not. Links are not followed; sockets and devices
    are left out.
    """
    paths = sorted(_below(folder))
    if sum(path.lstat().st_size for path in paths if path.is_file() and not path.is_symlink()) > limit_bytes:
        return None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in paths:
            info = archive.gettarinfo(path, arcname=str(path.relative_to(folder)))
            if info is None or not (info.isreg() or info.isdir() or info.issym() or info.islnk()):
                continue
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            if info.isreg():
                with path.open("rb") as file:
                    archive.addfile(info, file)
            else:
                archive.addfile(info)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def unpack(state: str, folder: Path) -> None:
    """Make `folder` from what `pack` gave. Nothing is written outside it. Raises UsageError for other text."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(state, validate=True))) as archive:
            # Not `data`: it refuses the absolute links that virtual environments are made of.
            archive.extractall(folder, filter="tar")
    except (ValueError, tarfile.TarError) as error:
        raise UsageError(f"the start state is not a workspace: {error}") from error


def _below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for root, folders, files in os.walk(folder):
        found += [Path(root) / name for name in (*folders, *files)]
    return found
