"""What a canary is asked, and what the compiled candidate does there: computed from its file, never from the registry.

States are recorded ones of the benchmark's corpus, and further ones at the edges of the candidate's own rules and of
the present champion's: each rule's conditions just met and just missed. Recorded states alone may all lie where two
controllers agree.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from controllers.corpus import SqliteCorpus
from controllers.moves import MAX_FANOUT, STOP
from controllers.policies.rule import Condition, RulePolicy
from experiments.promote.questions import State, StateAnswer, answers_to
from signatures.digest import canonical_json, seed_of
from signatures.records import Decision, Episode, PolicyName, Split

if TYPE_CHECKING:
    from controllers.program import Controller

READ: Final = 20_000
"""Decisions of the corpus that are looked at."""
SPLITS: Final[tuple[Split, ...]] = ("search", "production")
"""Whose states a canary may show: nothing of the dev split and the holdout leaves them."""
TOPOLOGY: Final = ("refine_last", *(f"fanout_{n}" for n in range(1, MAX_FANOUT + 1)))


class Seen(NamedTuple):
    """A state without a seed."""

    policy: PolicyName
    features: Mapping[str, float]
    legal: tuple[str, ...]


class Expected(NamedTuple):
    """States to ask, and what must be answered."""

    states: tuple[State, ...]
    answers: tuple[StateAnswer, ...]
    recorded: int
    "states that stood in the corpus; the others are at the edges of rules"
    telling: int | None
    "states that the present champion decides otherwise; None: there is none to compare with"


async def expected_of(
    compiled: Controller,
    states: Sequence[Seen],
    *,
    nonce: str,
    floor: float,
    before: Controller | None = None,
    recorded: int = 0,
) -> Expected:
    """The states, each with a seed of this canary, and the compiled candidate's answers. `before`: the champion now."""
    asked = tuple(
        State(
            policy=one.policy,
            features=dict(one.features),
            legal=one.legal,
            seed=seed_of("canary state", nonce, number),
        )
        for number, one in enumerate(states)
    )
    answers = await answers_to(compiled, asked, floor)
    telling = None if before is None else _telling(answers, await answers_to(before, asked, floor))
    return Expected(asked, answers, recorded, telling)


async def recorded_states(corpus: Path) -> tuple[Seen, ...]:
    """The distinct states of the decisions that the corpus holds of `SPLITS`; of the first 20,000. Raises StoreError.

    None where there is no corpus.
    """
    if not _there(corpus):
        return ()
    found: dict[str, Seen] = {}
    with closing(SqliteCorpus.open_readonly(corpus)) as kept:
        own = {one.id for split in SPLITS async for one in kept.scan(Episode, {"split": split})}
        number = 0
        async for one in kept.scan(Decision):
            number += 1
            if one.episode_id in own:
                state = Seen(one.policy, dict(one.features), one.legal)
                found.setdefault(_name(state), state)
            if number >= READ:
                break
    return tuple(found.values())


def chosen(
    recorded: Sequence[Seen], controllers: Sequence[Controller], steers: Sequence[str], *, count: int, nonce: str
) -> tuple[tuple[Seen, ...], int]:
    """`count` distinct states at most, and how many of them are recorded ones.

    Half are at the edges of the controllers' rules, where there are as many; the rest is drawn from the recorded.
    """
    rng = random.Random(seed_of("canary states", nonce))
    edges = list({_name(one): one for one in _edges(recorded, controllers, steers, rng)}.values())
    drawn = list(recorded)
    rng.shuffle(edges)
    rng.shuffle(drawn)
    most_edges = max(count // 2, count - len(drawn))
    edges = edges[:most_edges]
    drawn = drawn[: count - len(edges)]
    return (*drawn, *edges), len(drawn)


def _there(file: Path) -> bool:
    return file.is_file()


def _edges(
    recorded: Sequence[Seen], controllers: Sequence[Controller], steers: Sequence[str], rng: random.Random
) -> Iterator[Seen]:
    for controller in controllers:
        for name, policy in controller.policies.items():
            bases = [one for one in recorded if one.policy == name] or [_bare(name, steers)]
            yield rng.choice(bases)
            for rule in policy.rules.rules if isinstance(policy, RulePolicy) else ():
                base = rng.choice(bases)
                met = {one.feature: _value(one, holds=True) for one in rule.when}
                yield Seen(name, {**base.features, **met}, _legal(name, base, steers))
                for one in rule.when:
                    missed = {**base.features, **met, one.feature: _value(one, holds=False)}
                    yield Seen(name, missed, _legal(name, base, steers))


def _value(condition: Condition, *, holds: bool) -> float:
    """The condition's own value, or the next number above it: which of the two makes it hold."""
    own = (condition.op == "<=") == holds
    return condition.value if own else math.nextafter(condition.value, math.inf)


def _bare(name: PolicyName, steers: Sequence[str]) -> Seen:
    """A state of which nothing was observed."""
    return Seen(name, {}, _actions(name, steers))


def _legal(name: PolicyName, base: Seen, steers: Sequence[str]) -> tuple[str, ...]:
    """What may be done at an edge: what the base may, but for steers all that the release may, so that rules tell."""
    return _actions(name, steers) if name == "steer" else base.legal


def _actions(name: PolicyName, steers: Sequence[str]) -> tuple[str, ...]:
    if name == "steer":
        return tuple(steers)
    return STOP if name == "stop" else TOPOLOGY


def _name(state: Seen) -> str:
    return canonical_json([state.policy, dict(state.features), list(state.legal)])


def _telling(ours: Sequence[StateAnswer], theirs: Sequence[StateAnswer]) -> int:
    return sum(
        (one.probabilities, one.prompt) != (other.probabilities, other.prompt)
        for one, other in zip(ours, theirs, strict=True)
    )
