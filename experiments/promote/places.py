"""What promotions of a registered model leave below the run root: a ledger, a lock, and each compiled candidate.

The candidate's own file and the config that it was promoted with are kept beside the ledger, by the digest of the
release: a canary that is tried again later compares with them, not with what the registry says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from controllers.filelock import hold
from experiments.config import dump, merge
from experiments.promote.config import PromoteConfig
from experiments.whole_file import read_whole, write_whole
from signatures.errors import StoreError, UsageError
from signatures.release import Name

CANDIDATE: Final = "candidate.json"
CONFIG: Final = "promote.toml"
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name)


class Kept(NamedTuple):
    """A promotion as it was asked for."""

    config: PromoteConfig
    candidate: str
    "text of the saved controller"


def keep(root: Path, name: str, release: str, kept: Kept) -> None:
    """Keep a promotion by the digest of its release. Raises StoreError."""
    folder = _folder(root, name, release)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {error}") from error
    write_whole(folder / CANDIDATE, kept.candidate)
    write_whole(folder / CONFIG, dump(kept.config))


def kept_of(root: Path, name: str, release: str) -> Kept | None:
    """What was kept of a release, with this run root; None where it was promoted elsewhere. Raises StoreError."""
    folder = _folder(root, name, release)
    candidate = read_whole(folder / CANDIDATE)
    if candidate is None or not (folder / CONFIG).is_file():
        return None
    config = merge(PromoteConfig, folder / CONFIG)
    return Kept(config.model_copy(update={"root": str(root)}), candidate)


def kept_file(root: Path, name: str, release: str) -> Path:
    """Where the candidate of a release is kept, if it was promoted with this run root."""
    return _folder(root, name, release) / CANDIDATE


def names_below(root: Path) -> tuple[str, ...]:
    """The registered models that were promoted with this run root."""
    return tuple(sorted(path.stem.removeprefix("promotions-") for path in root.glob("promotions-*.db")))


def the_name(root: Path, name: str | None) -> str:
    """The name, or the only one there is. Raises UsageError, also for one that cannot be a name."""
    if name is not None:
        try:
            return _NAME.validate_python(name)
        except ValidationError as error:
            raise UsageError(f"{name!r}: is no name of a registered model: {error.errors()[0]['msg']}") from error
    names = names_below(root)
    if len(names) != 1:
        there = f"there is {', '.join(names)}" if names else "nothing was promoted there"
        raise UsageError(f"{root}: name a registered model; {there}")
    return names[0]


@contextmanager
def locked(root: Path, name: str) -> Iterator[None]:
    """Nobody else with this run root promotes or rolls back meanwhile. Raises UsageError where somebody does."""
    path = root / f"promotions-{name}.lock"
    try:
        lock = hold(path)
    except BlockingIOError as error:
        raise UsageError(f"{path}: another promotion or rollback of {name} goes on; wait for it to end") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened: {error}") from error
    with lock:
        yield


def _folder(root: Path, name: str, release: str) -> Path:
    return root / f"promotions-{name}" / release
