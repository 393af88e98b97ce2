"""What production was asked: task digest -> prompt, append-only. The corpus keeps digests alone."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from controllers.sqlite import BUSY_TIMEOUT_S, prepare, store_errors, transaction
from signatures.digest import digest_of
from signatures.errors import StoreError, UsageError
from signatures.records import Task

APPLICATION_ID: Final = 0x54494C50
"""Marks the file as ours (`TILP`)."""
_SCHEMA: Final = (
    "CREATE TABLE prompts (n INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL UNIQUE, benchmark TEXT NOT NULL,"
    " prompt BLOB NOT NULL)",
    "CREATE TRIGGER never_edited BEFORE UPDATE ON prompts BEGIN SELECT RAISE(ABORT, 'prompts are append-only'); END",
    "CREATE TRIGGER never_deleted BEFORE DELETE ON prompts BEGIN SELECT RAISE(ABORT, 'prompts are append-only'); END",
    f"PRAGMA application_id={APPLICATION_ID}",
)


def prompts_path(root: Path, benchmark: str) -> Path:
    """Where the prompts of a benchmark's production tasks are kept below a run root."""
    return root / f"production-{benchmark}.db"


def asked_task(benchmark: str, prompt: str, id: str | None = None) -> Task:
    """The task that somebody asked of production: its digest hides the id, and equal questions are one task.

    Raises UsageError for a prompt that is empty or holds what UTF-8 cannot.
    """
    if not prompt.strip():
        raise UsageError("a task needs a prompt")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise UsageError("a prompt is text that UTF-8 can hold") from error
    return Task(digest=digest_of("production task", benchmark, prompt, id), benchmark=benchmark, prompt=prompt)


class Prompts:
    """The file of prompts, made where it is missing. Several threads and processes may write it at once.

    Raises StoreError where it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: set[str] = set()
        with store_errors(path, "open"), ExitStack() as unless_ready:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            unless_ready.callback(self._db.close)
            prepare(self._db, path, _SCHEMA, application_id=APPLICATION_ID, holder="a file of prompts")
            unless_ready.pop_all()

    def remember(self, *tasks: Task) -> None:
        """Return when all are on disk; what is kept already is not written again.

        It waits for the disk, so a server calls it from a thread. Raises StoreError, also where a digest is kept with
        another prompt.
        """
        with self._lock:
            if new := [task for task in tasks if task.digest not in self._known]:
                with store_errors(self.path, "append"), transaction(self._db):
                    for task in new:
                        self._insert(task)
                self._known.update(task.digest for task in new)

    def get(self, digest: str) -> Task | None:
        """The task of that digest, or None. Raises StoreError."""
        return next(iter(self._read("WHERE digest = ?", digest)), None)

    def all(self) -> tuple[Task, ...]:
        """All tasks in the order in which they were first asked. Raises StoreError."""
        return tuple(self._read("ORDER BY n"))

    def close(self) -> None:
        """Let go of the file. Twice is once."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _insert(self, task: Task) -> None:
        row = (task.digest, task.benchmark, task.prompt.encode("utf-8", "surrogatepass"))
        self._db.execute("INSERT INTO prompts (digest, benchmark, prompt) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row)
        kept = self._db.execute("SELECT digest, benchmark, prompt FROM prompts WHERE digest = ?", row[:1]).fetchone()
        if kept != row:
            raise StoreError(f"{self.path}: task {task.digest} is kept with another prompt")

    def _read(self, rest: str, *values: str) -> Iterator[Task]:
        with self._lock, store_errors(self.path, "read"):
            rows = self._db.execute(f"SELECT digest, benchmark, prompt FROM prompts {rest}", values).fetchall()
        return _tasks(rows)


def _tasks(rows: Iterable[tuple[str, str, bytes]]) -> Iterator[Task]:
    for digest, benchmark, prompt in rows:
        yield Task(digest=digest, benchmark=benchmark, prompt=prompt.decode("utf-8", "surrogatepass"))
