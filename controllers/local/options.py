"""What is served and how: the options of a local model, read from a model string and its settings."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from signatures.errors import UsageError
from signatures.records import Record

PREFIX: Final = "local:"
SAVED: Final = "local/"
"""How the name of a model that a file answers begins, in what is saved of it."""
MAGIC: Final = b"GGUF"
DIGITS: Final = 12
"""Of the file's SHA-256, in the model's name."""


class ServerOptions(Record):
    """One server: equal options mean the same server."""

    path: str
    "of the GGUF file, absolute"
    slots: int = Field(default=4, ge=1)
    "requests that are worked on at once; more wait"
    context_tokens: int = Field(default=8192, ge=128)
    "of each slot; a model trained on fewer gets its own limit"
    threads: int = Field(default_factory=lambda: len(os.sched_getaffinity(0)), ge=1)
    cache_mib: int = Field(default=512, ge=0)
    "of memory for prompts that have left their slot"
    start_timeout_s: float = Field(default=180.0, gt=0)
    timeout_s: float = Field(default=600.0, gt=0)
    "how long a request may wait for its answer, which includes waiting for a slot"
    grace_s: float = Field(default=2.0, ge=0)
    "between the request to stop and the kill"

    @property
    def name(self) -> str:
        """The file's stem: what the model is called."""
        return Path(self.path).stem


OWN: Final = frozenset(ServerOptions.model_fields) - {"path", "schema_version"}
"""The settings that are the server's; all others are the sampler's and go with each request."""


def is_local(model: str) -> bool:
    """Whether a model string names a file to serve here."""
    return model.startswith(PREFIX)


def options_of(model: str, settings: Mapping[str, object]) -> tuple[ServerOptions, dict[str, object]]:
    """The options of `local:PATH` or `local:PATH?temperature=0.8&max_tokens=400`, and what is left for the requests.

    Settings in the string are put over `settings`. Raises UsageError: no such file, no GGUF file, a bad setting, or a
    server that is not installed.
    """
    file, said = _parted(model)
    path = Path(file).expanduser().absolute()
    _require_gguf(path)
    settings = {**settings, **said}
    if importlib.util.find_spec("xllamacpp") is None:
        raise UsageError(f"model {model!r} needs a server that is not installed: pip install 'tiller[local]'")
    try:
        options = ServerOptions.model_validate(
            {"path": str(path), **{key: value for key, value in settings.items() if key in OWN}}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"model {model!r}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return options, {key: value for key, value in settings.items() if key not in OWN}


@lru_cache(maxsize=8)
def snapshot(path: str) -> str:
    """The first digits of the file's SHA-256: which model it is, whatever the file is called. Reads the whole file.

    Raises UsageError where it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]
    except OSError as error:
        raise UsageError(f"model file {path}: {error.strerror}") from error


def _parted(model: str) -> tuple[str, dict[str, object]]:
    """The file of a model string, and the settings that follow it after a question mark, each as JSON or as text."""
    rest = model.removeprefix(PREFIX)
    file, mark, query = rest.rpartition("?")
    if not mark or Path(rest).expanduser().is_file():
        return rest, {}
    found: dict[str, object] = {}
    for part in query.split("&"):
        key, equals, value = part.partition("=")
        if not key or not equals:
            raise UsageError(f"model {model!r}: after the question mark come settings such as temperature=0.8")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return file, found


def _require_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except OSError as error:
        raise UsageError(f"model file {path}: {error.strerror}") from error
    if head != MAGIC:
        raise UsageError(f"model file {path} is not GGUF: it starts with {head!r}")
