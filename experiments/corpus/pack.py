"""A corpus as one file, to ship: records, blobs and verdicts as JSON lines in one zstandard frame.

line            holds
first           the header: what it is, licence note, model file and its SHA-256
attempt, ...    a record, in order of arrival; the blobs it names stand before it
blob, blob64    a blob's text, or its bytes in base64; its digest is computed, not stored
verdict         a verdict on a packed episode of the search or dev split; those of other splits are never packed
last            how many lines of each kind there were: a file that was cut off has none

Left out is what no finished episode reaches: attempts of an episode that was interrupted, and blobs that nothing
names. The same corpus gives the same bytes.
"""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import zstandard
from pydantic import ValidationError

from controllers.corpus import SqliteCorpus
from controllers.corpus.schema import AnyRecord
from experiments.corpus.looking import existing
from experiments.places import ledger_beside, require_usable
from judges.chain import bodies_of_episodes, connect
from judges.ledger import VerdictLedger
from judges.records import Verdict
from signatures.digest import canonical_json, digest_bytes
from signatures.errors import StoreError, UsageError
from signatures.records import Attempt, Decision, Episode, Record

FORMAT: Final = 1
LEVEL: Final = 19
BATCH: Final = 256
KINDS: Final[Mapping[str, type[AnyRecord]]] = {"attempt": Attempt, "decision": Decision, "episode": Episode}
NAMES: Final = {kind: name for name, kind in KINDS.items()}
SHIPPED: Final = ("search", "dev")


class Label(Record):
    """What a pack says of itself."""

    tiller_pack: int = FORMAT
    licence: str = ""
    "under which its content may be used, and whose it is"
    model_file: str = ""
    "the file of the recorded model"
    model_sha256: str = ""


class Line(NamedTuple):
    """One line: its kind and what it holds."""

    kind: str
    held: object


