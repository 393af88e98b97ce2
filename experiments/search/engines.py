"""The engine of a run: whether it can be used, what it is built from, where it starts, and what ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controllers.baselines import seed_candidate
from controllers.program import NAMES, lm_component
from experiments.search_config import SearchConfig
from optimizers.behaviour import states_of
from optimizers.engines import ENGINES, engine_of
from optimizers.meter import Limits
from optimizers.search import Kit
from optimizers.space import Space
from signatures.errors import UsageError
from signatures.records import Candidate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import dspy

    from experiments.search.job import Job
    from signatures.records import PolicyName

MODELLED: Final = frozenset(("mipro_search",))
"""Engines that search what only a language model has."""
RULES_ALONE: Final = frozenset(("random_search", "best_of_n", "authored_search"))
"""Engines that edit rules or write programs: they start from rules, whether or not a model is named."""
OWN_FLOOR: Final = frozenset(("random_search", "null_search"))
"""Engines beside which random search would say nothing: it is one, the other does not search."""
RIVAL: Final = "random_search"


def require_engine(config: SearchConfig, lm: dspy.LM | None, actions: Sequence[str]) -> None:
    """Raises UsageError where the engine is not known, does not know an option, or needs a model and has none.

    It is built once for that, of a space without conditions: nothing is recorded yet.
    """
    if config.engine not in ENGINES and ":" not in config.engine:
        known = ", ".join(ENGINES)
        raise UsageError(f"unknown engine {config.engine!r}; known: {known}, or package.module:function")
    if config.engine in MODELLED and lm is None:
        raise UsageError(
            f"{config.engine} searches instructions and demos of a language model: name one with --lm MODEL"
        )
    space = Space(thresholds={}, actions=actions_of(actions, config.attempts))
    kit = Kit(space=space, lm=lm, options=dict(config.engine_options), steer_legal=tuple(actions))
    engine_of(config.engine, kit)


def actions_of(actions: Sequence[str], attempts: int) -> Mapping[PolicyName, tuple[str, ...]]:
    """What each policy may draw in a run of that many attempts per episode."""
    fanouts = tuple(f"fanout_{n}" for n in range(1, min(2, attempts) + 1))
    return {"stop": ("continue", "done"), "topology": ("refine_last", *fanouts), "steer": tuple(actions)}


def limits_of(config: SearchConfig) -> Limits:
    """What ends the engine's search, beside its generations; whichever is first.

    Live attempts are a limit where everything is attempted. Where the record answers they are what may be bought, and
    the search goes on by replay when they are spent.
    """
    return Limits(
        compute=config.max_compute,
        attempts=config.max_attempts if config.live else None,
        tokens=config.max_tokens,
        usd=config.max_usd,
        minutes=config.max_minutes,
    )


def start_of(config: SearchConfig, lm: dspy.LM | None) -> Candidate:
    """Where the search starts: rules, or with a model its policies under their signatures' own instructions."""
    if lm is None or config.engine in RULES_ALONE:
        return seed_candidate()
    return Candidate(components={name: lm_component(name, lm, tier=config.tier) for name in NAMES})


def kit_of(job: Job) -> Kit:
    """What the run's engine is built from."""
    parts = job.wired
    folder = job.folder / job.config.engine_name
    folder.mkdir(exist_ok=True)
    return Kit(
        space=job.space,
        lm=parts.lm,
        folder=folder,
        options=dict(job.config.engine_options),
        states=states_of(job.replay.trees, parts.splits.train),
        replay=job.replay,
        steer_legal=tuple(parts.actions),
    )


def limited_by(config: SearchConfig) -> Sequence[str]:
    """What ends the search, each in words."""
    limits = limits_of(config)
    said = [] if limits.compute is not None else [f"{config.most_found - 1} proposals"]
    named = (
        (limits.compute, "attempts made or replayed"),
        (limits.attempts, "live attempts"),
        (limits.usd, "usd"),
        (limits.tokens, "tokens"),
        (limits.minutes, "minutes"),
    )
    return [*said, *(f"{value:g} {unit}" for value, unit in named if value is not None)]
