"""Edits of programs: what each changes, and what it says of that."""

from __future__ import annotations

import random

import pytest

from controllers.policies.rule import Condition
from controllers.programs.language import check
from optimizers.authors.edits import EDITS, Material
from optimizers.authors.leads import Lead
from optimizers.authors.shapes import parsed, shot_sites, unparsed
from optimizers.space import Space

SPACE = Space(
    thresholds={"errors": (0.5, 1.5), "lamp": (0.5,)},
    actions={
        "stop": ("continue", "done"),
        "topology": ("refine_last", "fanout_1", "fanout_2"),
        "steer": ("none", "fan", "pump"),
    },
)
LIT = Condition(feature="lamp", op=">", value=0.5)
PLAIN = """\
async def strategy(ctx):
    shot = await ctx.shot()
    for _ in range(8):
        if shot.passed:
            return
        shot = await ctx.shot(start='last')
"""
MATE = """\
async def strategy(ctx):
    one = await ctx.shot()
    for _ in range(2):
        if one.features.get('errors', 0.0) > 0.5:
            one = await ctx.shot(start='best', steer='pump')
        else:
            one = await ctx.shot()
"""


def edited(name: str, source: str = PLAIN, *, seed: int = 0, leads: tuple[Lead, ...] = ()) -> tuple[str, str] | None:
    """The edited program and the hypothesis."""
    function = parsed(source)
    supposed = EDITS[name][0](function, random.Random(seed), Material(SPACE, leads, (parsed(MATE),)))
    return None if supposed is None else (unparsed(function), supposed.hypothesis)


def test_a_lead_on_a_steer_becomes_a_case() -> None:
    found = edited("lead", leads=(Lead("steer", "fan", LIT, 3.0, "seen"),))
    assert found is not None
    source, hypothesis = found
    assert (
        "if shot.features.get('lamp', 0.0) > 0.5:\n            shot = await ctx.shot(start='last', steer='fan')"
        in source
    )
    assert "else:\n            shot = await ctx.shot(start='last')" in source
    assert "`fan`" in hypothesis and "lamp > 0.5" in hypothesis


@pytest.mark.parametrize(
    ("lead", "expected"),
    [
        (Lead("stop", "", LIT, 1.0, ""), "if shot.features.get('lamp', 0.0) > 0.5:\n            return"),
        (Lead("fresh", "", LIT, 1.0, ""), "> 0.5:\n            shot = await ctx.shot()\n"),
        (Lead("steer", "pump", None, 1.0, ""), "return\n        shot = await ctx.shot(start='last', steer='pump')"),
    ],
)
def test_other_leads_do_what_they_say(lead: Lead, expected: str) -> None:
    found = edited("lead", leads=(lead,))
    assert found is not None and expected in found[0]


def test_a_situation_that_is_told_apart_already_is_left_alone() -> None:
    lead = Lead("steer", "fan", LIT, 3.0, "seen")
    once = edited("lead", leads=(lead,))
    assert once is not None
    assert edited("lead", once[0], leads=(lead,)) is None


def test_the_stronger_lead_is_followed_more_often() -> None:
    leads = (Lead("steer", "fan", LIT, 9.0, ""), Lead("steer", "pump", LIT, 1.0, ""))
    sources = [found[0] for seed in range(60) if (found := edited("lead", seed=seed, leads=leads))]
    assert sum("'fan'" in one for one in sources) > 2 * sum("'pump'" in one for one in sources) > 0


def test_what_crosses_over_takes_the_name_that_is_used_here() -> None:
    sources = {found[0] for seed in range(30) if (found := edited("cross", seed=seed))}
    case = "if shot.features.get('errors', 0.0) > 0.5:\n            shot = await ctx.shot(start='best', steer='pump')"
    assert any(case in one and "one" not in one for one in sources)
    assert any("one = await" in one and "shot = await ctx.shot()" in one for one in sources), "or the whole loop does"


def test_several_fresh_shots_first_keep_the_best() -> None:
    found = edited("fan first")
    assert found is not None
    assert "shots = await ctx.shots(2)" in found[0] and "one.correct > shot.correct" in found[0]
    assert "start='best'" in found[0] and "start='last'" not in found[0]


def test_more_fresh_shots_than_the_space_allows_are_not_taken() -> None:
    narrow = Space(SPACE.thresholds, {**SPACE.actions, "topology": ("refine_last", "fanout_1")})
    assert EDITS["fan first"][0](parsed(PLAIN), random.Random(0), Material(narrow)) is None


def test_a_threshold_moves_to_another_of_the_same_feature() -> None:
    found = edited("threshold", MATE)
    assert found is not None and "> 1.5" in found[0] and "errors" in found[1]


def test_a_dropped_case_leaves_what_stood_beside_it() -> None:
    found = edited("drop", MATE)
    assert found is not None
    assert "if" not in found[0] and [site.name for site in shot_sites(parsed(found[0]))] == ["one", "one"]


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_edited_is_another_program_in_the_language_or_says_so(name: str, seed: int) -> None:
    leads = (Lead("steer", "fan", LIT, 3.0, "seen"), Lead("stop", "", LIT, 1.0, "seen"))
    for source in (PLAIN, MATE, "async def strategy(ctx):\n    pass\n"):
        found = edited(name, source, seed=seed, leads=leads)
        if found is not None:
            check(found[0])
            assert found[1]
            assert found[0] != source or (name, source) == ("cross", MATE), "it may take over its own part"
