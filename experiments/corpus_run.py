"""Look into a corpus, and carry it to and from a folder of HF `datasets`.

    python -m experiments.corpus_run ls runs/corpus.db
    python -m experiments.corpus_run show runs/corpus.db 5f0c --trace
    python -m experiments.corpus_run export runs/corpus.db runs/corpus-dataset
    python -m experiments.corpus_run import runs/corpus-dataset runs/other.db
    python -m experiments.corpus_run seal runs/corpus.db

`ls` prints counts, `show` one record by its id or the start of it. `seal` writes what is new to columnar segments
beside the corpus, which replay reads; `--verify` checks all their bytes, too. PATH may be left out: it is
runs/corpus.db.

    runs/corpus.db  1.2 MB on disk
    records         attempts 1,200, decisions 3,600, episodes 400
    outcomes        ok 1,150, timeout 50
    blobs           2,400, 6.1 MB before compression
    dev             random@3 100
    search          random@3 200, refine@3 100
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypedDict

import typer

from experiments.cli import exits, new_app, start
from signatures.errors import UsageError

if TYPE_CHECKING:
    from controllers.corpus import SqliteCorpus
    from controllers.corpus.schema import AnyRecord
    from signatures.records import Attempt

DEFAULT: Final = Path("runs/corpus.db")

PathArgument = Annotated[Path, typer.Argument(metavar="PATH", help="The corpus.")]
FirstArgument = Annotated[str, typer.Argument(metavar="PATH", help=f"The corpus; left out, it is {DEFAULT}.")]
app = new_app(help="Look into a corpus, and carry it to and from a folder of datasets.")


class SealedCounts(TypedDict):
    """What `seal` prints."""

    folder: str
    sealed_n: int
    "all records are sealed up to this row of the journal"
    rows: dict[str, int]
    "sealed by this call"
    segments: int
    bytes: int
    verified: bool


@app.command("ls")
def ls_command(path: PathArgument = DEFAULT) -> None:
    """Count records, episodes by split and condition, outcomes and bytes."""
    with exits():
        for line in counts(path):
            print(line)


@app.command("show")
def show_command(
    first: FirstArgument,
    second: Annotated[str | None, typer.Argument(metavar="ID", help="A record's id, or the start of it.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Print what happened in the attempt, too.")] = False,
) -> None:
    """Print one record as JSON."""
    with exits():
        path, id = _path_and(first, second, "a record's id")
        for line in asyncio.run(show(path, id, trace=trace)):
            print(line)


@app.command("export")
def export_command(
    first: FirstArgument,
    second: Annotated[str | None, typer.Argument(metavar="DEST", help="The folder to make.")] = None,
) -> None:
    """Write a corpus to a new folder of datasets."""
    with exits():
        path, folder = _path_and(first, second, "the folder to make")
        asyncio.run(export_corpus(path, Path(folder)))
        print(f"{path} is exported to {folder}")


@app.command("seal")
def seal_command(
    path: PathArgument = DEFAULT,
    verify: Annotated[bool, typer.Option("--verify", help="Check every sealed byte, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write what is new to sealed columnar segments beside the corpus."""
    with exits():
        sealed = asyncio.run(seal_corpus(path, verify=verify))
        print(json.dumps(sealed) if as_json else _sealed_line(sealed))


@app.command("import")
def import_command(
    folder: Annotated[Path, typer.Argument(metavar="SRC", help="A folder that `export` made.")],
    path: PathArgument = DEFAULT,
) -> None:
    """Append an exported folder to a corpus, which is made where there is none."""
    with exits():
        asyncio.run(import_corpus(folder, path))
        print(f"{folder} is in {path}")


def counts(path: Path) -> list[str]:
    """What `ls` prints. Raises UsageError and StoreError."""
    from controllers.corpus.summary import summarise

    found = summarise(_existing(path))
    by_split: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (split, condition), count in found.episodes.items():
        by_split[split][condition] = count
    rows = {
        str(path): f"{_size(found.disk_bytes)} on disk",
        "records": _listed(found.records),
        "outcomes": _listed(found.outcomes),
        "blobs": f"{found.blobs:,}, {_size(found.blob_bytes)} before compression",
        **{split: _listed(conditions) for split, conditions in by_split.items()},
    }
    width = max(map(len, rows))
    return [f"{name:{width}}  {text}" for name, text in rows.items()]


async def show(path: Path, id: str, *, trace: bool = False) -> list[str]:
    """What `show` prints: the one record whose id is or starts with `id`. Raises UsageError and StoreError."""
    from controllers.corpus import SqliteCorpus

    async with SqliteCorpus.open_readonly(_existing(path)) as corpus:
        record = await _one(corpus, id)
        content = {"kind": type(record).__name__, **record.model_dump(mode="json")}
        lines = json.dumps(content, indent=2, ensure_ascii=False).splitlines()
        for attempt in await _attempts(corpus, record) if trace else ():
            lines += ["", f"attempt {attempt.id}", *await _trace(corpus, attempt)]
        return [_printable(line) for line in lines]


async def export_corpus(path: Path, folder: Path) -> None:
    """Write the corpus at `path` to a new `folder`. Raises UsageError and StoreError."""
    from controllers.corpus import SqliteCorpus, export_dataset

    async with SqliteCorpus.open_readonly(_existing(path)) as corpus:
        await export_dataset(corpus, folder)


async def import_corpus(folder: Path, path: Path) -> None:
    """Append an export to the corpus at `path`. Raises UsageError, before a corpus is made, and StoreError."""
    from controllers.corpus import SqliteCorpus, import_dataset
    from controllers.corpus.dataset import check_dataset

    check_dataset(folder)
    async with SqliteCorpus(path) as corpus:
        await import_dataset(folder, corpus)


async def seal_corpus(path: Path, *, verify: bool = False) -> SealedCounts:
    """Seal the corpus at `path`; `verify` reads every sealed byte. Raises UsageError and StoreError."""
    from controllers.corpus import SqliteCorpus
    from controllers.corpus.segments import Segments, seal, segments_of

    async with SqliteCorpus.open_readonly(_existing(path)) as corpus:
        done = await seal(corpus, segments_of(path))
    if verify:
        Segments(done.folder).verify()
    return {
        "folder": str(done.folder),
        "sealed_n": done.sealed_n,
        "rows": dict(done.rows),
        "segments": done.segments,
        "bytes": done.bytes,
        "verified": verify,
    }


def _sealed_line(sealed: SealedCounts) -> str:
    new = _listed(sealed["rows"])
    held = f"{sealed['segments']} segments, {_size(sealed['bytes'])}{', verified' if sealed['verified'] else ''}"
    return f"{sealed['folder']}: sealed {new} (now {held})"


def _path_and(first: str, second: str | None, wanted: str) -> tuple[Path, str]:
    """A corpus and one word more, where the corpus may be left out. Raises UsageError."""
    if second is not None:
        return Path(first), second
    if Path(first).is_file():
        raise UsageError(f"after the corpus {first}, name {wanted}")
    return DEFAULT, first


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UsageError(f"{path}: no such corpus")
    return path


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


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in numbers.items()) or "none"


def _size(count: int) -> str:
    """Bytes for people: 1 MB is 10**6."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count} bytes"


def _printable(line: str) -> str:
    """A worker wrote parts of it: what would steer a terminal is shown as its escape."""
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in line)


def main() -> None:
    """The console script."""
    start(app)


if __name__ == "__main__":
    main()
