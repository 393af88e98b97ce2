"""Many callers, one thread, few transactions; no caller waits for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from controllers.corpus.blobs import Blob
from controllers.corpus.schema import connect
from controllers.corpus.units import Row, Unit
from controllers.corpus.writer import BATCH_UNITS, GroupCommit
from controllers.sqlite import transaction
from controllers.testing import an_attempt
from signatures.errors import StoreError
from signatures.records import Attempt


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corpus.db"


@pytest.fixture
def writer(path: Path) -> Iterator[GroupCommit]:
    opened = GroupCommit(path)
    yield opened
    opened.close()


def unit(*attempts: Attempt, blobs: Sequence[bytes] = ()) -> Unit:
    return Unit([Row.of(attempt) for attempt in attempts], [Blob.of(data) for data in blobs])


def stored(path: Path) -> int:
    with closing(connect(path, readonly=True)) as db:
        return int(db.execute("SELECT count(*) FROM attempts").fetchone()[0])


async def until_waiting(path: Path, tasks: int) -> None:
    """Let `tasks` submit and the writer take the first; another connection holds the lock."""
    for _ in range(tasks + 2):
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert stored(path) == 0


async def test_what_gathers_is_committed_together(path: Path, writer: GroupCommit) -> None:
    commits: list[str] = []
    writer._db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    with closing(connect(path)) as holder:
        with transaction(holder):  # the writer waits with what it has, the rest gathers
            tasks = [asyncio.create_task(writer.submit(unit(an_attempt(n)))) for n in range(BATCH_UNITS)]
            await until_waiting(path, len(tasks))
        await asyncio.gather(*tasks)
    assert stored(path) == BATCH_UNITS
    assert len(commits) <= 2


async def test_a_batch_is_bounded(path: Path, writer: GroupCommit) -> None:
    commits: list[str] = []
    writer._db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    await asyncio.gather(*(writer.submit(unit(an_attempt(n), blobs=[bytes(9 * 2**20 + n)])) for n in range(4)))
    assert len(commits) >= 2


async def test_a_cancelled_caller_stops_nobody(path: Path, writer: GroupCommit) -> None:
    with closing(connect(path)) as holder:
        with transaction(holder):
            tasks = [asyncio.create_task(writer.submit(unit(an_attempt(n)))) for n in range(3)]
            await until_waiting(path, len(tasks))
            tasks[1].cancel()
            await asyncio.wait([tasks[1]])
        await asyncio.gather(tasks[0], tasks[2])
    assert stored(path) == 3


async def test_a_loop_that_is_gone_stops_nobody(path: Path, writer: GroupCommit) -> None:
    def elsewhere() -> None:
        async def leave_early() -> None:
            task = asyncio.create_task(writer.submit(unit(an_attempt(0))))
            await asyncio.sleep(0.01)
            task.cancel()

        asyncio.run(leave_early())

    with closing(connect(path)) as holder, transaction(holder):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
    await writer.submit(unit(an_attempt(1)))
    assert stored(path) == 2


async def test_a_lock_that_is_never_given_back_fails_all_that_wait(path: Path, writer: GroupCommit) -> None:
    writer._db.execute("PRAGMA busy_timeout=5")
    with closing(connect(path)) as holder, transaction(holder):
        fates = await asyncio.gather(*(writer.submit(unit(an_attempt(n))) for n in range(5)), return_exceptions=True)
    assert [isinstance(fate, StoreError) and fate.retryable for fate in fates] == [True] * 5
    await writer.submit(unit(an_attempt(0)))
    assert stored(path) == 1


async def test_what_the_disk_refuses_fails_alone(path: Path, writer: GroupCommit) -> None:
    writer._db.execute("PRAGMA max_page_count=64")  # SQLite's own "disk is full"
    with closing(connect(path)) as holder:
        with transaction(holder):
            large = asyncio.create_task(writer.submit(unit(an_attempt(0), *(an_attempt(n) for n in range(100, 900)))))
            small = asyncio.create_task(writer.submit(unit(an_attempt(1), blobs=[b"small"])))
            await until_waiting(path, 2)
        fates = await asyncio.gather(large, small, return_exceptions=True)
    assert isinstance(fates[0], StoreError)
    assert "full" in str(fates[0])
    assert fates[1] is None
    assert stored(path) == 1


async def test_closing_stores_what_was_submitted(path: Path) -> None:
    writer = GroupCommit(path)
    with closing(connect(path)) as holder:
        with transaction(holder):
            tasks = [asyncio.create_task(writer.submit(unit(an_attempt(n)))) for n in range(10)]
            await until_waiting(path, len(tasks))
        await asyncio.to_thread(writer.close)
    await asyncio.gather(*tasks)
    assert stored(path) == 10
    writer.close()
    with pytest.raises(StoreError, match="is closed"):
        await writer.submit(unit(an_attempt(11)))


def test_a_writer_that_wrote_nothing_needs_no_thread(path: Path) -> None:
    before = threading.active_count()
    writer = GroupCommit(path)
    assert threading.active_count() == before
    writer.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_breakdown_leaves_nobody_waiting(path: Path, writer: GroupCommit) -> None:
    broken = Unit([Row.of(an_attempt(0))._replace(table=None)], [])  # type: ignore[arg-type]  # a bug in the making
    with pytest.raises(StoreError, match="broke down"):
        await asyncio.wait_for(writer.submit(broken), 10)
    with pytest.raises(StoreError, match="broke down"):
        await asyncio.wait_for(writer.submit(unit(an_attempt(1))), 10)
