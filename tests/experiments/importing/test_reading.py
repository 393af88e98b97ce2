"""Reading JSON: an array piece by piece gives what reading it whole gives, and every error names a line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.importing.reading import Read, begins_with, document, elements, fitted, lines, value_of
from signatures.errors import UsageError

TEXT = st.text(max_size=4)
PLAIN = st.none() | st.booleans() | st.integers() | TEXT
VALUES = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(TEXT, PLAIN | st.lists(PLAIN, max_size=2), max_size=3)


class Small(Read):
    """A model to fit."""

    n: int
    parts: tuple[int, ...] = ()


@settings(max_examples=60, deadline=None)
@given(values=st.lists(VALUES, max_size=5), indent=st.sampled_from([None, 1]), chunk=st.sampled_from([1, 3, 50]))
def test_an_array_in_pieces_is_the_array(values, indent, chunk, tmp_path_factory) -> None:
    file = tmp_path_factory.mktemp("array") / "a.json"
    text = json.dumps(values, indent=indent)
    file.write_text(text)
    found = list(elements(file, chunk=chunk))
    assert [value for _, value in found] == values
    if indent and values:
        shown = text.splitlines()
        assert all(json.dumps(value, indent=1).splitlines()[0] in shown[line - 1] for line, value in found)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{}", 1),
        ("[1,\n2,\n3", 3),
        ("[1,\n{\n'a': 1}]", 3),
        ("[1]\n\nmore", 3),
        ("[1\n2]", 2),
        ("[\n", 2),
        ("", 1),
        ("[1,\nNaN]", 2),
    ],
)
def test_a_broken_array_names_its_line(tmp_path: Path, text: str, line: int) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=rf"a\.json, line {line}: "):
        list(elements(file))


def test_files_may_be_gzipped_and_have_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.json.gz"
    file.write_bytes(gzip.compress(b"\xef\xbb\xbf [1]"))
    assert (document(file), begins_with(file), list(elements(file))) == ([1], "[", [(1, 1)])
    file.write_bytes(gzip.compress(b"[1]" * 1000)[:20])
    with pytest.raises(UsageError, match="cannot be read"):
        document(file)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b'["\xff"]')
    for read in (document, elements, lines, begins_with):
        with pytest.raises(UsageError, match="is not UTF-8"):
            list(read(file) or ())
    with pytest.raises(UsageError, match=r"none\.json: cannot be read"):
        document(tmp_path / "none.json")


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, "NaN", "{'a'}"])
def test_json_that_would_break_a_parser_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="f, line 4: "):
        value_of(text, "f", line=4)


def test_lines_that_are_blank_are_counted_and_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("1\n\n2\n")
    assert list(lines(file)) == [(1, "1"), (3, "2")]


def test_what_does_not_fit_is_named_without_its_value() -> None:
    with pytest.raises(UsageError, match=r"here: parts\[1\]: .* \(and 1 more\)") as error:
        fitted(Small, {"n": 1, "parts": [1, "secret", "secret"]}, "here")
    assert "secret" not in str(error.value)
