"""The holdout: known by content, read once even by several processes at once, and never with a verdict missing."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from optimizers.gate.holdout import (
    HoldoutLedger,
    Slice,
    contents_of,
    require_complete,
    require_disjoint,
    rotated,
    seal,
    verdicts_digest,
)
from optimizers.gate.holdout_ledger import Completed, Opened, Registered
from optimizers.intervals import TaskValues
from signatures.errors import EvidenceError, HoldoutSpent, StoreError, TillerError, UsageError
from signatures.records import Task

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 1, 5, tzinfo=UTC)

# Opens slice and says so; goes on when it is told to: `complete`, or `end`.
READER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from optimizers.gate.holdout import HoldoutLedger, Slice
from signatures.errors import TillerError

_, path, candidate, text = sys.argv
slice = Slice.model_validate_json(text)
print("ready", flush=True)
sys.stdin.readline()
try:
    with HoldoutLedger(Path(path)) as ledger:
        at = datetime.now(UTC)
        with ledger.open_read(slice, candidate=candidate, registration="of " + candidate, at=at) as read:
            print("open", flush=True)
            if sys.stdin.readline() == "complete\\n":
                scores = {task: [1.0] for task in slice.tasks}
                ledger.complete(read, {"baseline": scores, "candidate": scores}, at=at)
except TillerError as error:
    print(type(error).__name__, error, flush=True)
    sys.exit(error.exit_code)
"""

Start = Callable[..., subprocess.Popen[str]]


def contents(*ids: str, prefix: str = "") -> dict[str, str]:
    return {f"{prefix}{id}": f"content of {id}" for id in ids}


def sealed(*ids: str, name: str = "one", prefix: str = "", judge: str = "exact 1") -> Slice:
    return seal(name, contents(*ids, prefix=prefix), checkers={"fast": "clock 1"}, judge=judge)


