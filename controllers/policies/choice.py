"""A calibrated choice: a model's log-probabilities of the legal actions, less a bias that was fitted for each.

Subtracting what a model says of an action whatever it is shown is contextual calibration (Zhao et al. 2021,
"Calibrate Before Use"); here the bias is fitted on recorded decisions and not on empty inputs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controllers.choosing import choice_logprobs
from controllers.history import Seen, Shown
from controllers.policies import View, Weights
from signatures.digest import canonical_json
from signatures.errors import UsageError
from signatures.records import Finite, PolicyName, Tier

if TYPE_CHECKING:
    import dspy

KIND: Final = "choice"
"""What tells the component of such a policy from that of a `dspy.Predict`."""
MOST_CHARS: Final = 1_200
"""Characters of observations in one question, unless a policy says otherwise."""


class ChoiceDemo(BaseModel):
    """An answered question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    features: Mapping[str, Finite]
    observations: tuple[str, ...]
    action: str


class ChoiceBody(BaseModel):
    """All that the policy is: what it asks, of which model, and how it reads the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tier: Literal["resident", "frontier"] = "resident"
    kind: Literal["choice"] = "choice"
    model: str
    instructions: str
    demos: tuple[ChoiceDemo, ...] = ()
    bias: Mapping[str, Finite] = Field(default_factory=dict)
    "subtracted from an action's log-probability; an action that is not named gets the mean of the others"
    scale: Annotated[Finite, Field(gt=0)] = 1.0
    "what log-probabilities are multiplied by before the bias is subtracted: below 1, a model that is less sure"
    chars: int = Field(default=MOST_CHARS, ge=0)
    "of observations in a question"


class ChoicePolicy:
    """Asks for one token and weighs each legal action by its calibrated probability."""

    def __init__(self, name: PolicyName, lm: dspy.LM, body: ChoiceBody) -> None:
        self.name = name
        self.lm = lm
        self.body = body
        self.tier: Tier = body.tier
        self._text = canonical_json(body)

    @property
    def text(self) -> str:
        """The body as canonical JSON."""
        return self._text

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """A copy that may be given another model; the body is frozen and is shared."""
        return copy.copy(self)

    async def decide(self, view: View) -> Weights:
        """Ask the model. Raises ProviderError; UsageError for a model that gives no log-probabilities."""
        shown = shown_of(view.history, self.body.chars)
        asked = question_text(view.task.prompt, view.features, shown.lines)
        found, cost = await choice_logprobs(
            self.lm, self.body.instructions, asked, view.legal, before=turns_of(self.body.demos, view.legal)
        )
        return Weights(calibrated(found, self.body.bias, self.body.scale), shown.ids, cost)


def calibrated(logprobs: Mapping[str, float], bias: Mapping[str, float], scale: float = 1.0) -> dict[str, float]:
    """Probabilities proportional to exp(scale * log-probability - bias); they add up to 1."""
    usual = math.fsum(bias.values()) / len(bias) if bias else 0.0
    scores = {name: scale * value - bias.get(name, usual) for name, value in logprobs.items()}
    most = max(scores.values())
    parts = {name: math.exp(score - most) for name, score in scores.items()}
    total = math.fsum(parts.values())
    return {name: part / total for name, part in parts.items()}


def question_text(task: str, features: Mapping[str, float], lines: Sequence[str]) -> str:
    """What the model is shown of a state: task, features that are not 0, observations oldest first."""
    numbers = ", ".join(f"{name}={value:.4g}" for name, value in sorted(features.items()) if value)
    happened = "\n".join(lines) or "nothing is shown"
    observed = f"Observed numbers (those not named are 0 or unknown): {numbers or 'none'}"
    return f"Task:\n{task}\n\n{observed}\n\nWhat happened:\n{happened}"


def turns_of(demos: Sequence[ChoiceDemo], legal: Sequence[str]) -> list[tuple[str, str]]:
    """The demos as turns of a conversation; one whose action could not be chosen now is left out."""
    return [
        (question_text(one.task, one.features, one.observations), one.action) for one in demos if one.action in legal
    ]


class ShownState(NamedTuple):
    """What a question shows of the attempts."""

    lines: tuple[str, ...]
    "observations under a heading for each attempt, oldest first"
    ids: tuple[str, ...]
    "of the observations"


def shown_of(history: Sequence[Seen], chars: int) -> ShownState:
    """What the checkers said of every attempt, then as much of the latest traces as fits in `chars`.

    A decision compares attempts, and a small model is shown little: so of every attempt the first checker comes first,
    which is that of `correct`, then the second, and so on. Each line is whole, so that its delimiters stay closed.
    Raises FirewallBreach as `render` does.
    """
    kept: set[str] = set()
    for one in _by_worth(history):
        if len(one.line) <= chars:
            chars -= len(one.line)
            kept.add(one.id)
    found: list[str] = []
    ids: list[str] = []
    for number, seen in enumerate(history, 1):
        mine = [one for one in seen.shown() if one.id in kept]
        found += [f"Attempt {number}:", *(one.line for one in mine)]
        ids += [one.id for one in mine]
    return ShownState(tuple(found), tuple(ids))


def _by_worth(history: Sequence[Seen]) -> Iterator[Shown]:
    checks = [(place, -number, one) for number, seen in enumerate(history) for place, one in _checks(seen)]
    yield from (one for _, _, one in sorted(checks))
    for seen in reversed(history):
        yield from reversed(seen.shown()[: len(seen.trace)])


def _checks(seen: Seen) -> Iterator[tuple[int, Shown]]:
    return enumerate(seen.shown()[len(seen.trace) :])


def parse_choice(name: PolicyName, body: Mapping[str, object]) -> ChoiceBody:
    """The body in a component's JSON object. Raises UsageError with the first thing that is wrong."""
    try:
        return ChoiceBody.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the text"
        raise UsageError(f"{name}: not a calibrated choice: {place}: {first['msg']}") from error
