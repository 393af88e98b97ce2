"""Durable appends to a corpus: rate, latency and CPU at 1, 8 and 64 producers, beside plain SQLite and the raw disk.

    python bench/corpus_append.py [FOLDER] [GROWN]

One append is an Attempt of 1.7 kB of JSON and its two blobs of 2-3 kB of JSON. Plain SQLite stores the same three rows
into the same tables with the same durability, one commit a row; the raw disk writes 4 KiB and fsyncs. Both are measured
right before each case, on the same disk (FOLDER, else the current one). GROWN attempts are stored before each case
(default 0): indexes of random ids cost more as they grow. Prints a table and a JSON line.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from controllers.corpus import SqliteCorpus
from controllers.corpus.blobs import Blob, Packer
from controllers.corpus.schema import connect
from controllers.corpus.units import Row, Unit, store
from signatures.digest import digest_bytes, digest_of
from signatures.records import Attempt, CheckerResult, Cost, Steer, TraceEvent, WorkerFingerprint

CASES = ((1, 2_000), (8, 8_000), (64, 20_000))
"""(producers, appends)"""
PLAIN_APPENDS = 300
DISK_SECONDS = 1.0
TOOLS = ("check_network_status", "toggle_data", "run_speed_test", "reseat_sim_card", "check_apn_settings")


class Append(NamedTuple):
    attempt: Attempt
    blobs: tuple[bytes, bytes]


def trace(seed: int) -> bytes:
    """What twelve tool calls leave behind."""
    draw = random.Random(seed)
    events = [
        TraceEvent(
            turn=turn,
            kind="tool",
            name=draw.choice(TOOLS),
            arguments="{}",
            text=f"Airplane mode: {draw.choice(('on', 'off'))}. SIM card: active. Signal: {draw.randrange(5)} bars, "
            f"cell {draw.randbytes(6).hex()}. Connection: {draw.choice(('connected', 'no service'))}.",
        )
        for turn in range(12)
    ]
    return b"[" + b",".join(event.model_dump_json().encode() for event in events) + b"]"


def appends(first: int, count: int) -> list[Append]:
    """`count` attempts in episodes of three, on 500 tasks."""
    details = "speed test: no connection; mms: cannot send; status: connected"
    checks = tuple(
        CheckerResult(objective=name, value=0.25, unit="share", passed=False, detail=details)
        for name in ("correct", "fast", "cheap", "secure", "clean")
    )
    made = []
    for number in range(first, first + count):
        blobs = (trace(2 * number), trace(2 * number + 1))
        attempt = Attempt(
            id=digest_of("attempt", number),
            episode_id=digest_of("episode", number // 3),
            round=number % 3,
            index=number % 3,
            parent_id=digest_of("attempt", number - 1) if number % 3 else None,
            task_digest=digest_of("task", number // 3 % 500),
            benchmark="telecom",
            worker=WorkerFingerprint(name="telecom", params={"noise": "0.15", "compliance": "0.8", "turns": "12"}),
            steer=Steer(kind="rule", action="untried", text="Look at a layer that was not looked at yet."),
            output_digest=digest_bytes(blobs[0]),
            trace_digest=digest_bytes(blobs[1]),
            checks=checks,
            outcome="ok",
            cost=Cost(turns=12, usd=0.0123, wall_s=0.00123),
        )
        made.append(Append(attempt, blobs))
    return made


def fsyncs_per_s(folder: Path) -> float:
    """How often a second this disk takes 4 KiB and says that it has them."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        begin = time.perf_counter()
        for done in itertools.count():
            if (taken := time.perf_counter() - begin) > DISK_SECONDS:
                return done / taken
            os.pwrite(file.fileno(), bytes(4096), done * 4096)
            os.fsync(file.fileno())
    raise AssertionError


