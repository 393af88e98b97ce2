from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judges.ledger import MAY_READ, Reader, VerdictLedger
from judges.records import Verdict
from signatures.errors import FirewallBreach, StoreError, UsageError
from signatures.records import Split

MakeVerdict = Callable[..., Verdict]
ROOT = Path(__file__).parents[2]

WORDS = """
import asyncio, os, resource, signal, sys
from pathlib import Path
from judges.ledger import VerdictLedger
from judges.records import Verdict
from signatures.errors import StoreError

path = Path(sys.argv[1])

def verdict(name, reason=""):
    return Verdict(id=name, episode_id=name, attempt_id="a", task_digest="t", benchmark="toy", split="search",
                   judge="exact 1", score=0.5, reason=reason)

async def lanes(ledger, names, done):
    async def lane(own):
        for name in own:
            await ledger.append(verdict(name))
            done(name)
    await asyncio.gather(*(lane(names[i::8]) for i in range(8)))
"""

KILLED = (
    WORDS
    + """
def write(kill, pipe):
    names = [f"{kill}-{i}" for i in range(100_000)]
    with VerdictLedger(path) as ledger:
        asyncio.run(lanes(ledger, names, lambda name: os.write(pipe, f"{name}\\n".encode())))

for kill in range(10):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        write(kill, writing)
        os._exit(0)
    os.close(writing)
    acknowledged = b""
    while acknowledged.count(b"\\n") < 1 + 13 * kill:
        chunk = os.read(reading, 4096)
        if not chunk:
            sys.exit("the writer ended by itself")
        acknowledged += chunk
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while chunk := os.read(reading, 4096):
        acknowledged += chunk
    os.close(reading)
    sys.stdout.write(acknowledged.decode())
"""
)

TOGETHER = (
    WORDS
    + """
print("ready", flush=True)
sys.stdin.readline()
with VerdictLedger(path) as ledger:
    names = [f"{sys.argv[2]}-{i}" for i in range(120)] + [f"both-{i}" for i in range(40)]
    asyncio.run(lanes(ledger, names, lambda name: None))
"""
)

OPENED = (
    WORDS
    + """
for turn in range(15):
    gate, opened = os.pipe()
    children = []
    for _ in range(6):
        child = os.fork()
        if child == 0:
            os.close(opened)
            os.read(gate, 1)
            VerdictLedger(path.with_name(f"{turn}.sqlite")).close()
            os._exit(0)
        children.append(child)
    os.close(gate)
    os.close(opened)
    for child in children:
        if os.waitpid(child, 0)[1]:
            sys.exit("a process could not open the ledger")
"""
)

FULL = (
    WORDS
    + """
async def fill(ledger):
    for i in range(10_000):
        try:
            await ledger.append(verdict(str(i), reason="x" * 2_000))
        except StoreError as error:
            print(error.args[0], file=sys.stderr)
            return
        print(i)

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
with VerdictLedger(path) as ledger:
    asyncio.run(fill(ledger))
    print(asyncio.run(ledger.verify()).rows)
"""
)


