"""The child's program without its process: it runs in this one, as a module."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from controllers.programs import guards, subset

SHOT = {
    "kind": "shot",
    "index": 0,
    "outcome": "ok",
    "action": "none",
    "passed": True,
    "correct": 0.5,
    "progress": 0.0,
    "turns": 1,
    "errors": 0,
    "repeats": 0,
    "features": {"stalled": 2.0},
}
LIMITS = {"steps": 1000, "calls": 10}


@pytest.fixture
def child() -> Iterator[ModuleType]:
    """The module, which looks for its neighbours by their bare names."""
    folder, before = str(Path(subset.__file__).parent), list(sys.path)
    sys.modules["guards"], sys.modules["subset"] = guards, subset
    try:
        from controllers.programs import child

        yield child
    finally:
        sys.path[:] = before
        del sys.modules["guards"], sys.modules["subset"]
        assert folder not in sys.path


def code(*lines: str) -> object:
    source = "\n".join(["async def strategy(ctx):", *(f"    {line}" for line in lines)])
    return compile(guards.instrument(subset.parse(source)), "<strategy>", "exec")


def test_each_call_says_what_it_asks(child: ModuleType) -> None:
    asked = [
        ('await ctx.shot("best", steer="look")', {"kind": "shot", "start": "best", "steer": "look"}),
        ("await ctx.shots(n=3)", {"kind": "shots", "n": 3}),
        ("await ctx.critique()", {"kind": "critique"}),
        (
            'await ctx.consult("stop", options=("a", "b"))',
            {"kind": "consult", "policy": "stop", "options": ["a", "b"]},
        ),
        ("await ctx.list_tools()", {"kind": "tools"}),
        ("await ctx.budget()", {"kind": "budget"}),
        ("return", {"kind": "done"}),
    ]
    for line, call in asked:
        assert child.next_call(code(line), [], LIMITS) == {"call": call}


def test_each_answer_is_what_it_says(child: ModuleType) -> None:
    answers = [
        {"kind": "shots", "shots": [SHOT, {**SHOT, "index": 1}]},
        {"kind": "critique", "features": {"repeats": 3.0}},
        {"kind": "consult", "option": "b"},
        {"kind": "tools", "tools": ["press"], "actions": ["none", "look"]},
        {"kind": "budget", "attempts": 2, "turns": None, "usd": 0.5},
    ]
    run = code(
        "shots = await ctx.shots(2)",
        "numbers = await ctx.critique()",
        'choice = await ctx.consult("stop", ["a", "b"])',
        "seen = await ctx.list_tools()",
        "left = await ctx.budget()",
        'good = shots[1].index == 1 and shots[0].features["stalled"] == 2',
        'good = good and numbers["repeats"] == 3 and choice == "b"',
        'good = good and seen.tools[0] == "press" and seen.actions[-1] == "look" and left.turns is None',
        "if good and left.attempts == 2 and left.usd < 1:",
        "    await ctx.shots(4)",
    )
    assert child.next_call(run, answers, LIMITS) == {"call": {"kind": "shots", "n": 4}}


def test_an_answer_for_another_call_is_the_callers_mistake(child: ModuleType) -> None:
    assert "misfit" in child.next_call(code("await ctx.budget()"), [SHOT], LIMITS)


def test_a_return_is_done_whatever_is_left_over(child: ModuleType) -> None:
    assert child.next_call(code("await ctx.shot()"), [SHOT] * 3, LIMITS) == {"call": {"kind": "done"}}


def test_a_fault_says_its_line_in_plain_words(child: ModuleType) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        child.next_call(code("x = 1", "y = x // 0"), [], LIMITS)
    told = child.faults(raised.value)["fault"]
    assert (told["kind"], told["message"].split(":")[0]) == ("error", "line 3")
    assert child.faults(MemoryError())["fault"]["kind"] == "memory"
    assert child.faults(guards.Broken("cpu", "x" * 999))["fault"]["kind"] == "cpu"
    assert len(json.dumps(child.faults(ValueError("x" * 999)))) < 400


def test_its_imports_are_of_the_standard_library_or_beside_it(child: ModuleType) -> None:
    tree = ast.parse(Path(str(child.__file__)).read_text())
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    names += [str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert {n.split(".")[0] for n in names} <= set(sys.stdlib_module_names) | {"guards", "subset"}
