"""Content-addressed blobs: packed with zstd, the small ones for the database, the large ones as files beside it.

A file gets its name only when it is whole and on disk; a process killed before that leaves a hidden temporary
file that nothing reads.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import zstandard

from controllers.durable import make_folder, sync_folder
from signatures.digest import digest_bytes
from signatures.errors import StoreError

SMALL_BYTES: Final = 64 * 1024
"""Below this raw size a blob goes into the database: a file costs two fsyncs of its own."""

LEVEL: Final = 1
"""zstd level: on traces of 2-3 KB level 3 takes a third more time and saves nothing."""


class Blob(NamedTuple):
    """Bytes and the name they have by content."""

    digest: str
    data: bytes

    @classmethod
    def of(cls, data: bytes) -> Blob:
        """Name `data`."""
        return cls(digest_bytes(data), data)


class Packer:
    """Packs bytes into zstd frames and back. It reuses its contexts, so each thread needs its own."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self._decompressor = zstandard.ZstdDecompressor()

    def pack(self, data: bytes) -> bytes:
        """`data` as one frame."""
        return self._compressor.compress(data)

    def pack_all(self, parts: Sequence[bytes]) -> list[bytes]:
        """Each as one frame. One call for all lets go of the interpreter once, and not once for each."""
        if not any(parts) or "multi_compress_to_buffer" not in zstandard.backend_features:  # it refuses nothing at all
            return [self.pack(data) for data in parts]
        frames = self._compressor.multi_compress_to_buffer([*parts])
        return [frames[index].tobytes() for index in range(len(frames))]

    def unpack(self, frame: bytes, what: str) -> bytes:
        """The bytes in `frame`. Raises StoreError naming `what` is damaged."""
        try:
            return self._decompressor.decompress(frame)
        except zstandard.ZstdError as error:
            raise StoreError(f"{what} is damaged: {error}") from error


def checked(digest: str, data: bytes) -> bytes:
    """`data`, if it is what `digest` names. Raises StoreError."""
    if digest_bytes(data) != digest:
        raise StoreError(f"blob {digest} is damaged: its content has digest {digest_bytes(data)}")
    return data


class BlobFolder:
    """The large blobs of one corpus: the folder `<database>.blobs`, one file each, `<digest>.zst`."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".blobs")

    def write(self, blobs: Iterable[Blob]) -> None:
        """Return when all are on disk under their names. Raises OSError."""
        make_folder(self.path)
        for blob in blobs:
            final = self._file(blob.digest)
            if not final.exists():
                self._write_whole(final, zstandard.ZstdCompressor(level=LEVEL).compress(blob.data))
        sync_folder(self.path)

    def read(self, digest: str) -> bytes:
        """The bytes of that name, checked. Raises StoreError, and OSError where the file is not there."""
        return checked(digest, Packer().unpack(self._file(digest).read_bytes(), f"blob {digest}"))

    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.stat().st_size for file in self.path.glob("*.zst"))

    def _file(self, digest: str) -> Path:
        return self.path / f"{digest}.zst"

    def _write_whole(self, final: Path, frame: bytes) -> None:
        temporary = self.path / f".{uuid.uuid4().hex}"
        try:
            with temporary.open("xb") as file:
                file.write(frame)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(final)
        finally:
            temporary.unlink(missing_ok=True)  # gone already where the file took its place
