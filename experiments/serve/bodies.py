"""What goes over the wire: the bodies of requests, each field with its limit, and of answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from controllers.served import Due, NextMove, Reported, failure_line
from signatures.records import (
    Amounts,
    AttemptResult,
    Failure,
    Finite,
    GivenTier,
    GrantedTools,
    Steer,
    SteerKind,
    WorkerFingerprint,
)

PROMPT_CHARS: Final = 200_000
TEXT_CHARS: Final = 2_000_000
NAME_CHARS: Final = 300
TRACE_EVENTS: Final = 5_000
MOST: Final = 10**12
"""Of a number that is counted."""
_NO_RESULT: Final = {"attempt_id", "checks", "failure"}

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{24}$", description="as the server gave it")]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,100}$", description="yours: the same one, the same episode")]
Count = Annotated[int, Field(ge=0, le=MOST)]
Amount = Annotated[Finite, Field(ge=0, le=float(MOST))]


class Body(BaseModel):
    """Base: frozen, strict, nothing unknown."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class TaskGiven(Body):
    """The task that an episode is about."""

    prompt: str = Field(min_length=1, max_length=PROMPT_CHARS)
    id: str | None = Field(default=None, min_length=1, max_length=NAME_CHARS, description="yours; it is only hashed")


class WorkerGiven(Body):
    """The worker that will make the attempts, if it is to be compared with the one the release was made for."""

    name: str = Field(max_length=NAME_CHARS)
    model: str | None = Field(default=None, max_length=NAME_CHARS)
    params: Mapping[str, str] = Field(default_factory=dict, max_length=100)

    def fingerprint(self) -> WorkerFingerprint:
        """As a record."""
        return WorkerFingerprint(name=self.name, model=self.model, params=dict(self.params))


class NewEpisode(Body):
    """Begin an episode."""

    task: TaskGiven
    key: Key | None = None
    worker: WorkerGiven | None = None


class TraceGiven(Body):
    """One thing that happened in the attempt."""

    turn: Count
    kind: Literal["message", "tool", "error", "process"]
    name: str = Field(default="", max_length=NAME_CHARS)
    arguments: str = Field(default="", max_length=TEXT_CHARS, description="of a call, as JSON text")
    text: str = Field(default="", max_length=TEXT_CHARS)
    failed: bool = False


class CostGiven(Body):
    """What the attempt took; leave out what was not measured."""

    turns: Count | None = None
    tokens_in: Count | None = None
    tokens_out: Count | None = None
    tokens_cached: Count | None = None
    usd: Amount | None = None
    wall_s: Amount | None = None


class CheckGiven(Body):
    """What your checker of one objective said."""

    value: Finite | None = Field(default=None, ge=-float(MOST), le=float(MOST), description="null: it could not say")
    passed: bool | None = None
    detail: str = Field(default="", max_length=10_000)


class AttemptGiven(Body):
    """An attempt that came back, or `failure` where it could not be made."""

    attempt_id: Id
    output: str = Field(default="", max_length=TEXT_CHARS)
    state: str | None = Field(default=None, max_length=TEXT_CHARS, description="what a later attempt can go on from")
    outcome: Literal["ok", "refusal", "empty", "timeout"] = "ok"
    trace: list[TraceGiven] = Field(default_factory=list, max_length=TRACE_EVENTS)
    cost: CostGiven = CostGiven()
    checks: dict[str, CheckGiven] | None = Field(default=None, max_length=100, description="by objective")
    failure: str | None = Field(default=None, min_length=1, max_length=2_000)

    def came(self) -> AttemptResult | Failure:
        """As a record."""
        if self.failure is not None:
            return Failure(error="WorkerError", message=self.failure, where="client")
        fields = self.model_dump(exclude=_NO_RESULT)  # whole: event by event takes three times as long
        return AttemptResult.model_validate({**fields, "trace": tuple(fields["trace"])})


class Opened(Body):
    """An episode that began, or had begun under this key."""

    episode_id: str
    release: str
    benchmark: str
    granted: Amounts
    turns_per_attempt: int | None


class SteerTold(Body):
    """What to tell the worker beside the task: nothing where the text is empty.

    `tier` and `tools` are there where the release's action gives them: the worker to make the attempt with, and the
    tools that it may use.
    """

    kind: SteerKind
    action: str
    text: str
    tier: GivenTier = ""
    tools: GrantedTools = None


class AttemptDue(Body):
    """An attempt to make: from `start_state` of attempt `parent_id`, or afresh where that is null."""

    attempt_id: str
    index: int
    parent_id: str | None
    start_state: str | None
    steer: SteerTold
    seed: int
    repeat: int
    turns_limit: int | None
    wall_limit_s: float | None

    @classmethod
    def of(cls, due: Due) -> AttemptDue:
        """From the record."""
        given = due.context
        return cls(
            attempt_id=given.attempt_id,
            index=due.index,
            parent_id=due.parent_id,
            start_state=due.start,
            steer=_told(given.steer),
            seed=given.seed,
            repeat=given.repeat,
            turns_limit=given.turns_limit,
            wall_limit_s=given.wall_limit_s,
        )


def _told(steer: Steer) -> SteerTold:
    return SteerTold(kind=steer.kind, action=steer.action, text=steer.text, tier=steer.tier, tools=steer.tools)


class Selected(Body):
    """The attempt that was kept."""

    attempt_id: str
    output: str | None


class MoveTold(Body):
    """What happens next: make these attempts and report each; or the episode is `done`."""

    episode_id: str
    round: int
    done: bool
    attempts: list[AttemptDue]
    selected: Selected | None = None
    failure: str | None = None

    @classmethod
    def of(cls, move: NextMove) -> MoveTold:
        """From the record."""
        selected = move.selected_id
        return cls(
            episode_id=move.episode_id,
            round=move.round,
            done=move.done,
            attempts=[AttemptDue.of(due) for due in move.due],
            selected=None if selected is None else Selected(attempt_id=selected, output=move.output),
            failure=None if move.failure is None else failure_line(move.failure),
        )


class CheckTold(Body):
    """What a checker said."""

    value: float | None
    unit: str
    passed: bool | None
    detail: str


class Recorded(Body):
    """The attempt is on disk; `waiting` are those of its round that are not.

    With a `failure` it counts as not made, as one that the server's checkers could not read: the episode ends.
    """

    attempt_id: str
    checks: dict[str, CheckTold]
    waiting: list[str]
    failure: str | None = None

    @classmethod
    def of(cls, reported: Reported) -> Recorded:
        """From the record."""
        checks = {
            one.objective: CheckTold(value=one.value, unit=one.unit, passed=one.passed, detail=one.detail)
            for one in reported.checks
        }
        return cls(
            attempt_id=reported.attempt_id, checks=checks, waiting=list(reported.waiting), failure=reported.failure
        )


class Health(Body):
    """Whether it serves, and what. Degraded: the source of releases has a problem, and the last good one goes on."""

    status: Literal["ok", "degraded"]
    name: str
    benchmark: str
    release: str


class Problem(Body):
    """Why a request was refused."""

    type: str
    message: str


class ProblemTold(Body):
    """The body of every answer that is no success."""

    error: Problem
