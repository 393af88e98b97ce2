"""The author without a model."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.programs.language import canonical, check
from optimizers.authors import Losses
from optimizers.authors.grammar import GrammarAuthor
from optimizers.evidence.reflection import Reflection
from optimizers.space import Space
from tests.optimizers.authors.test_edits import MATE, PLAIN
from tests.optimizers.authors.test_leads import SPACE, moves

EVERY = [*moves("steer"), *moves("topology"), *moves("stop")]


async def written(parent: str = PLAIN, *, seed: int, moves: Sequence[Reflection] = EVERY, space: Space = SPACE) -> str:
    """The source that is proposed."""
    proposal, cost = await GrammarAuthor(space).write(parent, Losses(moves, mates=(MATE,)), seed=seed)
    assert proposal is not None and cost.usd is None
    assert proposal.hypothesis and proposal.proposer == "grammar"
    return proposal.text


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 12))
async def test_every_program_in_a_line_of_descent_is_in_the_language_and_canonical(seed: int, steps: int) -> None:
    source = PLAIN
    for step in range(steps):
        child = await written(source, seed=seed + step)
        check(child)
        assert child == canonical(child) != source
        source = child


async def test_a_proposal_is_a_function_of_its_inputs_and_seed() -> None:
    assert await written(seed=3) == await written(seed=3)
    assert len({await written(seed=seed) for seed in range(20)}) > 10


async def test_what_improved_is_written_more_often_than_what_did_not() -> None:
    sources = [await written(seed=seed) for seed in range(100)]
    assert sum("'fan'" in one for one in sources) > 3 * sum("'pump'" in one and "'best'" not in one for one in sources)


async def test_without_moves_it_still_edits() -> None:
    sources = {await written(seed=seed, moves=()) for seed in range(20)}
    assert len(sources) > 5


async def test_where_nothing_can_be_edited_nothing_is_proposed() -> None:
    bare = Space(thresholds={}, actions={"stop": (), "topology": (), "steer": ("none",)})
    nothing = "async def strategy(ctx):\n    pass\n"
    assert await GrammarAuthor(bare).write(nothing, Losses(()), seed=1) == (None, await _free())


async def _free() -> object:
    return (await GrammarAuthor(SPACE).write(PLAIN, Losses(()), seed=1))[1]


@pytest.mark.parametrize("seed", range(8))
async def test_a_derived_program_needs_no_parent(seed: int) -> None:
    """From a program without a place for any edit, what comes is derived from the leads."""
    proposal, _ = await GrammarAuthor(SPACE).write("async def strategy(ctx):\n    pass\n", Losses(EVERY), seed=seed)
    assert proposal is not None and "for _ in range(" in proposal.text
    assert proposal.hypothesis.endswith("does better than the parent")
