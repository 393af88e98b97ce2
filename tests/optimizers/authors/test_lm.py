"""The author with a model, on a scripted engine: good, bad and hostile programs, and prose."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from controllers.programs.language import canonical
from controllers.scripted_engine import ScriptedEngine, scripted_lm
from optimizers.authors import Losses
from optimizers.authors.lm import MOST_MOVES, LMAuthor, telling
from signatures.errors import ProviderError
from tests.optimizers.authors.test_edits import MATE, PLAIN
from tests.optimizers.authors.test_leads import SPACE, moves

GOOD = """\
async def strategy(ctx):
    # look where the lamp is lit
    shot = await ctx.shot()
    for _ in range(6):
        if shot.passed:
            return
        if shot.features.get("lamp", 0.0) > 0.5:
            shot = await ctx.shot(start="last", steer="fan")
        else:
            shot = await ctx.shot(start="last")
"""
HOSTILE = {
    "an import": "import os\nasync def strategy(ctx):\n    os.system('id')\n",
    "dunders": "async def strategy(ctx):\n    x = ctx.__class__.__bases__\n",
    "a fabricated score": "async def strategy(ctx):\n    return 1.0\n",
    "a loop without end": "async def strategy(ctx):\n    while True:\n        shot = await ctx.shot()\n",
}
TOLD_AFRESH = GOOD.replace('start="last", steer="fan"', 'steer="fan"')
PROSE = "I would look where the lamp is lit, and stop after the third attempt."


def answer(program: str, hypothesis: str = "The lamp tells where to look.") -> str:
    return (
        f"[[ ## program ## ]]\n{program}\n\n[[ ## hypothesis ## ]]\n{hypothesis}\n\n"
        "[[ ## evidence ## ]]\nrecord 3\n\n[[ ## completed ## ]]"
    )


def author(texts: Sequence[str]) -> tuple[LMAuthor, ScriptedEngine]:
    """An author whose model gives these answers, the last one again and again."""
    left = list(texts)
    lm, engine = scripted_lm(lambda prompt: left.pop(0) if len(left) > 1 else left[0])
    return LMAuthor(lm, SPACE), engine


@pytest.mark.parametrize("text", [GOOD, f"```python\n{GOOD}```", f"Here it is:\n```\n{GOOD}```\nGood luck."])
async def test_a_good_program_is_taken_in_canonical_form_with_its_hypothesis(text: str) -> None:
    writer, engine = author([answer(text)])
    proposal, cost = await writer.write(PLAIN, Losses(moves("steer"), mates=(MATE,)), seed=1)
    assert proposal is not None
    assert proposal.text == canonical(GOOD) and "#" not in proposal.text
    assert (proposal.hypothesis, proposal.evidence) == ("The lamp tells where to look.", "record 3")
    assert (proposal.proposer, len(engine.prompts)) == (writer.name, 1)
    assert cost.tokens_in == len(engine.prompts[0].split())


@pytest.mark.parametrize(
    "text", [*HOSTILE.values(), PROSE, "", GOOD.replace("fan", "harpoon"), TOLD_AFRESH, "async def strategy("]
)
async def test_what_is_not_in_the_language_is_shown_once_more_then_dropped(text: str) -> None:
    writer, engine = author([answer(text)])
    proposal, cost = await writer.write(PLAIN, Losses(()), seed=1)
    assert proposal is None
    first, second = engine.prompts
    assert len(second) > len(first), "with what was wrong"
    assert cost.tokens_in == len(first.split()) + len(second.split()), "both are billed"


async def test_the_error_names_the_line_and_a_mended_program_is_taken() -> None:
    writer, engine = author([answer(HOSTILE["a loop without end"]), answer(GOOD)])
    proposal, _ = await writer.write(PLAIN, Losses(()), seed=1)
    assert proposal is not None and proposal.text == canonical(GOOD)
    assert "line 2" in engine.prompts[1] and "while" in engine.prompts[1]


async def test_the_same_program_again_is_no_proposal_and_is_not_asked_twice() -> None:
    writer, engine = author([answer(f"# as before\n{PLAIN}")])
    assert (await writer.write(PLAIN, Losses(()), seed=1))[0] is None
    assert len(engine.prompts) == 1


async def test_an_answer_that_does_not_parse_is_asked_once_more() -> None:
    writer, engine = author([PROSE, answer(GOOD)])
    proposal, _ = await writer.write(PLAIN, Losses(()), seed=1)
    assert proposal is not None and len(engine.prompts) == 2


async def test_it_is_shown_the_language_the_program_what_happened_and_other_programs() -> None:
    writer, engine = author([answer(GOOD)])
    await writer.write(PLAIN, Losses(moves("steer"), told=("EPISODE-7",), mates=(MATE,)), seed=1)
    (prompt,) = engine.prompts
    for shown in ("await ctx.shots(n)", "for _ in range(8)", "EPISODE-7", "one = await ctx.shot()", "none, fan, pump"):
        assert shown in prompt
    assert "change of `correct` by the checkers" in prompt and "lamp" in prompt


def test_the_moves_that_are_told_are_the_extremes() -> None:
    every = moves("steer")
    told = telling(every)
    assert len(told) == MOST_MOVES
    assert {min(m.gain for m in every), max(m.gain for m in every)} <= {m.gain for m in told}
    assert telling(every) == telling(every[::-1])
    assert not telling(moves("stop")), "every one of them went on"


async def test_a_provider_that_fails_is_infrastructure() -> None:
    def fail(prompt: str) -> str:
        raise ConnectionError("gone")

    lm, _ = scripted_lm(fail)
    with pytest.raises(ProviderError, match="gone"):
        await LMAuthor(lm, SPACE).write(PLAIN, Losses(()), seed=1)