def verdicts(slice: Slice, **changed: list[float | None]) -> dict[str, dict[str, list[float | None]]]:
    """One verdict a task for both arms; `changed` are the candidate's by task."""
    ones: dict[str, list[float | None]] = {task: [1.0] for task in slice.tasks}
    return {"baseline": ones, "candidate": {**ones, **changed}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "holdout.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[HoldoutLedger]:
    with HoldoutLedger(path) as opened:
        yield opened


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    """Starts a reader in a process of its own and waits until it could begin."""
    begun: list[subprocess.Popen[str]] = []

    def begin(candidate: str, slice: Slice) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", READER, str(path), candidate, slice.model_dump_json()]
        begun.append(subprocess.Popen(command, cwd=ROOT, text=True, stdin=-1, stdout=-1))
        assert hear(begun[-1]) == "ready"
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def tell(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{words}\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def register(ledger: HoldoutLedger, slice: Slice, *candidates: str) -> None:
    for candidate in candidates:
        ledger.register(f"of {candidate}", slice, candidate=candidate, at=AT)


def read_whole(ledger: HoldoutLedger, slice: Slice, candidate: str = "c") -> None:
    register(ledger, slice, candidate)
    with ledger.open_read(slice, candidate=candidate, registration=f"of {candidate}", at=AT) as read:
        ledger.complete(read, verdicts(slice), at=AT)


# What a slice is


def test_a_seal_is_of_contents_and_revisions_and_not_of_names() -> None:
    slice = sealed("a", "b")
    assert sealed("b", "a", name="two", prefix="renamed ").seal == slice.seal
    assert sealed("a", "c").seal != slice.seal
    assert sealed("a", "b", judge="exact 2").seal != slice.seal
    assert slice.model_copy(update={"checkers": {"fast": "clock 2"}}).seal != slice.seal
    assert Slice.model_validate_json(slice.model_dump_json()).seal == slice.seal


def test_one_task_under_two_ids_is_no_slice() -> None:
    twice = {"a": "same", "b": "same", "c": "other"}
    with pytest.raises(UsageError, match="slice one: one task under several ids: a = b"):
        seal("one", twice, checkers={}, judge="exact 1")
    with pytest.raises(ValidationError, match="under several ids"):
        Slice(name="one", tasks=twice, checkers={}, judge="exact 1")
    with pytest.raises(UsageError, match="has no task"):
        seal("none", {}, checkers={}, judge="exact 1")


def test_content_is_what_is_asked_and_not_how_it_is_spaced_or_named() -> None:
    tasks = [
        Task(digest="a", benchmark="x", prompt="Repair  the\nphone "),
        Task(digest="b", benchmark="y", prompt="No"),
    ]
    renamed = [Task(digest="z", benchmark="new", prompt="Repair the phone")]
    assert contents_of(tasks)["a"] == contents_of(renamed)["z"]
    assert contents_of(tasks)["a"] != contents_of(tasks)["b"]


def test_hidden_content_tells_tasks_of_one_prompt_apart() -> None:
    tasks = [Task(digest=id, benchmark="x", prompt="Repair it") for id in "ab"]
    assert len(set(contents_of(tasks).values())) == 1
    assert len(set(contents_of(tasks, {"a": ["sim"], "b": ["vpn"]}).values())) == 2
    with pytest.raises(UsageError, match="task b: hidden content is given for other tasks"):
        contents_of(tasks, {"a": 1})
    with pytest.raises(UsageError, match="task a comes twice"):
        contents_of([tasks[0], tasks[0]])


def test_an_overlap_of_splits_lists_the_ids() -> None:
    splits = {"search": contents("a", "b", "c"), "dev": contents("d"), "holdout": contents("c", "e")}
    with pytest.raises(UsageError, match=r"^search and holdout overlap in 1 tasks: c$"):
        require_disjoint(splits)
    require_disjoint({name: tasks for name, tasks in splits.items() if name != "search"})


def test_an_overlap_under_other_ids_is_found() -> None:
    splits = {"search": contents("a", "b"), "holdout": contents("b", "c", prefix="new ")}
    with pytest.raises(UsageError, match=r"overlap in 1 tasks: b \(as new b\)"):
        require_disjoint(splits)
    with pytest.raises(UsageError, match="overlap in 1 tasks: a"):
        require_disjoint({"search": {"a": "old text"}, "holdout": {"a": "new text"}})


def test_a_long_overlap_is_one_line() -> None:
    many = contents(*(f"{i:03}" for i in range(60)))
    with pytest.raises(UsageError, match=r"overlap in 60 tasks: 000, .*049 and 10 more$"):
        require_disjoint({"search": many, "holdout": many})


@given(n=st.integers(1, 40), data=st.data(), seed=st.integers(0, 9))
def test_rotating_slices_are_disjoint_whole_and_even(n: int, data: st.DataObject, seed: int) -> None:
    tasks = contents(*map(str, range(n)))
    slices = data.draw(st.integers(1, n))
    dealt = rotated(tasks, slices, seed=seed)
    assert {id: content for one in dealt for id, content in one.items()} == tasks
    assert sum(map(len, dealt)) == n
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    renamed = {f"new {id}": tasks[id] for id in sorted(tasks, reverse=True)}
    again = rotated(renamed, slices, seed=seed)
    assert [set(one.values()) for one in again] == [set(one.values()) for one in dealt]


def test_a_rotation_that_cannot_be_is_refused() -> None:
    for slices in (0, 3):
        with pytest.raises(UsageError, match=f"2 tasks cannot be dealt out to {slices} slices"):
            rotated(contents("a", "b"), slices)
    with pytest.raises(UsageError, match="one task under several ids: a = b"):
        rotated({"a": "same", "b": "same"}, 1)


# No verdict missing


def test_verdicts_that_miss_the_losing_pairs_block(ledger: HoldoutLedger) -> None:
    slice = sealed("a", "b", "c", "d")
    register(ledger, slice, "c")
    lost = {"b", "d"}
    kept = {arm: {t: v for t, v in by.items() if t not in lost} for arm, by in verdicts(slice).items()}
    unsaid = verdicts(slice, b=[None], d=[])
    with ledger.open_read(slice, candidate="c", registration="of c", at=AT) as read:
        with pytest.raises(EvidenceError, match="arm baseline: 2 of 4 verdicts are missing, of tasks b, d; arm cand"):
            ledger.complete(read, kept, at=AT)
        with pytest.raises(EvidenceError, match=r"^arm candidate: 2 of 4 verdicts are missing, of tasks b, d$"):
            ledger.complete(read, unsaid, at=AT)
        assert ledger.completed(slice, candidate="c") is None, "the read stays open"
        ledger.complete(read, verdicts(slice), at=AT)


@given(data=st.data(), repeats=st.integers(1, 3))
def test_every_gap_is_counted(data: st.DataObject, repeats: int) -> None:
    slice = sealed("a", "b", "c")
    value = st.sampled_from([None, 0.0, 1.0])
    values = {task: data.draw(st.lists(value, max_size=repeats)) for task in slice.tasks}
    gaps = sum(repeats - sum(v is not None for v in one) for one in values.values())
    if gaps:
        with pytest.raises(EvidenceError, match=f"arm x: {gaps} of {3 * repeats} verdicts are missing"):
            require_complete(slice, {"x": values}, repeats=repeats)
    else:
        require_complete(slice, {"x": values}, repeats=repeats)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "at least one arm"),
        ({"x": {"a": [1.0], "b": [1.0], "stranger": [1.0]}}, "arm x: not tasks of slice one: stranger"),
        ({"x": {"a": [1.0, 1.0], "b": [1.0]}}, "arm x, task a: 2 verdicts where 1 were registered"),
        ({"x": {"a": [1.0], "b": [float("nan")]}}, "arm x, task b: a verdict is not finite"),
    ],
)
def test_verdicts_that_are_not_of_this_read_are_refused(given: Mapping[str, TaskValues], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        require_complete(sealed("a", "b"), given)


# Read once


def test_a_slice_is_read_once(ledger: HoldoutLedger) -> None:
    slice = sealed("a", "b")
    register(ledger, slice, "c", "d")
    read_whole(ledger, slice, "c")
    for candidate in ("c", "d"):
        with pytest.raises(HoldoutSpent, match="slice one: 2 of 2 tasks were read: a, b"):
            ledger.open_read(slice, candidate=candidate, registration=f"of {candidate}", at=AT)
    kinds = [type(entry) for entry in ledger.entries()]
    assert kinds == [Registered, Registered, Opened, Completed]


def test_nothing_is_read_that_was_not_registered_for_it(ledger: HoldoutLedger) -> None:
    slice = sealed("a", "b")
    register(ledger, slice, "c")
    asked = [(slice, "c", "edited"), (slice, "d", "of c"), (sealed("a", "x"), "c", "of c")]
    for other, candidate, registration in asked:
        with pytest.raises(UsageError, match="was not noted"):
            ledger.open_read(other, candidate=candidate, registration=registration, at=AT)
    assert len(ledger.entries()) == 1


@pytest.mark.parametrize(
    "again",
    [
        sealed("a", "b", prefix="renamed "),
        sealed("a", "b", name="two"),
        sealed("a", "b", judge="exact 2"),
        sealed("b", "fresh", "more", name="mostly new"),
        sealed("a", name="a part"),
    ],
    ids=lambda slice: f"{slice.name}, {slice.judge}, {' '.join(slice.tasks)}",
)
def test_content_that_was_read_is_spent_under_any_name(ledger: HoldoutLedger, again: Slice) -> None:
    read_whole(ledger, sealed("a", "b"))
    with pytest.raises(HoldoutSpent, match="tasks were read"):
        ledger.register("later", again, candidate="d", at=AT)
    with pytest.raises(TillerError):
        ledger.open_read(again, candidate="d", registration="later", at=AT)
    assert ledger.unspent([again]) == ()


def test_slices_registered_beforehand_are_spent_by_an_overlapping_read(ledger: HoldoutLedger) -> None:
    one, two, three = sealed("a", "b"), sealed("b", "c", name="two"), sealed("c", "d", name="three")
    for slice in (one, two, three):
        register(ledger, slice, "c")
    assert ledger.unspent([one, two, three]) == (one, two, three)
    ledger.open_read(one, candidate="c", registration="of c", at=AT).close()
    with pytest.raises(HoldoutSpent, match="slice two: 1 of 2 tasks were read: b"):
        ledger.open_read(two, candidate="c", registration="of c", at=AT)
    assert ledger.unspent([one, two, three]) == (three,)
    ledger.open_read(three, candidate="c", registration="of c", at=AT).close()


def test_a_read_that_was_broken_off_goes_on_for_its_candidate_alone(ledger: HoldoutLedger) -> None:
    slice = sealed("a", "b")
    register(ledger, slice, "c", "d")
    ledger.register("other numbers", slice, candidate="c", at=AT)
    ledger.open_read(slice, candidate="c", registration="of c", at=AT).close()
    with pytest.raises(HoldoutSpent, match="tasks were read"):
        ledger.open_read(slice, candidate="d", registration="of d", at=AT)
    with pytest.raises(HoldoutSpent, match="open under registration of c alone"):
        ledger.open_read(slice, candidate="c", registration="other numbers", at=AT)
    with ledger.open_read(slice, candidate="c", registration="of c", at=AT) as read:
        assert read.tries == 2
        done = ledger.complete(read, verdicts(slice), at=AT)
    assert ledger.completed(slice, candidate="c") == done
    assert ledger.completed(slice, candidate="d") is None


def test_a_read_ends_once(ledger: HoldoutLedger, path: Path) -> None:
    slice = sealed("a", "b")
    register(ledger, slice, "c")
    first = ledger.open_read(slice, candidate="c", registration="of c", at=AT)
    path.with_name(f"{path.name}.{first.id}.lock").unlink()
    with HoldoutLedger(path) as other, other.open_read(slice, candidate="c", registration="of c", at=AT) as second:
        ledger.complete(first, verdicts(slice), at=AT)
        better = verdicts(slice, a=[2.0])
        with pytest.raises(HoldoutSpent, match="was read by this candidate before"):
            other.complete(second, better, at=AT)
    done = ledger.completed(slice, candidate="c")
    assert done is not None
    assert done.verdicts == verdicts_digest(verdicts(slice)) != verdicts_digest(better)
    with pytest.raises(UsageError, match="was closed; open it again"):
        ledger.complete(first, verdicts(slice), at=AT)


def test_registering_again_is_a_no_op_and_registering_late_is_refused(ledger: HoldoutLedger) -> None:
    slice = sealed("a", "b")
    register(ledger, slice, "c", "c")
    assert len(ledger.entries()) == 1
    ledger.open_read(slice, candidate="c", registration="of c", at=AT).close()
    register(ledger, slice, "c")
    with pytest.raises(HoldoutSpent):
        ledger.register("after a look", slice, candidate="c", at=AT)


def test_of_two_processes_at_once_one_candidate_reads(ledger: HoldoutLedger, start: Start) -> None:
    slice = sealed("a", "b")
    names = ["c1", "c2", "c3"]
    register(ledger, slice, *names)
    processes = [start(name, slice) for name in names]
    for process in processes:
        tell(process, "go")
    said = [hear(process) for process in processes]
    assert sorted(one.split()[0] for one in said) == ["HoldoutSpent", "HoldoutSpent", "open"]
    for process, words in zip(processes, said, strict=True):
        if words == "open":
            tell(process, "complete")
        assert process.wait(timeout=60) == (0 if words == "open" else 4)
    assert [type(entry) for entry in ledger.entries()[3:]] == [Opened, Completed]


def test_of_two_processes_of_one_candidate_one_reads_until_it_dies(ledger: HoldoutLedger, start: Start) -> None:
    slice = sealed("a", "b")
    register(ledger, slice, "c")
    processes = [start("c", slice) for _ in range(3)]
    for process in processes[:2]:
        tell(process, "go")
    said = [hear(process) for process in processes[:2]]
    assert sorted(one.split()[0] for one in said) == ["HoldoutSpent", "open"]
    assert next(one for one in said if one != "open").endswith("is being read by another process at this moment")
    reader = processes[said.index("open")]
    reader.send_signal(signal.SIGKILL)
    reader.wait(timeout=60)
    tell(processes[2], "go")
    assert hear(processes[2]) == "open", "a read that was killed may be run again"
    tell(processes[2], "complete")
    assert processes[2].wait(timeout=60) == 0
    with pytest.raises(HoldoutSpent):
        ledger.open_read(slice, candidate="c", registration="of c", at=AT)


# The file


def test_an_edited_ledger_reads_nothing_more(ledger: HoldoutLedger, path: Path) -> None:
    read_whole(ledger, sealed("a", "b"))
    fresh = sealed("x", "y", name="two")
    register(ledger, fresh, "d")
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TRIGGER never_deleted; DELETE FROM entries WHERE kind = 'opened'")
    for attempt in (
        lambda: ledger.open_read(fresh, candidate="d", registration="of d", at=AT),
        lambda: ledger.register("later", sealed("a", "b"), candidate="d", at=AT),
        lambda: ledger.unspent([fresh]),
        ledger.verify,
    ):
        with pytest.raises(StoreError, match="row 2 was deleted"):
            attempt()


def test_an_older_copy_put_back_does_not_go_on_from_the_noted_head(ledger: HoldoutLedger, path: Path) -> None:
    slice = sealed("a", "b")
    register(ledger, slice, "c")
    early = ledger.verify()
    old = path.with_name("old.sqlite")
    with closing(sqlite3.connect(path)) as db, closing(sqlite3.connect(old)) as copy:
        db.backup(copy)
    read_whole(ledger, slice)
    noted = ledger.verify(since=early)
    assert (early.rows, noted.rows) == (1, 3)
    with HoldoutLedger(old) as put_back:
        assert put_back.verify(since=early) == early
        with pytest.raises(StoreError, match="does not go on from row 3"):
            put_back.verify(since=noted)


def test_a_closed_ledger_says_so(path: Path) -> None:
    ledger = HoldoutLedger(path)
    ledger.close()
    ledger.close()
    with pytest.raises(StoreError, match="cannot"):
        ledger.verify()
