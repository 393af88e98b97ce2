"""Programs as syntax trees."""

from __future__ import annotations

import ast

import pytest

from controllers.policies.rule import Condition
from optimizers.authors.shapes import (
    argument,
    condition_text,
    parsed,
    shot_sites,
    shot_text,
    statements,
    unbound,
    unparsed,
)

PROGRAM = """\
async def strategy(ctx):
    shot = await ctx.shot()
    for _ in range(8):
        if shot.passed:
            return
        elif shot.errors > 2:
            shot = await ctx.shot("best", "fan")
        else:
            shot = await ctx.shot(start="last", steer="none")
"""


def test_every_shot_is_found_with_its_name_and_whether_it_is_in_a_loop() -> None:
    sites = shot_sites(parsed(PROGRAM))
    assert [(site.name, site.looped) for site in sites] == [("shot", False), ("shot", True), ("shot", True)]
    assert [(argument(s.call, "start"), argument(s.call, "steer")) for s in sites] == [
        (None, "none"),
        ("best", "fan"),
        ("last", "none"),
    ]


def test_unparsed_text_is_a_fixed_point() -> None:
    once = unparsed(parsed(PROGRAM))
    assert unparsed(parsed(once)) == once != PROGRAM


def test_texts_are_what_they_say() -> None:
    assert shot_text("one") == "one = await ctx.shot()"
    assert shot_text("one", start="last", steer="fan") == "one = await ctx.shot(start='last', steer='fan')"
    text = condition_text(Condition(feature="untried.fan", op="<=", value=0.5), "shot")
    assert text == "shot.features.get('untried.fan', 0.0) <= 0.5"
    (loop,) = statements("for _ in range(2):\n    shot = await ctx.shot()")
    assert isinstance(loop, ast.For)


@pytest.mark.parametrize(
    ("body", "is_unbound"),
    [
        ("shot = await ctx.shot()\nif shot.passed:\n    return", False),
        ("if shot.passed:\n    return\nshot = await ctx.shot()", True),
        ("for _ in range(3):\n    shot = await ctx.shot()\nif shot.passed:\n    return", True),
        ("left = await ctx.budget()\nif left.attempts:\n    x = 1\nelse:\n    x = 2\nn = x", False),
        ("left = await ctx.budget()\nif left.attempts:\n    x = 1\nn = x", True),
        ("left = await ctx.budget()\nif left.attempts:\n    x = 1\nelse:\n    return\nn = x", False),
        ("shots = await ctx.shots(2)\nbest = max([one.correct for one in shots])", False),
        ("for one in shots:\n    pass", True),
        ("n = 0\nn += 1", False),
        ("n += 1", True),
    ],
)
def test_names_that_may_be_unbound_are_found(body: str, is_unbound: bool) -> None:
    source = "async def strategy(ctx):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    assert unbound(parsed(source)) is is_unbound
