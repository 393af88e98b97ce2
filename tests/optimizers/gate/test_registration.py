"""Registration: written once before the holdout is run, and nothing that differs from it goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from optimizers.gate.holdout import HoldoutLedger, Slice, seal
from optimizers.gate.registration import Registration, read, register, require_same, write
from signatures.errors import HoldoutSpent, StoreError, UsageError
from signatures.records import Amounts

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 1, 5, tzinfo=UTC)
SLICE = seal("one", {"a": "content of a", "b": "content of b"}, checkers={"fast": "clock 1"}, judge="exact 1")
BODY: dict[str, object] = {
    "primary": "correct",
    "margins": {"correct": 0.02, "fast": 0.05},
    "family": ("refine - placebo",),
    "min_effect": 0.05,
    "slice": SLICE.name,
    "seal": SLICE.seal,
    "granted": Amounts(attempts=3, turns=36),
    "candidate": "c",
    "baseline": "b",
    "seeds": (0, 1),
    "manifest": "m",
    "conditions": {"worker": "scripted"},
}

WRITER = """
import sys
from pathlib import Path
from optimizers.gate.registration import Registration, write
from signatures.errors import UsageError

registration = Registration.model_validate_json(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
try:
    write(Path(sys.argv[1]), registration)
except UsageError as error:
    sys.exit(error.exit_code)
"""


def registration(**changed: object) -> Registration:
    return Registration.model_validate({**BODY, **changed})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gate" / "registration.json"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[HoldoutLedger]:
    with HoldoutLedger(tmp_path / "holdout.sqlite") as opened:
        yield opened


def edit(path: Path, **changed: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def begin(ledger: HoldoutLedger, now: Registration, slice: Slice = SLICE) -> None:
    ledger.open_read(slice, candidate=now.candidate, registration=now.digest, at=AT).close()


def test_what_was_registered_is_read_back_and_may_be_run(path: Path, ledger: HoldoutLedger) -> None:
    register(path, registration(), slice=SLICE, ledger=ledger, at=AT)
    assert read(path) == registration() == require_same(path, registration())
    begin(ledger, read(path))
    assert [file.name for file in path.parent.iterdir()] == ["registration.json"], "no draft is left"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"alpha": 0.05}, r"alpha \(0.025 registered, 0.05 now\)"),
        ({"primary": "fast"}, r'primary \("correct" registered, "fast" now\)'),
        ({"margins": {"correct": 0.02, "fast": 0.5}}, r"margins.fast \(0.05 registered, 0.5 now\)"),
        ({"margins": {"correct": 0.02}}, r"margins.fast \(0.05 registered, nothing now\)"),
        ({"family": ("refine - random",)}, "family"),
        ({"min_effect": None}, r"min_effect \(0.05 registered, null now\)"),
        ({"optional_stopping": True}, "optional_stopping"),
        ({"seal": "other"}, "seal"),
        ({"slice": "two"}, "slice"),
        ({"granted": Amounts(attempts=3, turns=48)}, r"granted.turns \(36 registered, 48 now\)"),
        ({"candidate": "d"}, "candidate"),
        ({"baseline": "d"}, "baseline"),
        ({"seeds": (0, 2)}, "seeds"),
        ({"manifest": "n"}, "manifest"),
        ({"conditions": {"worker": "chat"}}, "conditions.worker"),
    ],
)
def test_a_run_that_differs_is_refused_by_field(path: Path, changed: dict[str, object], named: str) -> None:
    write(path, registration())
    with pytest.raises(UsageError, match=rf"differs from what was registered: {named}") as refused:
        require_same(path, registration(**changed))
    assert str(refused.value).count(" registered, ") == 1
    assert registration(**changed).digest != registration().digest


def test_every_field_that_differs_is_named(path: Path) -> None:
    write(path, registration())
    with pytest.raises(UsageError, match=r"alpha .*, candidate .*, seeds \(\[0,1\] registered, \[0\] now\)$"):
        require_same(path, registration(alpha=0.05, candidate="d", seeds=(0,)))


def test_every_field_of_a_registration_is_compared() -> None:
    """A field that is added later must be one that `require_same` sees: it compares what the digest covers."""
    assert set(Registration.model_fields) == set(registration().content())


def test_an_edited_file_is_refused(path: Path, ledger: HoldoutLedger) -> None:
    register(path, registration(), slice=SLICE, ledger=ledger, at=AT)
    edit(path, alpha=0.2)
    with pytest.raises(UsageError, match=r"alpha \(0.2 registered, 0.025 now\)"):
        require_same(path, registration())
    with pytest.raises(UsageError, match="the file was edited after it was registered"):
        begin(ledger, require_same(path, registration(alpha=0.2)))
    with pytest.raises(UsageError, match="alpha"):
        register(path, registration(), slice=SLICE, ledger=ledger, at=AT)


def test_a_file_edited_while_the_read_is_open_is_refused_even_if_registered_anew(
    path: Path, ledger: HoldoutLedger
) -> None:
    register(path, registration(), slice=SLICE, ledger=ledger, at=AT)
    begin(ledger, registration())
    edit(path, min_effect=None)
    with pytest.raises(HoldoutSpent, match="tasks were read: a, b"):
        register(path, registration(min_effect=None), slice=SLICE, ledger=ledger, at=AT)
    with pytest.raises(UsageError, match="was not noted"):
        begin(ledger, registration(min_effect=None))


def test_a_registration_is_never_replaced(path: Path, ledger: HoldoutLedger) -> None:
    register(path, registration(), slice=SLICE, ledger=ledger, at=AT)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="differs from what was registered: alpha"):
        register(path, registration(alpha=0.05), slice=SLICE, ledger=ledger, at=AT)
    for same in (registration(), registration(alpha=0.05)):
        with pytest.raises(UsageError, match="never replaced"):
            write(path, same)
    assert path.read_bytes() == before
    assert len(ledger.entries()) == 1, "what was refused is not noted either"


def test_registering_again_ends_what_a_kill_broke_off(path: Path, ledger: HoldoutLedger) -> None:
    ledger.register(registration().digest, SLICE, candidate="c", at=AT)
    for _ in range(2):
        register(path, registration(), slice=SLICE, ledger=ledger, at=AT)
    assert read(path) == registration()
    assert len(ledger.entries()) == 1


def test_a_registration_belongs_to_its_slice(path: Path, ledger: HoldoutLedger) -> None:
    other = seal("one", {"a": "content of a"}, checkers={"fast": "clock 1"}, judge="exact 1")
    with pytest.raises(UsageError, match="is for slice one"):
        register(path, registration(), slice=other, ledger=ledger, at=AT)
    assert not path.exists()
    assert ledger.entries() == ()


def test_a_slice_that_was_run_is_registered_too_late(path: Path, ledger: HoldoutLedger) -> None:
    register(path, registration(), slice=SLICE, ledger=ledger, at=AT)
    begin(ledger, registration())
    late = path.with_name("late.json")
    with pytest.raises(HoldoutSpent):
        register(late, registration(candidate="d"), slice=SLICE, ledger=ledger, at=AT)
    assert not late.exists()


def test_of_two_processes_that_write_one_file_one_does(path: Path) -> None:
    texts = [registration(alpha=alpha).model_dump_json() for alpha in (0.01, 0.02, 0.03)]
    command = [sys.executable, "-c", WRITER, str(path)]
    processes = [subprocess.Popen([*command, text], cwd=ROOT, text=True, stdin=-1, stdout=-1) for text in texts]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert sorted(process.returncode for process in processes) == [0, 2, 2]
    won = [process.returncode for process in processes].index(0)
    assert read(path) == Registration.model_validate_json(texts[won])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "not a readable registration"),
        ("{}", "primary: Field required"),
        ('{"schema_version": 2}', "schema_version"),
        ("\udcff", "UnicodeDecodeError"),
    ],
)
def test_what_is_no_registration_is_one_clear_line(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "registration.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=named) as refused:
        read(path)
    assert "\n" not in str(refused.value)


def test_nothing_registered_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing was registered here"):
        read(tmp_path / "none.json")
    with pytest.raises(UsageError, match="IsADirectoryError"):
        read(tmp_path)


def test_a_folder_that_cannot_be_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write(tmp_path / "file" / "registration.json", registration())


@pytest.mark.parametrize(
    "changed",
    [
        {"margins": {"fast": 0.05}},
        {"margins": {"correct": -0.1}},
        {"family": ()},
        {"family": ("x", "x")},
        {"seeds": ()},
        {"seeds": (1, 1)},
        {"alpha": 0.0},
        {"alpha": 0.6},
        {"min_effect": 0.0},
        {"unknown": 1},
    ],
)
def test_what_could_not_be_decided_is_not_registered(changed: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        registration(**changed)


def test_a_relabelled_copy_may_be_registered() -> None:
    assert registration(candidate="b").candidate == "b"