def script(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


async def test_what_was_appended_can_be_read(path: Path, make_verdict: MakeVerdict) -> None:
    with VerdictLedger(path) as ledger:
        await ledger.append(make_verdict("a", score=0.25), make_verdict("b", score=None))
        found = await ledger.scores("search", ["b", "unjudged", "a"], reader="evaluator")
    assert list(found.items()) == [("b", None), ("a", 0.25)]


async def test_it_survives_closing(path: Path, make_verdict: MakeVerdict) -> None:
    one = make_verdict("a", reason="naïve \u2713 'quoted'\n")
    with VerdictLedger(path) as ledger:
        await ledger.append(one)
        head = await ledger.verify()
    with VerdictLedger(path) as ledger:
        assert await ledger.held(one.id) == one
        assert await ledger.held("nowhere") is None
        assert await ledger.verify() == head


async def test_the_same_verdict_twice_is_a_no_op(path: Path, make_verdict: MakeVerdict) -> None:
    one = make_verdict("a")
    with VerdictLedger(path) as ledger:
        await ledger.append(one, one)
        head = await ledger.verify()
        await ledger.append(one)
        await ledger.append()
        assert await ledger.verify() == head
    assert head.rows == 1


async def test_other_content_under_one_id_is_refused_whole(path: Path, make_verdict: MakeVerdict) -> None:
    with VerdictLedger(path) as ledger:
        await ledger.append(make_verdict("a", score=1.0))
        with pytest.raises(StoreError, match="a/exact 1 is there already with other content"):
            await ledger.append(make_verdict("new"), make_verdict("a", score=0.0))
        with pytest.raises(StoreError, match="other content"):
            await ledger.append(make_verdict("b", score=0.0), make_verdict("b", score=1.0))
        assert await ledger.scores("search", ["a", "b", "new"], reader="evaluator") == {"a": 1.0}
        assert (await ledger.verify()).rows == 1


async def test_a_refused_append_leaves_its_neighbours_alone(path: Path, make_verdict: MakeVerdict) -> None:
    with VerdictLedger(path) as ledger:
        await ledger.append(make_verdict("a"))
        results = await asyncio.gather(
            ledger.append(make_verdict("b")),
            ledger.append(make_verdict("a", score=0.0)),
            ledger.append(make_verdict("c")),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [type(None), StoreError, type(None)]
        assert (await ledger.verify()).rows == 3


async def test_appends_that_arrive_together_share_a_commit(path: Path, make_verdict: MakeVerdict) -> None:
    log = path.with_name(f"{path.name}-wal")
    with VerdictLedger(path) as ledger:
        for i in range(20):
            await ledger.append(make_verdict(f"alone {i}"))
        alone = log.stat().st_size
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # keeps the writer waiting until all have arrived
            appends = [asyncio.create_task(ledger.append(make_verdict(f"together {i}"))) for i in range(100)]
            await asyncio.sleep(0)
            other.execute("ROLLBACK")
        await asyncio.gather(*appends)
        together = log.stat().st_size - alone
        assert (await ledger.verify()).rows == 120
    assert together < alone, "a commit writes whole pages, so 100 commits would have written five times as much"


async def test_a_caller_that_was_cancelled_disturbs_nobody(path: Path, make_verdict: MakeVerdict) -> None:
    with VerdictLedger(path) as ledger:
        tasks = [asyncio.create_task(ledger.append(make_verdict(str(i)))) for i in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        kept = [str(i) for i in range(20) if results[i] is None]
        assert set(kept) >= {str(i) for i in range(1, 20, 2)}
        found = await ledger.scores("search", kept, reader="evaluator")
    assert list(found) == kept


async def test_a_closed_ledger_says_so(path: Path, make_verdict: MakeVerdict) -> None:
    ledger = VerdictLedger(path)
    ledger.close()
    ledger.close()
    with pytest.raises(StoreError, match="is closed"):
        await ledger.append(make_verdict("a"))


@pytest.mark.parametrize("split", get_args(Split))
@pytest.mark.parametrize("reader", [*get_args(Reader), "proposer", ""])
async def test_only_the_readers_of_the_table_see_numbers(
    path: Path, make_verdict: MakeVerdict, split: Split, reader: Reader
) -> None:
    allowed = {("evaluator", "search"), ("report", "search"), ("report", "dev"), ("gate", "holdout")}
    with VerdictLedger(path) as ledger:
        await ledger.append(make_verdict("a", split=split))
        if (reader, split) in allowed:
            assert await ledger.scores(split, ["a"], reader=reader) == {"a": 1.0}
        else:
            with pytest.raises(FirewallBreach, match=f"may not read verdicts on the {split} split"):
                await ledger.scores(split, ["a"], reader=reader)


async def test_an_episode_of_another_split_is_not_smuggled_in(path: Path, make_verdict: MakeVerdict) -> None:
    with VerdictLedger(path) as ledger:
        await ledger.append(make_verdict("a"), make_verdict("h", split="holdout"))
        with pytest.raises(FirewallBreach, match="h is of the holdout split"):
            await ledger.scores("search", ["a", "h"], reader="evaluator")


def test_the_table_of_readers_is_closed() -> None:
    assert set(MAY_READ) == set(get_args(Reader))
    assert not any("production" in splits for splits in MAY_READ.values())


async def test_two_judges_of_one_episode_are_told_apart(path: Path, make_verdict: MakeVerdict) -> None:
    with VerdictLedger(path) as ledger:
        await ledger.append(make_verdict("a", score=1.0), make_verdict("a", score=0.0, judge="exact 2"))
        with pytest.raises(UsageError, match="two verdicts: attempt a-a by exact 1 and attempt a-a by exact 2"):
            await ledger.scores("search", ["a"], reader="evaluator")
        assert await ledger.scores("search", ["a"], reader="evaluator", judge="exact 2") == {"a": 0.0}


async def test_two_attempts_of_one_episode_are_told_apart(path: Path, make_verdict: MakeVerdict) -> None:
    first = make_verdict("a", score=0.25)
    second = first.model_copy(update={"id": "second", "attempt_id": "a-b", "score": 0.75})
    with VerdictLedger(path) as ledger:
        await ledger.append(first, second)
        with pytest.raises(UsageError, match="attempt a-a by exact 1 and attempt a-b by exact 1"):
            await ledger.scores("search", ["a"], reader="evaluator")
        assert await ledger.scores("search", ["a"], reader="evaluator", attempt_ids={"a-b"}) == {"a": 0.75}
        assert await ledger.scores("search", ["a"], reader="evaluator", attempt_ids=()) == {}


async def test_every_attempt_of_a_tree_has_its_number(path: Path, make_verdict: MakeVerdict) -> None:
    with VerdictLedger(path) as ledger:
        one = make_verdict("a", score=1.0)
        two = one.model_copy(update={"id": "second", "attempt_id": "other", "score": 0.0})
        await ledger.append(one, two, make_verdict("a", score=0.5, judge="exact 2"), make_verdict("h", split="holdout"))
        found = await ledger.attempt_scores("search", ["a", "unjudged"], reader="evaluator", judge=one.judge)
        assert found == {one.attempt_id: 1.0, "other": 0.0}
        with pytest.raises(FirewallBreach, match="h is of the holdout split"):
            await ledger.attempt_scores("search", ["a", "h"], reader="evaluator", judge=one.judge)
        with pytest.raises(FirewallBreach, match="gate may not read"):
            await ledger.attempt_scores("search", ["a"], reader="gate", judge=one.judge)


async def test_an_edited_row_is_named_and_not_read(path: Path, make_verdict: MakeVerdict) -> None:
    with VerdictLedger(path) as ledger:
        await ledger.append(*(make_verdict(name, score=0.0) for name in "abc"))
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TRIGGER never_edited; UPDATE verdicts SET body = '{}' WHERE seq = 2")
    with VerdictLedger(path) as ledger:
        with pytest.raises(StoreError, match=r"row 2 \(verdict b/exact 1\) was edited"):
            await ledger.verify()
        with pytest.raises(StoreError, match="was it edited"):
            await ledger.scores("search", ["b"], reader="evaluator")


def test_what_is_no_ledger_is_a_store_error(tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("these are only words, but enough of them to look like a file\n" * 40)
    for wrong in (tmp_path, words):
        with pytest.raises(StoreError, match="cannot open"):
            VerdictLedger(wrong)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.lists(st.integers(0, 6), max_size=4), max_size=6))
def test_any_appends_leave_each_verdict_once_in_a_whole_chain(
    calls: list[list[int]], make_verdict: MakeVerdict, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def run(ledger: VerdictLedger) -> int:
        await asyncio.gather(*(ledger.append(*(make_verdict(str(i)) for i in call)) for call in calls))
        return (await ledger.verify()).rows

    with VerdictLedger(tmp_path_factory.mktemp("ledger") / "v.sqlite") as ledger:
        assert asyncio.run(run(ledger)) == len({i for call in calls for i in call})


def test_ten_kills_lose_nothing_that_was_acknowledged(path: Path) -> None:
    done = subprocess.run(script(KILLED, path), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    acknowledged = done.stdout.split()
    assert len({name.split("-")[0] for name in acknowledged}) == 10

    async def check(ledger: VerdictLedger) -> int:
        found = await ledger.scores("search", acknowledged, reader="evaluator")
        assert set(found) == set(acknowledged)
        return (await ledger.verify()).rows

    with VerdictLedger(path) as ledger:
        assert asyncio.run(check(ledger)) >= len(acknowledged)


def test_two_processes_append_to_one_chain(path: Path) -> None:
    writers = [
        subprocess.Popen(script(TOGETHER, path, name), cwd=ROOT, text=True, stdin=-1, stdout=-1) for name in "xy"
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    with VerdictLedger(path) as ledger:
        assert asyncio.run(ledger.verify()).rows == 2 * 120 + 40


def test_processes_that_make_one_ledger_at_the_same_moment_all_open_it(path: Path) -> None:
    done = subprocess.run(script(OPENED, path), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_full_disk_is_an_error_that_leaves_the_ledger_readable(path: Path) -> None:
    done = subprocess.run(script(FULL, path), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "cannot append" in done.stderr
    *acknowledged, rows = done.stdout.split()
    assert len(acknowledged) == int(rows) > 10
    with VerdictLedger(path) as ledger:
        found = asyncio.run(ledger.scores("search", acknowledged, reader="evaluator"))
    assert len(found) == len(acknowledged)
