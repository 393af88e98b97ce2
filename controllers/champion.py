"""The champion that production decides with: followed as its source moves, kept on disk for when the source is down."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from controllers.boundary import boundary
from controllers.durable import sync_folder, write_file
from controllers.release import ANYWHERE, Champion, Files, Here, ReleaseSource, loaded
from controllers.release_files import parsed, read_files, read_plain, write_files
from signatures.errors import InfraError, ReleaseRefused, StoreError, UsageError

CURRENT: Final = "current.json"
KEPT: Final = 16
"""Champions in memory; each episode keeps its own beside."""
REFUSED_POLLS: Final = 12
"""A release that was refused is looked at again after so many polls: it may have been mended in its place."""
_DIGEST: Final = re.compile(r"[0-9a-f]{24}")


class _Refused(NamedTuple):
    """A release that the source gives and that must not be loaded."""

    token: str
    polls: int
    "until it is looked at again"
    why: str


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


class ChampionWatch:
    """Follows a source of releases. What `current()` gives is whole: an episode keeps the one it began with.

    A source that is down, or a new release that is refused, changes nothing for whoever decides: the last good release
    goes on, from memory or, at the start, from the disk cache. Each problem is told once. Safe to share by threads.
    """

    def __init__(
        self,
        source: ReleaseSource,
        *,
        here: Here = ANYWHERE,
        cache: Path | None = None,
        every_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        told: Callable[[str], None] = _to_stderr,
    ) -> None:
        self.source = source
        self.here = here
        self.every_s = every_s
        self.clock = clock
        self.told = told
        self._cache = None if cache is None else ReleaseCache(cache)
        self._asking = threading.Lock()
        self._seen = threading.Lock()
        self._champions: OrderedDict[str, Champion] = OrderedDict()
        self._champion: Champion | None = None
        self._due = 0.0
        self._refused: _Refused | None = None
        self._unkept: tuple[Champion, Files] | None = None
        self._problems: dict[str, str] = {}
        self._lost: set[str] = set()

    @property
    def problem(self) -> str | None:
        """What is wrong with the source, the newest release or the cache; None where nothing is."""
        return "; ".join(list(self._problems.values())) or None

    def current(self) -> Champion:
        """The release to begin an episode with. The source is asked at most every `every_s` seconds, by one thread.

        May wait for the source: in an event loop call it in a thread. Raises StoreError or ReleaseRefused where there
        is no good release anywhere.
        """
        champion = self._champion
        if champion is not None and self.clock() < self._due:
            return champion
        if not self._asking.acquire(blocking=champion is None):
            assert champion is not None  # it would have waited
            return champion
        try:
            if self._champion is not None and self.clock() < self._due:
                return self._champion
            try:
                return self._asked()
            finally:
                self._due = self.clock() + self.every_s
        finally:
            self._asking.release()

    def by_digest(self, digest: str) -> Champion | None:
        """The release of that digest, from memory or from the cache: how an old episode goes on under its own.

        None where it is not there, or may not be loaded here any more, which is told.
        """
        with self._seen:
            champion = self._champions.get(digest)
        if champion is not None or self._cache is None:
            return champion
        try:
            champion = self._cache.release(digest, self.here)
        except (InfraError, UsageError) as error:
            if digest not in self._lost:
                self._lost.add(digest)
                self.told(f"release {digest} cannot be taken from the cache: {error}")
            return None
        return None if champion is None else self._remembered(champion)

    def _asked(self) -> Champion:
        """The champion after one poll. Raises what kept the source from giving the first one."""
        try:
            self._follow()
        except (InfraError, UsageError) as error:
            champion = self._champion or self._from_cache(error)
            held = f"{error}; release {champion.release.digest} goes on"
            self._tell("source", held)
        else:
            self._mended("source", f"{self.source.shown}: can be read again")
        self._keep()
        assert self._champion is not None
        return self._champion

    def _follow(self) -> None:
        """Take over what is current at the source. Raises InfraError and UsageError, ReleaseRefused among them."""
        with boundary(StoreError, self.source.shown):
            token = self.source.current()
            if self._champion is not None and token == self._champion.token:
                self._refused = None
                return
            refused = self._refused if self._champion is not None else None
            if refused is not None and refused.token == token and refused.polls > 0:
                self._refused = refused._replace(polls=refused.polls - 1)
                raise ReleaseRefused(refused.why)
            try:
                files = self.source.files(token)
                champion = loaded(files, self.here, token=token, where=self.source.shown)
            except UsageError as error:
                self._refused = _Refused(token, REFUSED_POLLS, str(error))
                raise
        self._refused = None
        self._unkept = (champion, files)
        self._champion = self._remembered(champion)

    def _from_cache(self, problem: Exception) -> Champion:
        """The last good release of this source. Raises `problem` where the cache holds none."""
        if self._cache is None:
            raise problem
        try:
            champion = self._cache.last(self.source.shown, self.here)
        except (InfraError, UsageError) as error:
            self.told(f"the cache does not help: {error}")
            raise problem from error
        if champion is None:
            raise problem
        self._champion = self._remembered(champion)
        return champion

    def _keep(self) -> None:
        """Put a new champion into the cache; where the disk is full, try again at the next poll."""
        if self._cache is None or self._unkept is None:
            return
        try:
            self._cache.keep(*self._unkept, shown=self.source.shown)
        except StoreError as error:
            self._tell("cache", f"the release is not kept for a day when the source is down: {error}")
            return
        self._unkept = None
        self._mended("cache", "the release is kept now")

    def _remembered(self, champion: Champion) -> Champion:
        with self._seen:
            self._champions[champion.release.digest] = champion
            self._champions.move_to_end(champion.release.digest)
            while len(self._champions) > KEPT:
                self._champions.popitem(last=False)
        return champion

    def _tell(self, what: str, problem: str) -> None:
        if self._problems.get(what) != problem:
            self._problems[what] = problem
            self.told(problem)

    def _mended(self, what: str, line: str) -> None:
        if self._problems.pop(what, None) is not None:
            self.told(line)


class ReleaseCache:
    """Releases on disk by digest, and which was the last good one of which source. Old ones stay: they are small."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def release(self, digest: str, here: Here, *, token: str = "") -> Champion | None:
        """The cached release of that digest, checked like any other; None without one.

        Raises ReleaseRefused where it was edited or does not fit here; StoreError where it cannot be read.
        """
        folder = self.folder / digest
        # The digest may come from a client: nothing but a digest becomes part of a path.
        if not _DIGEST.fullmatch(digest) or not folder.is_dir():
            return None
        return loaded(read_files(folder), replace(here, digest=digest), token=token, where=str(folder))

    def last(self, shown: str, here: Here) -> Champion | None:
        """The last good release of the source shown as `shown`; None without one. Raises as `release`."""
        path = self.folder / CURRENT
        if not path.exists():
            return None
        entry = parsed(read_plain(path), str(path))
        digest, token, source = (entry.get(name) for name in ("digest", "token", "source"))
        if not isinstance(digest, str) or not isinstance(token, str) or source != shown:
            return None
        if here.digest is not None and here.digest != digest:
            return None
        return self.release(digest, here, token=token)

    def keep(self, champion: Champion, files: Files, *, shown: str) -> None:
        """Write the release, whole or not at all, and then that it is the last. Raises StoreError."""
        digest = champion.release.digest
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._holds(digest, files):
                self._write(digest, files)
            entry = {"digest": digest, "token": champion.token, "source": shown}
            self._replace(CURRENT, json.dumps(entry, indent=1).encode() + b"\n")
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be written: {error}") from error

    def _holds(self, digest: str, files: Mapping[str, bytes]) -> bool:
        try:
            return dict(read_files(self.folder / digest)) == dict(files)
        except (StoreError, ReleaseRefused):
            return False

    def _write(self, digest: str, files: Files) -> None:
        draft = self.folder / f".{digest}.{os.getpid()}.{threading.get_ident()}"
        shutil.rmtree(draft, ignore_errors=True)
        made, final = draft / "made", self.folder / digest
        try:
            made.mkdir(parents=True)
            write_files(made, files)
            if final.is_symlink() or final.exists():
                final.rename(draft / "damaged")
            made.rename(final)
            sync_folder(self.folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _replace(self, name: str, data: bytes) -> None:
        draft = self.folder / f".{name}.{os.getpid()}.{threading.get_ident()}"
        try:
            write_file(draft, data)
            draft.replace(self.folder / name)
            sync_folder(self.folder)
        finally:
            draft.unlink(missing_ok=True)
