"""Reading foreign JSON: every way in which it can be wrong is a UsageError that names the file and the place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from signatures.errors import UsageError

ModelT = TypeVar("ModelT", bound=BaseModel)
CHUNK: Final = 1 << 20
"""Characters read at a time."""
_SPACE: Final = " \t\r\n"


class Read(BaseModel):
    """Base of what is read: the named fields and no others, numbers and text as JSON has them."""

    model_config = ConfigDict(frozen=True, extra="ignore")


@contextmanager
def opened(file: Path) -> Iterator[IO[str]]:
    """The file as UTF-8 text, unpacked where its name ends in `.gz`. Raises UsageError, also while it is read."""
    try:
        # newline: line numbers are those of an editor
        if file.suffix == ".gz":
            with gzip.open(file, "rt", encoding="utf-8-sig") as packed:
                yield packed
        else:
            with file.open(encoding="utf-8-sig") as plain:
                yield plain
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: is not UTF-8 text: {error}") from error
    except (OSError, EOFError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from error


def value_of(text: str | bytes, file: Path | str, *, line: int = 1) -> JsonValue:
    """The JSON value of `text`, which begins on that line of the file. Raises UsageError naming the line."""
    try:
        found: JsonValue = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise UsageError(f"{file}, line {line + error.lineno - 1}: is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}, line {line}: cannot be read: {error}") from error
    return found


def document(file: Path) -> JsonValue:
    """All of a file that is one JSON value. Raises UsageError."""
    with opened(file) as stream:
        return value_of(stream.read(), file)


def lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers. Raises UsageError."""
    with opened(file) as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield number, line.rstrip()


def fitted(model: type[ModelT], value: JsonValue, place: str) -> ModelT:
    """`value` as the model. Raises UsageError naming the path to what does not fit, and not what is there."""
    with at(place):
        return model.model_validate(value)


@contextmanager
def at(place: str) -> Iterator[None]:
    """What does not fit a record inside is a UsageError that names the place."""
    try:
        yield
    except ValidationError as error:
        raise UsageError(f"{place}: {why(error)}") from error


def why(error: ValidationError) -> str:
    """The first thing that does not fit, as a JSON path and a reason, without the value."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{path.lstrip('.') or 'the value'}: {first['msg']}{more}"


def begins_with(file: Path) -> str:
    """The first character that is no space; empty for an empty file. Raises UsageError."""
    with opened(file) as stream:
        while chunk := stream.read(256):
            if text := chunk.lstrip(_SPACE):
                return text[0]
    return ""


def elements(file: Path, *, chunk: int = CHUNK) -> Iterator[tuple[int, JsonValue]]:
    """Each element of the array that a file is, with the line it begins on, one in memory at a time.

    Raises UsageError naming the line of what is not JSON.
    """
    with opened(file) as stream:
        yield from _Array(file, stream, chunk).elements()


class _Array:
    """The text of an array as far as it is needed."""

    def __init__(self, file: Path, stream: IO[str], chunk: int) -> None:
        self._file, self._stream, self._chunk = file, stream, chunk
        self._text, self._at, self._line, self._whole = "", 0, 1, False
        self._decoder = json.JSONDecoder(parse_constant=_no_number)

    def elements(self) -> Iterator[tuple[int, JsonValue]]:
        self._expect("[")
        if self._peek() == "]":
            self._at += 1
        else:
            while True:
                self._peek()
                yield self._line, self._element()
                if self._expect(",]") == "]":
                    break
        if self._peek():
            self._fail("more follows after the array")

    def _element(self) -> JsonValue:
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                # the decoder's position is one in the text as it is now
                at = error.pos if isinstance(error, json.JSONDecodeError) else self._at
                further = self._text.count("\n", self._at, at)
                if self._whole or isinstance(error, RecursionError) or not self._more():
                    self._line += further
                    self._fail(f"is not JSON: {getattr(error, 'msg', error)}")
                continue
            if end == len(self._text) and self._more():
                continue  # a number may go on
            self._skip_to(end)
            found: JsonValue = value
            return found

    def _expect(self, wanted: str) -> str:
        found = self._peek()
        if not found or found not in wanted:
            self._fail(f"is not JSON: expected {' or '.join(wanted)}, found {found or 'the end'}")
        self._at += 1
        return found

    def _peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._line += self._text[self._at] == "\n"
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Read on, twice as much as there is, so that a long element is not tried too often."""
        new = self._stream.read(max(self._chunk, len(self._text) - self._at))
        self._text, self._at, self._whole = self._text[self._at :] + new, 0, not new
        return bool(new)

    def _skip_to(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end

    def _fail(self, what: str) -> NoReturn:
        raise UsageError(f"{self._file}, line {self._line}: {what}")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
