"""Looking into a corpus: its counts, and one record with its trace."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from signatures.errors import UsageError

if TYPE_CHECKING:
    from controllers.corpus import SqliteCorpus
    from controllers.corpus.schema import AnyRecord
    from signatures.records import Attempt


def counts(path: Path) -> list[str]:
    """What `ls` prints. Raises UsageError and StoreError."""
    from controllers.corpus.summary import summarise

    found = summarise(existing(path))
    by_split: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (split, condition), count in found.episodes.items():
        by_split[split][condition] = count
    rows = {
        str(path): f"{size(found.disk_bytes)} on disk",
        "records": listed(found.records),
        "outcomes": listed(found.outcomes),
        "blobs": f"{found.blobs:,}, {size(found.blob_bytes)} before compression",
        **{split: listed(conditions) for split, conditions in by_split.items()},
    }
    width = max(map(len, rows))
    return [f"{name:{width}}  {text}" for name, text in rows.items()]


async def show(path: Path, id: str, *, trace: bool = False) -> list[str]:
    """What `show` prints: the one record whose id is or starts with `id`. Raises UsageError and StoreError."""
    from controllers.corpus import SqliteCorpus

    async with SqliteCorpus.open_readonly(existing(path)) as corpus:
        record = await _one(corpus, id)
        content = {"kind": type(record).__name__, **record.model_dump(mode="json")}
        lines = json.dumps(content, indent=2, ensure_ascii=False).splitlines()
        for attempt in await _attempts(corpus, record) if trace else ():
            lines += ["", f"attempt {attempt.id}", *await _trace(corpus, attempt)]
        return [_printable(line) for line in lines]


def existing(path: Path) -> Path:
    """The path of a corpus that is there. Raises UsageError."""
    if not path.is_file():
        raise UsageError(f"{path}: no such corpus")
    return path


def listed(numbers: Mapping[str, int]) -> str:
    """Counts by name, for people."""
    return ", ".join(f"{name} {count:,}" for name, count in numbers.items()) or "none"


def size(count: int) -> str:
    """Bytes for people: 1 MB is 10**6."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count} bytes"


async def _one(corpus: SqliteCorpus, id: str) -> AnyRecord:
    found = await corpus.find(id, limit=4)
    exact = [record for record in found if record.id == id]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise UsageError(f"{corpus.path}: no record has an id that starts with {id!r}")
    some = ", ".join(f"{type(record).__name__} {record.id}" for record in found[:3])
    raise UsageError(f"{id!r} is the start of several ids: {some}{', ...' if len(found) > 3 else ''}")


async def _attempts(corpus: SqliteCorpus, record: AnyRecord) -> list[Attempt]:
    """The attempts whose traces belong to a record: itself, or all of an episode. Raises UsageError for a decision."""
    from signatures.records import Attempt, Decision

    if isinstance(record, Attempt):
        return [record]
    if isinstance(record, Decision):
        raise UsageError(f"a decision has no trace; its episode {record.episode_id} has")
    return [attempt async for attempt in corpus.scan(Attempt, {"episode_id": record.id})]


async def _trace(corpus: SqliteCorpus, attempt: Attempt) -> list[str]:
    """One line per event, then what came back, indented; a trace in another format as it stands."""
    from pydantic import TypeAdapter, ValidationError

    from signatures.records import TraceEvent

    if attempt.trace_digest is None:
        return ["has no trace"]
    data = await corpus.blob(attempt.trace_digest)
    try:
        events = TypeAdapter(tuple[TraceEvent, ...]).validate_json(data)
    except ValidationError:
        return data.decode(errors="replace").splitlines()
    lines = []
    for event in events:
        call = " ".join(filter(None, (event.kind, event.name, event.arguments, "failed" if event.failed else "")))
        lines += [f"turn {event.turn}: {call}", *(f"    {line}" for line in event.text.splitlines())]
    return lines


def _printable(line: str) -> str:
    """A worker wrote parts of it: what would steer a terminal is shown as its escape."""
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in line)
