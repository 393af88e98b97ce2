"""Registration: what a gate will decide, on what and by which numbers, written down before the holdout is run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, ValidationError, model_validator

from optimizers.gate.holdout import HoldoutLedger, Slice
from signatures.digest import canonical_json, digest_of
from signatures.errors import StoreError, UsageError
from signatures.records import Amounts, Finite, NonNegative, Record

_ABSENT: Final = "nothing"


class Registration(Record):
    """All that could be chosen after the fact. Two equal registrations mean the same decision on the same data."""

    primary: str
    "the objective that decides"
    margins: Mapping[str, NonNegative]
    "every objective, the primary too -> how much worse it may be and still count as not worse"
    family: tuple[str, ...] = Field(min_length=1)
    "the contrasts that Benjamini-Hochberg corrects together"
    alpha: Annotated[Finite, Field(gt=0, le=0.5)] = 0.025
    "one-sided"
    min_effect: Annotated[Finite, Field(gt=0)] | None = None
    "the smallest effect of interest"
    optional_stopping: bool = False
    "whether results are looked at before all are in"
    slice: str
    "its name"
    seal: str
    "the slice's digest: contents of its tasks, revisions of checkers and judge"
    granted: Amounts
    "the same for every arm"
    candidate: str
    baseline: str
    "digests"
    seeds: tuple[int, ...] = Field(min_length=1)
    "one a repeat, the same for every arm and task"
    manifest: str
    "digest of the definition of done"
    conditions: Mapping[str, str] = Field(default_factory=dict)
    "what else the result depends on, such as benchmark, worker and arms, as text"

    @property
    def digest(self) -> str:
        """What the ledger notes."""
        return digest_of(self)

    @model_validator(mode="after")
    def _can_be_decided(self) -> Self:
        if self.primary not in self.margins:
            raise ValueError(f"the primary objective {self.primary} has no margin")
        for name in ("family", "seeds"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names one thing twice")
        return self


def register(path: Path, registration: Registration, *, slice: Slice, ledger: HoldoutLedger, at: datetime) -> None:
    """Note the registration in the ledger and write its file. Doing so again with the same one is a no-op.

    Raises UsageError where another registration stands in the file or the slice is not the registered one,
    HoldoutSpent where a task of the slice was run already, StoreError.
    """
    if (slice.name, slice.seal) != (registration.slice, registration.seal):
        raise UsageError(f"the registration is for slice {registration.slice} ({registration.seal}), not this one")
    if path.exists():
        require_same(path, registration)
    # Ledger first: after a kill in between, the same call ends what was begun.
    ledger.register(registration.digest, slice, candidate=registration.candidate, at=at)
    if not path.exists():
        write(path, registration)


def write(path: Path, registration: Registration) -> None:
    """Make the file, whole or not at all. Raises UsageError where there is one already, whatever it says; StoreError.

    It is not noted in a ledger by this alone.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as file:
            file.write(registration.model_dump_json(indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)  # refuses, in one step, where the name is taken
    except OSError as error:
        if isinstance(error, FileExistsError) and path.exists():
            raise UsageError(f"{path}: something is registered there; a registration is never replaced") from error
        raise StoreError(f"{path}: cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def read(path: Path) -> Registration:
    """The registration in a file. Raises UsageError where there is none or it cannot be read."""
    try:
        return Registration.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: nothing was registered here") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise UsageError(f"{path}: not a readable registration: {where}: {first['msg']}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a readable registration: {type(error).__name__}") from error


def require_same(path: Path, now: Registration) -> Registration:
    """The registration in the file, which `now` must equal. Raises UsageError naming each field that differs.

    Whether the file itself was edited, the ledger knows: `HoldoutLedger.open_read` refuses a digest it never noted.
    """
    before = read(path)
    was, is_now = _fields(before), _fields(now)
    changed = [
        f"{name} ({was.get(name, _ABSENT)} registered, {is_now.get(name, _ABSENT)} now)"
        for name in sorted({*was, *is_now})
        if was.get(name) != is_now.get(name)
    ]
    if changed:
        raise UsageError(f"{path}: differs from what was registered: {', '.join(changed)}")
    return before


def _fields(registration: Registration) -> dict[str, str]:
    """Each field, and each entry of a mapping, that can change on its own -> its value as JSON."""
    found: dict[str, str] = {}
    for name, value in registration.content().items():
        if isinstance(value, dict):
            found |= {f"{name}.{key}": canonical_json(inner) for key, inner in value.items()}
        else:
            found[name] = canonical_json(value)
    return found
