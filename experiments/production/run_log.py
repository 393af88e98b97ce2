"""Which episodes of a production run began, under which release, and which have ended: what a killed run goes on by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pydantic import Field, ValidationError

from controllers.jsonlog import JsonLog, read_jsonlog
from signatures.errors import StoreError, UsageError
from signatures.records import Record
from signatures.release import Release

FILE: Final = "episodes.jsonl"


class Entry(Record):
    """One line: what the run is of, a release that decided, or an episode that began or ended."""

    identity: str | None = None
    "of tasks, benchmark and worker"
    release: Release | None = None
    number: int | None = Field(default=None, ge=0)
    "of an episode, from 0"
    under: str | None = None
    "digest of the release that the episode began with"
    episode: str | None = None
    "id of the episode's record: it has ended"
    failed: bool = False
    "infrastructure ended it"


@dataclass
class Standing:
    """Where one episode stands."""

    under: str
    episode: str | None = None
    failed: bool = False

    @property
    def done(self) -> bool:
        """Whether there is nothing left to play."""
        return self.episode is not None and not self.failed


class RunLog:
    """The log of one run folder; opened again, it knows what was written before.

    Raises UsageError where the run was begun with other tasks or another worker, StoreError where it cannot be used.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        path = folder / FILE
        self.releases: dict[str, Release] = {}
        self.standing: dict[int, Standing] = {}
        self._identity: str | None = None
        for entry in _entries(path):
            self._take(entry)
        if self._identity not in (None, identity):
            raise UsageError(f"{folder}: was begun with other tasks, another benchmark or another worker")
        self._log = JsonLog(path)
        if self._identity is None:
            self._write(Entry(identity=identity))

    def began(self, number: int, release: Release) -> None:
        """Return when it is on disk. Raises StoreError."""
        if release.digest not in self.releases:
            self._write(Entry(release=release))
        self._write(Entry(number=number, under=release.digest))

    def ended(self, number: int, episode: str, *, failed: bool) -> None:
        """Return when it is on disk. Raises StoreError."""
        self._write(Entry(number=number, episode=episode, failed=failed))

    def played(self) -> Mapping[str, list[str]]:
        """Release -> ids of the episodes that ended under it, the failed ones too."""
        found: dict[str, list[str]] = {digest: [] for digest in self.releases}
        for number in sorted(self.standing):
            one = self.standing[number]
            if one.episode is not None:
                found[one.under].append(one.episode)
        return {digest: ids for digest, ids in found.items() if ids}

    def close(self) -> None:
        """Close the file."""
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _write(self, entry: Entry) -> None:
        self._log.append(entry.model_dump(mode="json", exclude_none=True))
        self._take(entry)

    def _take(self, entry: Entry) -> None:
        if entry.identity is not None:
            self._identity = entry.identity
        if entry.release is not None:
            self.releases[entry.release.digest] = entry.release
        if entry.number is None:
            return
        if entry.under is not None:
            self.standing[entry.number] = Standing(entry.under)
        elif entry.episode is not None:
            begun = self.standing[entry.number]
            begun.episode, begun.failed = entry.episode, entry.failed


def _entries(path: Path) -> Iterator[Entry]:
    for number, found in enumerate(read_jsonlog(path), 1):
        try:
            yield Entry.model_validate_json(json.dumps(found))
        except ValidationError as error:
            raise StoreError(f"{path}:{number}: is no line of a production run") from error
