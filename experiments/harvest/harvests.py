"""The folders that harvests leave: what earlier ones analysed, and how a new one appears whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, NamedTuple

from pydantic import Field, ValidationError

from controllers.filelock import hold
from experiments.harvest.findings import Finding
from experiments.harvest.tasks import FILE as TASKS
from experiments.harvest.tasks import read_tasks
from experiments.whole_file import write_whole
from signatures.errors import StoreError, UsageError
from signatures.records import Record, Task

FINDINGS: Final = "findings.json"
REPORT: Final = "report.md"


class Unread(Record):
    """An episode that could not be analysed."""

    episode: str
    error: str


class Harvest(Record):
    """What one harvest found: the content of `findings.json`."""

    name: str
    benchmark: str
    until: int = Field(ge=0)
    "mark of the corpus when it was read"
    findings: tuple[Finding, ...]
    failures: tuple[Unread, ...]
    "they are tried again by the next harvest"
    tasks: int = Field(ge=0)
    "new tasks in tasks.jsonl"
    left_out: Mapping[str, int]
    "reason -> tasks that are not new"
    analysed: tuple[str, ...]
    "episode ids: no later harvest analyses them again"


class Earlier(NamedTuple):
    """What is known from the harvests before, in their order."""

    analysed: frozenset[str]
    tasks: tuple[Task, ...]
    first_seen: dict[str, str]
    "finding id -> name of the harvest that had it first"
    failed: frozenset[str]
    "episodes that the last one could not analyse"
    next_name: str


def earlier_harvests(root: Path, benchmark: str) -> Earlier:
    """All harvests of the benchmark below `root`. Raises StoreError naming one that cannot be read."""
    analysed: set[str] = set()
    tasks: list[Task] = []
    first_seen: dict[str, str] = {}
    failed: frozenset[str] = frozenset()
    folders = _folders(root, benchmark)
    for folder in folders.values():
        harvest = read_harvest(folder)
        analysed.update(harvest.analysed)
        failed = frozenset(one.episode for one in harvest.failures)
        for finding in harvest.findings:
            first_seen.setdefault(finding.id, harvest.name)
        try:
            tasks += read_tasks(folder / TASKS, benchmark)
        except UsageError as error:
            raise StoreError(str(error)) from error
    name = f"{benchmark}-harvest-{max(folders, default=0) + 1}"
    return Earlier(frozenset(analysed), tuple(tasks), first_seen, failed, name)


def read_harvest(folder: Path) -> Harvest:
    """What the harvest in `folder` found. Raises StoreError."""
    path = folder / FINDINGS
    try:
        return Harvest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error


def write_harvest(root: Path, harvest: Harvest, *, tasks: str, report: str) -> Path:
    """The folder of a harvest, there whole or not at all. Raises StoreError."""
    folder, draft = root / harvest.name, None
    try:
        draft = Path(mkdtemp(prefix=f".{harvest.name}-", dir=root))
        draft.chmod(0o755)
        write_whole(draft / TASKS, tasks)
        write_whole(draft / REPORT, report)
        write_whole(draft / FINDINGS, harvest.model_dump_json(indent=1) + "\n")
        draft.rename(folder)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error}") from error
    finally:
        if draft is not None and draft.exists():
            shutil.rmtree(draft, ignore_errors=True)
    return folder


@contextmanager
def alone(root: Path, benchmark: str) -> Iterator[None]:
    """Hold the harvest of the benchmark. Raises UsageError where another process does, or the root is not there."""
    try:
        lock = hold(root / f".{benchmark}-harvest.lock")
    except BlockingIOError as error:
        raise UsageError(f"{root}: another harvest of {benchmark} is under way") from error
    except OSError as error:
        raise UsageError(f"{root}: nothing can be written there: {error}") from error
    with lock:
        yield


def _folders(root: Path, benchmark: str) -> dict[int, Path]:
    """The harvests by their number, ascending."""
    named = re.compile(rf"{re.escape(benchmark)}-harvest-([1-9]\d*)")
    found = {int(match[1]): path for path in root.iterdir() if (match := named.fullmatch(path.name))}
    return dict(sorted(found.items()))
