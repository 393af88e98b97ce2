"""The settings of a search as a candidate of the level above: engine, minibatch, proposer and acceptance."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import Field, JsonValue, ValidationError

from optimizers.archive import Archive
from optimizers.engines import engine_of
from optimizers.evaluator import Evaluator
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from optimizers.proposers import Proposer
from optimizers.proposers.mined import MinedProposer
from optimizers.racing import AllAtOnce, Halving, Race
from optimizers.search import Kit, Listener, SearchPlan
from optimizers.space import Space, random_edit
from signatures.digest import canonical_json, seed_of
from signatures.errors import UsageError
from signatures.records import Candidate, Cost, PolicyName, Record

if TYPE_CHECKING:
    from optimizers.replaying import Replaying

COMPONENT: Final = "search"
"""The one component of a candidate of level two."""
RACES: Final[Mapping[str, Race]] = {
    "halving": Halving(),
    "strict": Halving(credible=0.1),
    "one look": AllAtOnce(),
}
TRIES: Final = 20
_RACED: Final = frozenset({"minibatch", "proposer", "race"})
READ: Final[Mapping[str, frozenset[str]]] = {
    "gepa_search": _RACED,
    "pareto_search": _RACED,
    "authored_search": frozenset({"race"}),
    "random_search": frozenset(),
    "best_of_n": frozenset(),
    "null_search": frozenset(),
    "optuna_search": frozenset(),
}
"""The settings beside the engine that an engine reads; one that is not named here is taken to read all of them."""


class SearchSettings(Record):
    """How a search goes about it. The defaults are those of the level below, which nobody tuned."""

    engine: str = "gepa_search"
    minibatch: int = Field(default=12, ge=1)
    "train tasks that one proposal reflects on"
    proposer: Literal["mined", "drawn"] = "mined"
    "`drawn`: random edits, which read no record"
    race: Literal["halving", "strict", "one look"] = "halving"
    "acceptance: `strict` asks for a lower bound above 0, `one look` evaluates on all tasks at once"

    @property
    def candidate(self) -> Candidate:
        """The settings as what an evaluator scores; those that the engine does not read stand at their default."""
        read = READ.get(self.engine, _RACED)
        plain = {name: getattr(self, name) for name in type(self).model_fields if name == "engine" or name in read}
        return Candidate(components={COMPONENT: canonical_json(SearchSettings(**plain))})


def settings_of(candidate: Candidate) -> SearchSettings:
    """The settings in a candidate of level two. Raises UsageError."""
    try:
        return SearchSettings.model_validate_json(candidate.components[COMPONENT])
    except (KeyError, ValidationError) as error:
        raise UsageError(f"not the settings of a search: {error}") from error


class Changed(NamedTuple):
    """Settings that differ from others in one thing."""

    settings: SearchSettings
    hypothesis: str


def neighbours(settings: SearchSettings, choices: Mapping[str, Sequence[JsonValue]]) -> list[Changed]:
    """Every change of one setting to another of its choices that makes a difference, in the order of the choices."""
    found = []
    for name, values in choices.items():
        now = getattr(settings, name)
        for value in values:
            changed = SearchSettings.model_validate({**settings.model_dump(), name: value})
            if changed.candidate != settings.candidate:
                said = f"A search with {name} {value} finds better controllers than one with {name} {now}."
                found.append(Changed(changed, said))
    return found


@runtime_checkable
class Racing(Protocol):
    """An engine whose acceptance can be another race."""

    race: Race


async def search_with(
    settings: SearchSettings, plan: SearchPlan, evaluator: Evaluator, kit: Kit, listener: Listener
) -> Archive:
    """One search with these settings. Raises UsageError for settings that the engine cannot have."""
    proposer: Proposer = MinedProposer(kit.space) if settings.proposer == "mined" else DrawnProposer(kit.space)
    engine = engine_of(settings.engine, kit)
    if isinstance(engine, Racing):
        engine.race = RACES[settings.race]
    minibatch = max(1, min(settings.minibatch, len(plan.train)))
    return await engine.search(replace(plan, minibatch=minibatch), evaluator, proposer, listener)


def plain_kit(space: Space, steers: Sequence[str], replay: Replaying | None = None) -> Kit:
    """What a search without a model is built from."""
    return Kit(space=space, steer_legal=tuple(steers), replay=replay)


class DrawnProposer:
    """Proposes random edits: it reads no record. A rule's component alone."""

    name = "drawn"

    def __init__(self, space: Space) -> None:
        self.space = space

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        """The first of some random edits that changes this component. Raises UsageError for a model's component."""
        rng = random.Random(seed_of("drawn", seed, candidate.digest, component))
        one = replace(self.space, actions={component: self.space.actions[component]})
        for _ in range(TRIES):
            text = random_edit(candidate, one, rng).components[component]
            if text != candidate.components[component]:
                said = f"A random edit of {component} helps."
                return Proposal(text=text, evidence="", proposer=self.name, hypothesis=said), Cost()
        return None, Cost()


def require_engines(ids: Sequence[str]) -> None:
    """Raises UsageError for an engine that is not known, or that cannot be had without a model."""
    bare = Space(thresholds={}, actions={"stop": ("continue", "done"), "topology": ("fanout_1",), "steer": ("none",)})
    for id in ids:
        engine_of(id, plain_kit(bare, ("none",)))
