"""What was bought for a corpus: each list of purchases, written before it is used, and whether it was gone through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError

from controllers.filelock import hold
from controllers.jsonlog import JsonLog, read_jsonlog
from optimizers.collect.collecting import Purchase
from signatures.digest import canonical_json
from signatures.errors import StoreError, UsageError
from signatures.records import Record


class TopUp(Record):
    """A list of purchases that a number of attempts may be spent on."""

    attempts: int = Field(ge=1)
    made_with: str
    "digest of the parts and the plan that it was made for"
    purchases: tuple[Purchase, ...]


def top_ups_beside(corpus: Path) -> Path:
    """Where the purchases for a corpus are kept."""
    return corpus.with_suffix(".top-ups.jsonl")


class TopUpLog:
    """The log beside a corpus. Whoever collects holds it: one process at a time, so that nothing is paid for twice."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises UsageError where another process collects into the corpus, StoreError."""
        try:
            self._lock = hold(path)
        except BlockingIOError as error:
            raise UsageError(f"{path}: another process is collecting into this corpus") from error
        except OSError as error:
            raise StoreError(f"{path}: cannot open for appending: {error}") from error
        try:
            self.pending = _pending(path)
            self._log = JsonLog(path)
        except StoreError:
            self._lock.close()
            raise

    def begin(self, top_up: TopUp) -> None:
        """Make it durable before anything of it is bought."""
        self._log.append({"top_up": top_up.model_dump(mode="json")})
        self.pending = top_up

    def finish(self) -> None:
        """Say that all of it was gone through."""
        self._log.append({"finished": True})
        self.pending = None

    def close(self) -> None:
        """Let others collect."""
        self._log.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _pending(path: Path) -> TopUp | None:
    """The last list of purchases, if it was not gone through. Raises StoreError."""
    entries: Sequence[dict[str, object]] = list(read_jsonlog(path))
    if not entries or "top_up" not in entries[-1]:
        return None
    try:
        return TopUp.model_validate_json(canonical_json(entries[-1]["top_up"]))
    except ValidationError as error:
        raise StoreError(f"{path}: its last line is no list of purchases: {error}") from error
