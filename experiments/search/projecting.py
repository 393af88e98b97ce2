"""What a run may cost at most, before it starts: each stage's live attempts, and what ends the search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from experiments.search.engines import OWN_FLOOR, limited_by
from experiments.search.stages import arms_of, plan_of
from experiments.search_config import SearchConfig
from experiments.wiring import ready


class Cost(NamedTuple):
    """The most live attempts each stage can take."""

    record: int
    arms: int
    search: int
    random: int
    confirm: int
    dev: int

    @property
    def total(self) -> int:
        """All stages."""
        return sum(self)


def project(config: SearchConfig) -> Cost:
    """What a run of this config would cost at most. Does nothing; raises UsageError for a config that cannot run."""
    given = ready(config)
    if given.recorded:
        return Cost(0, 0, 0, 0, 0, 0)
    arms = len(arms_of(config, given.actions))
    return cost_of(config, given.actions, arms, harvested=len(given.splits.train) - config.train)


def cost_of(config: SearchConfig, actions: Sequence[str], arms: int, *, harvested: int = 0) -> Cost:
    """The projection that a run starts with: upper bounds, since solved tasks stop early.

    `harvested`: train tasks beside those of the config.
    """
    explored = 0 if config.live else config.explore
    searches = 1 if config.engine in OWN_FLOOR else 2
    members = (config.most_confirmed or config.most_found) + explored
    confirmed = searches * config.most_confirmed + explored
    return Cost(
        record=(config.train + harvested + config.val_trees) * plan_of(config, actions).most_attempts,
        arms=arms * (config.val + config.dev) * config.attempts,
        search=config.max_attempts,
        random=config.max_attempts if searches == 2 else 0,
        confirm=confirmed * config.val * config.attempts,
        dev=(members + searches - 1) * config.dev * config.attempts,
    )


def ends(config: SearchConfig) -> str:
    """What ends the search, in words."""
    limits = limited_by(config)
    return f"the search ends with {' or '.join(limits)}{', whichever is first' if len(limits) > 1 else ''}"


def projection(cost: Cost, config: SearchConfig) -> str:
    """The projection in one line: what each stage may attempt, and what ends the search, whichever is first.

    Tokens are not known beforehand; limits in money, tokens and time are on the search, not on what is around it. With
    a model each attempt may take a call for each of stop, topology and steer.
    """
    rival = f", {cost.random} in random search" if cost.random else ""
    said = (
        f"at most {cost.total} attempts: {cost.record} recorded (reused if there), {cost.arms} in control arms, "
        f"{cost.search} in the search{rival}, {cost.confirm} to confirm what {'they' if rival else 'it'} found, "
        f"{cost.dev} on dev; {ends(config)}"
    )
    if config.lm is None:
        return said
    limit = "no limit in usd" if config.max_usd is None else f"at most {config.max_usd:g} usd in the search"
    return f"{said}; up to {3 * (cost.search + cost.confirm + cost.dev)} decisions by {config.lm}, {limit}"
