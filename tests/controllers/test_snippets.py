"""Finding code in text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controllers.snippets import extract_code

LINES = st.lists(st.text(st.characters(exclude_characters="`\r\n", exclude_categories=("Cs", "Cc"))), max_size=5)


@given(LINES, LINES, LINES)
def test_a_marked_block_comes_out_whole(before: list[str], code: list[str], after: list[str]) -> None:
    body = "".join(f"{line}\n" for line in code)
    text = "\n".join([*before, f"```python\n{body}```", *after])
    assert extract_code(text) == body


@given(LINES)
def test_text_without_fences_is_code_as_it_is(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert extract_code(text) == text


def test_marked_blocks_win_and_are_joined() -> None:
    text = "```py\na = 1\n```\ntalk\n```\nshell\n```\n```Python title=x\nb = 2\n```\n```sh\nls\n```"
    assert extract_code(text) == "a = 1\n\nb = 2\n"


def test_of_unmarked_blocks_the_last_counts() -> None:
    assert extract_code("```\nfirst\n```\n```\nlast\n```") == "last\n"


def test_other_languages_alone_are_no_code() -> None:
    text = "```sh\nls\n```"
    assert extract_code(text) == text


def test_a_last_fence_that_is_not_closed_ends_with_the_text() -> None:
    assert extract_code("So:\n```python\nx = 1") == "x = 1"
    assert extract_code("```python\nx = 1\n```\nand\n```python\ny = 2") == "x = 1\n\ny = 2"
