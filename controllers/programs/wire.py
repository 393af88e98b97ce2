"""What a strategy program asks for and what it is told: the records that cross to the child process and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from signatures.errors import ProgramFault
from signatures.records import Finite, NonNegative, Outcome, PolicyName, Record

Count = Annotated[int, Field(ge=0)]
Word = Annotated[str, Field(min_length=1, max_length=100)]
MAX_OPTIONS: Final = 32


class ShotCall(Record):
    """`await ctx.shot(start=..., steer=...)`: one attempt, fresh or going on from the last or the best one."""

    kind: Literal["shot"] = "shot"
    start: Literal["last", "best"] | None = None
    steer: Word = "none"


class FanoutCall(Record):
    """`await ctx.shots(n)`: n fresh attempts at once."""

    kind: Literal["shots"] = "shots"
    n: int = Field(ge=1, le=4)


class CritiqueCall(Record):
    """`await ctx.critique()`: what the rules read off the attempts so far."""

    kind: Literal["critique"] = "critique"


class ConsultCall(Record):
    """`await ctx.consult(policy, options)`: a model is to choose one of the options, as that policy."""

    kind: Literal["consult"] = "consult"
    policy: PolicyName
    options: tuple[Word, ...] = Field(min_length=1, max_length=MAX_OPTIONS)


class ToolsCall(Record):
    """`await ctx.list_tools()`: the tools seen so far and the legal steer actions."""

    kind: Literal["tools"] = "tools"


class BudgetCall(Record):
    """`await ctx.budget()`: what is left."""

    kind: Literal["budget"] = "budget"


class Done(Record):
    """The program returned: nothing more is to be attempted."""

    kind: Literal["done"] = "done"


Call: TypeAlias = ShotCall | FanoutCall | CritiqueCall | ConsultCall | ToolsCall | BudgetCall | Done


class Shot(Record):
    """One attempt as a program sees it: checker results and counts, never a verdict; always numbers, so that a
    program's arithmetic does not fail where something was not measured (0 then; `features` leaves it out)."""

    kind: Literal["shot"] = "shot"
    index: Count
    "position among all attempts of the episode"
    outcome: Outcome
    action: str
    "the steer action that was really done"
    passed: bool
    "False where the checker of `correct` could not say"
    correct: Finite
    progress: Finite
    turns: Count
    errors: Count
    repeats: Count
    features: Mapping[str, Finite] = Field(default_factory=dict)


class Shots(Record):
    """Answers a FanoutCall."""

    kind: Literal["shots"] = "shots"
    shots: tuple[Shot, ...]


class Critique(Record):
    """Answers a CritiqueCall: feature -> number, as `controllers.observe` names them."""

    kind: Literal["critique"] = "critique"
    features: Mapping[str, Finite]


class Choice(Record):
    """Answers a ConsultCall with one of its options."""

    kind: Literal["consult"] = "consult"
    option: str


class Tools(Record):
    """Answers a ToolsCall."""

    kind: Literal["tools"] = "tools"
    tools: tuple[str, ...]
    actions: tuple[str, ...]


class Left(Record):
    """Answers a BudgetCall; None is no limit."""

    kind: Literal["budget"] = "budget"
    attempts: Count | None = None
    turns: Count | None = None
    usd: NonNegative | None = None


Answer: TypeAlias = Shot | Shots | Critique | Choice | Tools | Left
"""An answer fits the call of the same `kind`."""

_CALL: Final[TypeAdapter[Call]] = TypeAdapter(Annotated[Call, Field(discriminator="kind")])


def call_of(body: object) -> Call:
    """The call that a child sent. Raises ProgramFault (protocol) where it is none."""
    try:
        return _CALL.validate_json(_json(body))
    except (ValidationError, ValueError) as error:
        raise ProgramFault(f"the program's process sent no call: {str(error)[:200]}", kind="protocol") from error


def _json(body: object) -> bytes:
    import json

    return json.dumps(body).encode()


def told(answer: Answer) -> dict[str, object]:
    """The answer as the child reads it."""
    return answer.model_dump(mode="json", exclude={"schema_version": True, "shots": {"__all__": {"schema_version"}}})
