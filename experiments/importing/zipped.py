"""Members of a zip file, also those packed with zstandard, which Python's own reader of this age does not unpack."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import zstandard

from signatures.errors import UsageError

ZSTANDARD: Final = 93
"""Compression method 93 of the zip format (APPNOTE 6.3.7, section 4.4.5)."""
_HEADER: Final = struct.Struct("<4s5H3I2H")
MOST_BYTES: Final = 1 << 30
"""A member that says it is larger is refused: a few bytes can unpack to anything."""


@contextmanager
def zipped(file: Path) -> Iterator[zipfile.ZipFile]:
    """The zip file. Raises UsageError where it is none, or is damaged where it is read."""
    try:
        with zipfile.ZipFile(file) as opened:
            yield opened
    except (OSError, zipfile.BadZipFile, zlib.error, zstandard.ZstdError, EOFError, NotImplementedError) as error:
        raise UsageError(f"{file}: is no readable zip file: {error}") from error


def member(opened: zipfile.ZipFile, name: str, *, most: int = MOST_BYTES) -> bytes:
    """The bytes of a member, checked. Raises what `zipped` maps, and UsageError for one that is too large."""
    info = opened.getinfo(name)
    if info.file_size > most:
        raise UsageError(f"{opened.filename}: {name} has {info.file_size} bytes, more than {most}")
    if info.compress_type != ZSTANDARD:
        return opened.read(name)
    with Path(str(opened.filename)).open("rb") as raw:
        raw.seek(info.header_offset)
        fields = _HEADER.unpack(raw.read(_HEADER.size))
        raw.seek(fields[-2] + fields[-1], 1)  # the local header's own name and extra field
        packed = raw.read(info.compress_size)
    data = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile(f"{name} is damaged")
    return data