async def pack(path: Path, file: Path, label: Label) -> Counter[str]:
    """Write the corpus at `path`, with the ledger beside it, to a new file; lines by kind.

    Raises UsageError, StoreError.
    """
    existing(path)
    _require_absent(file)
    counts: Counter[str] = Counter()
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("xb") as raw:
            packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, threads=0)
            with packer.stream_writer(raw, closefd=False) as stream:
                stream.write(_encoded("header", label.model_dump(mode="json")))
                async for line in _lines(path):
                    counts[line.kind] += 1
                    stream.write(_encoded(*line))
                stream.write(_encoded("end", dict(sorted(counts.items()))))
            raw.flush()
            os.fsync(raw.fileno())
        draft.replace(file)
    except OSError as error:
        raise StoreError(f"{file}: cannot be written: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return counts


def _require_absent(file: Path) -> None:
    if file.exists():
        raise UsageError(f"{file}: is in the way; name a file that does not exist yet")


async def unpack(file: Path, path: Path) -> Label:
    """Append a pack to the corpus at `path`, made where there is none, and its verdicts to the ledger beside it.

    All of it is read and checked first. What is there already is passed over. Raises UsageError, StoreError.
    """
    label = check(file)
    require_usable(path)
    async with SqliteCorpus(path) as corpus:
        verdicts = await _append(file, corpus)
    if verdicts:
        with VerdictLedger(ledger_beside(path)) as ledger:
            for n in range(0, len(verdicts), BATCH):
                await ledger.append(*verdicts[n : n + BATCH])
    return label


def label_of(file: Path) -> Label:
    """The header alone. Raises UsageError."""
    found = _read(file)
    try:
        return _label(file, next(found, None))
    finally:
        found.close()


def check(file: Path) -> Label:
    """Read a whole pack; its header. Raises UsageError where it is none, is cut off, or does not hold what it names."""
    counts: Counter[str] = Counter()
    blobs: set[str] = set()
    found = _read(file)
    label = _label(file, next(found, None))
    end: object = None
    for number, line in enumerate(found, 2):
        if end is not None:
            raise UsageError(f"{file}, line {number}: more follows after the end")
        if line.kind == "end":
            end = line.held
            continue
        held = _parsed(file, number, line)
        counts[line.kind] += 1
        if isinstance(held, bytes):
            blobs.add(digest_bytes(held))
        elif isinstance(held, Attempt) and (missing := [one for one in _own_blobs(held) if one not in blobs]):
            raise UsageError(f"{file}, line {number}: attempt {held.id} names a blob that is not there: {missing[0]}")
    if end != dict(sorted(counts.items())):
        raise UsageError(f"{file}: is not whole: it was cut off or edited")
    return label


async def _append(file: Path, corpus: SqliteCorpus) -> list[Verdict]:
    """Append records and blobs in the order of the file; the verdicts are for the ledger."""
    records: list[AnyRecord] = []
    blobs: list[bytes] = []
    verdicts: list[Verdict] = []
    for number, line in enumerate(_read(file), 1):
        if line.kind in ("header", "end"):
            continue
        held = _parsed(file, number, line)
        if isinstance(held, bytes):
            blobs.append(held)
        elif isinstance(held, Verdict):
            verdicts.append(held)
        else:
            records.append(held)
        if len(records) + len(blobs) >= BATCH:
            await corpus.append(*records, blobs=blobs)
            records, blobs = [], []
    await corpus.append(*records, blobs=blobs)
    return verdicts


async def _lines(path: Path) -> AsyncIterator[Line]:
    """What the corpus holds that a finished episode reaches, then the verdicts."""
    async with SqliteCorpus.open_readonly(path) as corpus:
        until = await corpus.high_water()
        episodes = [one async for one in corpus.scan(Episode, until=until)]
        reached = {id for one in episodes for id in (one.id, *one.attempt_ids, *one.decision_ids)}
        there = {digest async for digest in corpus.blob_digests()}
        written: set[str] = set()
        async for record in corpus.arrivals(until=until):
            if record.id not in reached:
                continue
            for digest in _blobs(record, there):
                if digest not in written:
                    written.add(digest)
                    yield _blob_line(await corpus.blob(digest))
            yield Line(NAMES[type(record)], record.model_dump(mode="json"))
    for verdict in _verdicts(path, [one.id for one in episodes if one.split in SHIPPED]):
        yield Line("verdict", verdict)


def _verdicts(path: Path, episode_ids: Sequence[str]) -> Iterator[object]:
    beside = ledger_beside(path)
    if not beside.is_file():
        return
    with closing(connect(beside)) as db:
        for body in bodies_of_episodes(db, episode_ids):
            yield json.loads(body)


def _blobs(record: AnyRecord, there: Collection[str]) -> list[str]:
    """The blobs of a record: of an attempt its own, and its task where that was imported."""
    if not isinstance(record, Attempt):
        return []
    task = [record.task_digest] if record.task_digest in there else []
    return [*_own_blobs(record), *task]


def _own_blobs(attempt: Attempt) -> list[str]:
    named = (attempt.start_digest, attempt.output_digest, attempt.state_digest, attempt.trace_digest)
    return [digest for digest in named if digest is not None]


def _blob_line(data: bytes) -> Line:
    try:
        return Line("blob", data.decode())
    except UnicodeDecodeError:
        return Line("blob64", base64.b64encode(data).decode())


def _encoded(kind: str, held: object) -> bytes:
    return canonical_json({kind: held}).encode() + b"\n"


def _read(file: Path) -> Generator[Line, None, None]:
    """The lines of a pack. Raises UsageError."""
    with _readable(file), file.open("rb") as raw:
        unpacker = zstandard.ZstdDecompressor()
        with unpacker.stream_reader(raw, closefd=False) as stream:
            rest = b""
            while chunk := stream.read(1 << 20):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (_line(line) for line in whole)
            if rest:
                raise ValueError("the last line is not whole")


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except UsageError:
        raise
    except (OSError, ValueError, TypeError, zstandard.ZstdError, RecursionError) as error:
        raise UsageError(f"{file}: is no readable pack: {error}") from error


def _line(text: bytes) -> Line:
    held = json.loads(text)
    if not isinstance(held, dict) or len(held) != 1:
        raise ValueError("a line is an object with one field")
    ((kind, value),) = held.items()
    return Line(kind, value)


def _label(file: Path, line: Line | None) -> Label:
    if line is None or line.kind != "header":
        raise UsageError(f"{file}: is no pack of a corpus: it has no header")
    try:
        label = Label.model_validate(line.held)
    except ValidationError as error:
        raise UsageError(f"{file}: its header cannot be read: {error.errors()[0]['msg']}") from error
    if label.tiller_pack != FORMAT:
        raise UsageError(f"{file}: is a pack of version {label.tiller_pack}; this Tiller reads version {FORMAT}")
    return label


def _parsed(file: Path, number: int, line: Line) -> AnyRecord | Verdict | bytes:
    try:
        if line.kind == "blob" and isinstance(line.held, str):
            return line.held.encode()
        if line.kind == "blob64" and isinstance(line.held, str):
            return base64.b64decode(line.held, validate=True)
        if line.kind == "verdict":
            return Verdict.model_validate_json(canonical_json(line.held))
        if line.kind in KINDS:
            return KINDS[line.kind].model_validate_json(canonical_json(line.held))
    except (ValueError, ValidationError) as error:
        raise UsageError(f"{file}, line {number}: a {line.kind} cannot be read") from error
    raise UsageError(f"{file}, line {number}: no line is a {line.kind}")
