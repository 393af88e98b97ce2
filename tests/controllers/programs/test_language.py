from __future__ import annotations

import ast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controllers.programs.language import BUILTINS, GUIDE, METHODS, SHOT_ATTRIBUTES, canonical, check
from controllers.programs.subset import CALLS
from controllers.programs.wire import Shot
from signatures.errors import ProgramRefused
from tests.worlds.hostile import HOSTILE
from tests.worlds.programs import programs

REFINE = '''async def strategy(ctx):
    """Refine while something is left."""
    shot = await ctx.shot()
    for _ in range(8):
        left = await ctx.budget()
        if shot.passed or left.attempts < 1:
            return
        shot = await ctx.shot(start="last", steer="untried")
'''


def test_a_program_of_a_few_lines_is_in_the_language() -> None:
    check(REFINE)


@given(programs())
@settings(max_examples=60, deadline=None)
def test_random_programs_are_in_the_language_and_compile(source: str) -> None:
    check(source)
    compile(source, "<strategy>", "exec")


@given(programs())
@settings(max_examples=40, deadline=None)
def test_one_layout_of_a_program_is_that_program(source: str) -> None:
    written = canonical(source)
    assert canonical(written) == written
    assert ast.dump(ast.parse(written)) == ast.dump(ast.parse(source))
    assert canonical(source.replace("\n", "  # said\n\n")) == written


def test_a_text_that_would_need_backslashes_stays() -> None:
    source = "async def strategy(ctx):\n    x = '''a\nb \"'''\n"
    assert canonical(source) == source


@st.composite
def spoilt(draw: st.DrawFn) -> str:
    """A program with a piece replaced by a piece of another, or by anything."""
    source = draw(st.one_of(programs(), st.sampled_from([case.source[:3000] for case in HOSTILE])))
    start = draw(st.integers(0, len(source)))
    end = draw(st.integers(start, min(len(source), start + 20)))
    fragments = ("(", "]", "await ", "ctx", ".x", "**", "\n", "    ", "yield ", "lambda: ", ":=", "0x", "1e9", "is 1")
    new = draw(st.one_of(st.text(max_size=8), st.sampled_from(fragments), st.characters(codec=None)))
    return source[:start] + new + source[end:]


@given(spoilt())
@example("\x00")
@example("async def strategy(ctx): x = 1 is None")
@example("async def strategy(ctx): x = 1if 2 else 3")
@example("async def strategy(ctx):\n    break\n")
@settings(max_examples=100, deadline=None)
def test_any_text_is_taken_or_refused_with_its_line(source: str) -> None:
    try:
        check(source)
    except ProgramRefused as refused:
        assert refused.line is not None
        assert refused.line >= 0
        assert f"line {refused.line}: " in str(refused)
        assert ";" in str(refused)
        return
    compile(source, "<strategy>", "exec")


def test_a_refusal_names_line_thing_and_mend() -> None:
    source = REFINE.replace("for _ in range(8):", "while True:")
    with pytest.raises(ProgramRefused, match=r"line 4: a while loop; write `for _ in range\(n\)`") as refused:
        check(source)
    assert refused.value.line == 4


def test_the_guide_names_all_there_is() -> None:
    for name in (*BUILTINS, *METHODS, *SHOT_ATTRIBUTES, *(f"ctx.{call}(" for call in CALLS)):
        assert name in GUIDE
    assert set(SHOT_ATTRIBUTES) == set(Shot.model_fields) - {"kind", "schema_version"}
