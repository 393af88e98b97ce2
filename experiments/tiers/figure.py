"""The picture of the scoreboard: shares of decisions by tier above, tokens and money below, over the periods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from optimizers.tiers.scoreboard import TIERS, TierRow
from signatures.records import Tier

COLOURS: Final[dict[Tier, str]] = {"frontier": "#c4661f", "resident": "#1f5fbf", "rule": "#1b7f5c"}


def draw_tiers(path: Path, periods: Sequence[TierRow], *, title: str) -> None:
    """Write one PNG. A bar per period and tier; what nobody measured has none."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 7.0), layout="constrained")
    above, middle, below = figure.subplots(3, 1, sharex=True)
    places = range(len(periods))
    floor = [0.0] * len(periods)
    for tier in TIERS:
        shares = [row.share(tier) or 0.0 for row in periods]
        above.bar(places, shares, bottom=floor, color=COLOURS[tier], label=tier)
        floor = [low + share for low, share in zip(floor, shares, strict=True)]
    for axes, name in ((middle, "tokens"), (below, "usd")):
        for tier in TIERS:
            amounts = [_per_episode(row, tier, name) for row in periods]
            axes.plot(places, amounts, marker="o", color=COLOURS[tier], label=tier)
        axes.set_ylabel(f"{name} an episode")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.2)
    above.set(ylabel="share of decisions", ylim=(0, 1))
    above.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    below.set_xticks(places, [row.name for row in periods], rotation=30, ha="right", fontsize=8)
    below.set_xlabel("episodes in order of arrival")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    figure.savefig(path, dpi=110)


def _per_episode(row: TierRow, tier: Tier, name: str) -> float:
    """NaN, which is not drawn, where it was not measured."""
    amount = next(getattr(one, name) for one in row.tiers if one.tier == tier)
    return float("nan") if amount is None or not row.episodes else amount / row.episodes
