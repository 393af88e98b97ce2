"""The author without a model: it derives programs and edits them by a grammar, led by what the checkers measured."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from controllers.programs.language import canonical, check
from optimizers.authors import Losses
from optimizers.authors.edits import BOUNDS, EDITS, Material, Supposed, fan_text, said, widths_of
from optimizers.authors.leads import Lead, leads_of
from optimizers.authors.shapes import MADE, condition_text, parsed, shot_text, statements, unbound, unparsed
from optimizers.journal import Proposal
from optimizers.space import Space
from signatures.digest import digest_text, seed_of
from signatures.errors import UsageError
from signatures.records import Cost

TRIES: Final = 40
"""Edits tried until one gives another program that is in the language."""
DERIVED: Final = 0.25
"""Share of programs that are derived from the leads alone and not edited from their parent."""
MOST_CASES: Final = 4
"""Situations that a derived program tells apart."""


class GrammarAuthor:
    """Writes programs over the features of `space` and the steers of its table. A function of its inputs and seed."""

    name = "grammar"
    reads = False

    def __init__(self, space: Space) -> None:
        self.space = space

    async def write(self, parent: str, losses: Losses, *, seed: int) -> tuple[Proposal | None, Cost]:
        """One edit of the parent, a part of another program in it, or one derived from the strongest leads."""
        rng = random.Random(seed_of("grammar", seed, digest_text(parent)))
        leads = leads_of(losses.moves, self.space)
        for _ in range(TRIES):
            source, supposed = self._draft(parent, losses.mates, leads, rng)
            if supposed is not None and source != canonical(parent) and _good(source, parent):
                text, evidence = supposed
                return Proposal(text=source, hypothesis=text, evidence=evidence, proposer=self.name), Cost()
        return None, Cost()

    def _draft(
        self, parent: str, mates: Sequence[str], leads: Sequence[Lead], rng: random.Random
    ) -> tuple[str, Supposed | None]:
        if leads and rng.random() < DERIVED:
            return derive(leads, self.space, rng)
        function = parsed(parent)
        material = Material(self.space, leads, tuple(parsed(mate) for mate in mates))
        names = list(EDITS)
        name = rng.choices(names, weights=[EDITS[name][1] for name in names])[0]
        supposed = EDITS[name][0](function, rng, material)
        return unparsed(function), supposed


def derive(leads: Sequence[Lead], space: Space, rng: random.Random) -> tuple[str, Supposed]:
    """A program that opens, then tells the situations of some leads apart, the stronger first, until it passes."""
    steers = [lead for lead in leads if lead.kind == "steer"]
    chosen = _apart(rng.sample(steers, min(len(steers), rng.randint(1, MOST_CASES)))) if steers else []
    cases = [lead for lead in chosen if lead.when is not None]
    default = next((lead.action for lead in chosen if lead.when is None), "none")
    width = rng.choice((1, 1, 1, *widths_of(space)[:2]))
    start = "last" if width == 1 else "best"
    opening = shot_text(MADE) if width == 1 else fan_text(MADE, width)
    lines = [opening, f"for _ in range({rng.choice(BOUNDS)}):", f"    if {MADE}.passed:", "        return"]
    for number, lead in enumerate(cases):
        assert lead.when is not None
        word = "if" if number == 0 else "elif"
        lines += [f"    {word} {condition_text(lead.when, MADE)}:"]
        lines += [f"        {shot_text(MADE, start=start, steer=lead.action)}"]
    further = shot_text(MADE, start=start, steer=default)
    lines += ["    else:", f"        {further}"] if cases else [f"    {further}"]
    function = parsed("async def strategy(ctx):\n    return\n")
    function.body = statements("\n".join(lines))
    where = ", ".join(f"`{one.action}` where {said(one.when)}" for one in cases if one.when) or f"`{default}` always"
    evidence = "; ".join(one.evidence for one in chosen)
    return unparsed(function), Supposed(f"{_opened(width)}, then {where}, does better than the parent", evidence)


def _apart(leads: Sequence[Lead]) -> list[Lead]:
    """The stronger first, each situation once."""
    found: dict[str, Lead] = {}
    for lead in sorted(leads, key=lambda lead: -lead.strength):
        found.setdefault("" if lead.when is None else said(lead.when), lead)
    return list(found.values())


def _opened(width: int) -> str:
    return "one fresh shot" if width == 1 else f"the best of {width} fresh shots"


def _good(source: str, parent: str) -> bool:
    """In the language, and reading nothing unbound unless the parent already seemed to."""
    try:
        check(source)
    except UsageError:
        return False
    return not unbound(parsed(source)) or unbound(parsed(parent))