def plain_per_s(path: Path, work: list[Append]) -> float:
    """Appends a second where each of the three rows is a commit of its own."""
    packer = Packer()
    with closing(connect(path)) as db:
        begin = time.perf_counter()
        for attempt, blobs in work:
            for unit in (Unit([Row.of(attempt)], []), *(Unit([], [Blob.of(data)]) for data in blobs)):
                insert_plainly(db, packer, unit)
        return len(work) / (time.perf_counter() - begin)


def insert_plainly(db: sqlite3.Connection, packer: Packer, unit: Unit) -> None:
    """One row in autocommit mode: no group, no look at what is stored."""
    for row in unit.rows:
        values = [getattr(row.record, name) for name in ("id", *row.table.columns)]
        names = ", ".join(("id", *row.table.columns, "body"))
        marks = ", ".join("?" * (len(values) + 1))
        db.execute(f"INSERT INTO {row.table.name} ({names}) VALUES ({marks})", (*values, packer.pack(row.body)))
    for digest, data in unit.blobs:
        frame = packer.pack(data)
        db.execute("INSERT INTO blobs (digest, size, body) VALUES (?, ?, ?)", (digest, len(data), frame))


def grow(path: Path, count: int) -> None:
    """Store `count` attempts that no case appends."""
    packer = Packer()
    with closing(connect(path)) as db:
        for first in range(0, count, 1000):
            work = appends(10**9 + first, min(1000, count - first))
            store(db, packer, [Unit([Row.of(attempt)], [Blob.of(data) for data in blobs]) for attempt, blobs in work])


async def corpus_case(path: Path, producers: int, work: list[Append]) -> dict[str, float]:
    """Rate, latency and CPU of `work` shared by concurrent producers, each waiting for its append."""
    latencies: list[float] = []

    async def produce(corpus: SqliteCorpus, todo: Iterator[Append]) -> None:
        for attempt, blobs in todo:
            begin = time.perf_counter()
            await corpus.append(attempt, blobs=blobs)
            latencies.append(time.perf_counter() - begin)

    async with SqliteCorpus(path) as corpus:
        todo = iter(work)
        begin, cpu, loop_cpu = time.perf_counter(), time.process_time(), time.thread_time()
        await asyncio.gather(*(produce(corpus, todo) for _ in range(producers)))
        taken, cpu, loop_cpu = (
            time.perf_counter() - begin,
            time.process_time() - cpu,
            time.thread_time() - loop_cpu,
        )
    latencies.sort()
    return {
        "appends_per_s": round(len(work) / taken),
        "p50_ms": round(latencies[len(latencies) // 2] * 1e3, 2),
        "p99_ms": round(latencies[len(latencies) * 99 // 100] * 1e3, 2),
        "cpu_us": round(cpu / len(work) * 1e6),
        "loop_cpu_us": round(loop_cpu / len(work) * 1e6),
    }


def measured(folder: Path, producers: int, count: int, grown: int) -> dict[str, float]:
    """One case on a corpus of its own, after the disk and plain SQLite."""
    work = appends(0, count)
    gc.collect()
    gc.freeze()  # the prepared work is not the corpus's garbage
    with tempfile.TemporaryDirectory(dir=folder) as name:
        grow(Path(name) / "corpus.db", grown)
        row = {
            "producers": producers,
            "fsyncs_per_s": round(fsyncs_per_s(Path(name))),
            "plain_per_s": round(plain_per_s(Path(name) / "plain.db", work[:PLAIN_APPENDS])),
            **asyncio.run(corpus_case(Path(name) / "corpus.db", producers, work)),
        }
    gc.unfreeze()
    return row


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd()
    grown = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    rows: list[dict[str, float]] = []
    for producers, count in CASES:
        row = measured(folder, producers, count, grown)
        if not rows:
            print("".join(f"{name:>14}" for name in row))
        print("".join(f"{value:>14,}" for value in row.values()), flush=True)
        rows.append(row)
    print(json.dumps({"bench": "corpus_append", "python": sys.version.split()[0], "grown": grown, "cases": rows}))


if __name__ == "__main__":
    main()
