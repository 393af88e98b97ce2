"""Who decides, and what it costs: shares of decisions, tokens and money by tier.

A corpus keeps no clock, so that two runs with equal inputs have equal records: time here is the order of arrival, in
periods of as many episodes each.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, get_args

from pydantic import Field

from signatures.records import Decision, Episode, NonNegative, Record, Tier

TIERS: Final[tuple[Tier, ...]] = get_args(Tier)


class TierCount(Record):
    """The decisions of one tier."""

    tier: Tier
    decisions: int = Field(ge=0)
    tokens: int | None = Field(default=None, ge=0)
    "in and out; None: there are decisions of a model and nobody measured any. A rule calls no model: 0"
    usd: NonNegative | None = None
    "the same of money"
    unmeasured: int = Field(default=0, ge=0)
    "decisions of a model without tokens: they are missing in `tokens`"
    unpriced: int = Field(default=0, ge=0)
    "the same of money"


class TierRow(Record):
    """One run, or one period: its episodes, and its decisions by tier."""

    name: str
    episodes: int = Field(ge=0)
    tiers: tuple[TierCount, ...]
    "frontier, resident, rule"

    @property
    def decisions(self) -> int:
        """Of all tiers."""
        return sum(one.decisions for one in self.tiers)

    def share(self, tier: Tier) -> float | None:
        """The tier's part of the decisions; None: nothing was decided."""
        mine = next(one.decisions for one in self.tiers if one.tier == tier)
        return mine / self.decisions if self.decisions else None

    def metrics(self) -> dict[str, float]:
        """`tier/<tier>/share`, `/decisions`, `/tokens` and `/usd`, as far as they were measured.

        A tier without decisions has no amounts: in a series their 0 would outlast a later one that nobody measured.
        """
        found: dict[str, float] = {}
        for one in self.tiers:
            tokens, usd = (one.tokens, one.usd) if one.decisions else (None, None)
            values = {"share": self.share(one.tier), "decisions": one.decisions, "tokens": tokens, "usd": usd}
            found.update({f"tier/{one.tier}/{name}": float(v) for name, v in values.items() if v is not None})
        return found


def row_of(name: str, episodes: Sequence[Episode], by_episode: Mapping[str, Sequence[Decision]]) -> TierRow:
    """The row of these episodes."""
    decisions = [one for episode in episodes for one in by_episode.get(episode.id, ())]
    return TierRow(name=name, episodes=len(episodes), tiers=tuple(_count(tier, decisions) for tier in TIERS))


def by_run(episodes: Iterable[Episode], by_episode: Mapping[str, Sequence[Decision]]) -> list[TierRow]:
    """A row per split, condition and candidate, in order of arrival."""
    groups: defaultdict[str, list[Episode]] = defaultdict(list)
    for one in episodes:
        candidate = "" if one.candidate is None else f" {one.candidate[:8]}"
        groups[f"{one.split} {one.condition}{candidate}"].append(one)
    return [row_of(name, some, by_episode) for name, some in groups.items()]


def by_period(
    episodes: Sequence[Episode], by_episode: Mapping[str, Sequence[Decision]], *, periods: int
) -> list[TierRow]:
    """At most `periods` rows of as many episodes each, in order of arrival; the last may have fewer."""
    size = max(1, -(-len(episodes) // periods))
    parts = [episodes[first : first + size] for first in range(0, len(episodes), size)]
    return [
        row_of(f"{number * size + 1}-{number * size + len(part)}", part, by_episode)
        for number, part in enumerate(parts)
    ]


def _count(tier: Tier, decisions: Iterable[Decision]) -> TierCount:
    mine = [one for one in decisions if one.tier == tier]
    costs = [one.cost for one in mine]
    tokens = [(c.tokens_in or 0) + (c.tokens_out or 0) for c in costs if (c.tokens_in, c.tokens_out) != (None, None)]
    usd = [c.usd for c in costs if c.usd is not None]
    calls = 0 if tier == "rule" else len(mine)
    return TierCount(
        tier=tier,
        decisions=len(mine),
        tokens=sum(tokens) if tokens or not calls else None,
        usd=math.fsum(usd) if usd or not calls else None,
        unmeasured=max(0, calls - len(tokens)),
        unpriced=max(0, calls - len(usd)),
    )
