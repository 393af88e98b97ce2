"""Engines: each owns its loop and sees only the evaluator. An engine is a function of its seed and the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, TypeVar

from pydantic import JsonValue, ValidationError

from optimizers.archive import Archive
from optimizers.evaluator import Evaluator
from optimizers.proposers import Proposer
from optimizers.records import TaskScore
from optimizers.replaying import Replaying
from optimizers.space import Space
from signatures.digest import canonical_json, seed_of
from signatures.errors import UsageError
from signatures.records import Candidate, Record, Task

if TYPE_CHECKING:
    import dspy

    from optimizers.behaviour import Behaviour, State

Decided: TypeAlias = Literal["seed", "accepted", "rejected", "unsupported", "duplicate"]
"""What became of a candidate. `unsupported`: it has no value, because it is not in the record and could not be
attempted, or because a limit was reached first. `duplicate`: it was there before, and was not evaluated again."""
SEEDS: Final[Mapping[str, int]] = {"train": 1, "val": 2}
"""Train and val episodes draw different seeds, so that a task in both is not the same episode."""
OptionsT = TypeVar("OptionsT", bound=Record)


def never() -> bool:
    """Nobody stops the search from outside."""
    return False


@dataclass(frozen=True)
class SearchPlan:
    """What a search is asked to do. What it may spend is said by the limits of its evaluator's meter."""

    start: Candidate
    train: Sequence[Task]
    "minibatches and reflection"
    val: Sequence[Task]
    "what vectors in the archive are means over"
    seed: int
    generations: int
    "the end of a search that neither compute nor live attempts limit; of any other, how often it tells of progress"
    iterations: int
    "per generation, where nothing limits the search; so many candidates in a row that take no compute end any search"
    minibatch: int
    label: str = ""
    "put before the names of candidates"
    halted: Callable[[], bool] = never
    "asked between candidates: True ends the search"
    episodes: int | None = None
    "seed of the episodes, where several searches share one archive; None: that of the search"

    first: int = 0
    "number of the generation that the start is: a search that goes on where another ended counts on"

    def seed_for(self, engine: str) -> int:
        """The seed of an engine's own draws: another one where the label differs."""
        return seed_of(engine, self.seed, self.label) if self.label else seed_of(engine, self.seed)

    @property
    def first_number(self) -> int:
        """Where proposals are counted from, so that those of two searches in one journal are told apart."""
        return seed_of("proposals", self.label) % 2**32 if self.label else 0

    def seed_on(self, part: Literal["train", "val"]) -> int:
        """The seed that candidates are evaluated with on the train or on the val tasks."""
        return seed_of("search", self.seed if self.episodes is None else self.episodes, SEEDS[part])


@dataclass(frozen=True)
class Found:
    """A candidate as the search met it."""

    name: str
    candidate: Candidate
    parents: tuple[str, ...]
    generation: int
    proposer: str
    evidence: str
    decision: Decided
    scores: tuple[TaskScore, ...]
    "on the val tasks if accepted, else on the tasks where that ended; none of a duplicate"
    hypothesis: str = ""
    "one sentence: what the candidate was expected to do better"


class Listener(Protocol):
    """Told what a search finds, as it finds it; it cannot change anything."""

    def found(self, found: Found) -> None:
        """A candidate was decided on."""

    def generation(self, number: int, archive: Archive) -> None:
        """A generation ended. The start alone is generation 0; none is left out."""


class Engine(Protocol):
    """One way to search."""

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        """Search until the plan or a limit ends it, and return the evaluator's archive.

        A function of the plan's seed and of what the evaluator answers: nothing else is random, and no clock is read.
        """


@dataclass(frozen=True)
class Kit:
    """What an engine may be built from. Each engine module exports `engine(kit) -> Engine`."""

    space: Space
    lm: dspy.LM | None = None
    folder: Path | None = None
    "where an engine may write a view of its own; it never reads it back"
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    "the engine's own settings"
    states: Sequence[State] = ()
    "recorded situations that two candidates' behaviour is compared in"
    replay: Replaying | None = None
    steer_legal: tuple[str, ...] = ("none",)

    def settings(self, form: type[OptionsT], engine: str) -> OptionsT:
        """The options as the engine's own record. Raises UsageError naming what it does not know or cannot read."""
        fields = [name for name in form.model_fields if name not in Record.model_fields]
        unknown = sorted(set(self.options) - set(fields))
        if unknown:
            known = ", ".join(fields) or "no options"
            raise UsageError(f"{engine} has no option {', '.join(unknown)}; it has {known}")
        try:
            return form.model_validate_json(canonical_json(dict(self.options)))
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"{engine}: option {'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    def behaviour(self) -> Behaviour | None:
        """What tells equal behaviours; None where no state is recorded."""
        if not self.states:
            return None
        from optimizers.behaviour import Behaviour

        return Behaviour(self.states, self.lm)
