"""What a shipped recording is of: the worker that was recorded, the model's file, where it came from and its licence.

`experiments/recordings/<benchmark>/manifest.json` is one `Recording`; the corpus file that it names lies beside it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from signatures.errors import StoreError, UsageError
from signatures.records import Record, WorkerFingerprint

FOLDER: Final = Path(__file__).parent
MANIFEST: Final = "manifest.json"


class Recording(Record):
    """The manifest of one recording."""

    benchmark: str
    worker: WorkerFingerprint
    "of the worker that made the attempts: replay finds them by it"
    revision: str
    "digest of judge and checkers that the episodes' ids are made of: with others none of them is found"
    model_file: str
    "name of the model's file"
    model_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    model_bytes: int = Field(ge=1)
    corpus: str
    "name of the corpus file beside the manifest"
    corpus_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    licence: str
    "of the model and of the tasks, in a sentence"
    recipe: str
    "how the recording was made: the command"
    attempts_turns: tuple[int, int]
    "attempts and turns of each that episodes were granted: replay with the same"


def recording(benchmark: str, folder: Path = FOLDER) -> Recording:
    """The recording of a benchmark. Raises UsageError where none ships, StoreError for a manifest that is damaged."""
    path = folder / benchmark / MANIFEST
    try:
        found = Recording.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no recording of {benchmark} ships with this release: name a model as the worker") from None
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise StoreError(f"{path}: not a readable manifest of a recording: {type(error).__name__}") from error
    if found.benchmark != benchmark:
        raise StoreError(f"{path}: is of {found.benchmark}, not of {benchmark}")
    return found


def corpus_of(benchmark: str, folder: Path = FOLDER) -> Path:
    """The packed corpus of a recording, checked. Raises what `recording` raises, StoreError for other bytes."""
    found = recording(benchmark, folder)
    path = folder / benchmark / found.corpus
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    if digest != found.corpus_sha256:
        raise StoreError(f"{path}: is not the corpus that its manifest names")
    return path
