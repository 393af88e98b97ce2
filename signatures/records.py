"""The records: every fact that crosses a boundary, frozen, strict and versioned, in the order it happens.

`None` means *not measured*, never zero. A record's id is a function of its inputs; fields that only a clock
can know are marked in `measured` and stay outside the content digest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticSerializationError

from signatures.digest import digest_of, digest_text

SCHEMA_VERSION: Final = 1

Split = Literal["search", "dev", "holdout", "production"]
Tier = Literal["frontier", "resident", "rule"]
PolicyName = Literal["stop", "topology", "steer"]
Outcome = Literal["ok", "refusal", "empty", "timeout", "infra_error"]
SteerKind = Literal["none", "fixed", "placebo", "report", "rule", "analyst"]


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be finite; leave out what was not measured")
    return value


Finite = Annotated[float, AfterValidator(_finite)]
NonNegative = Annotated[Finite, Field(ge=0)]
Probability = Annotated[Finite, Field(ge=0, le=1)]


def _unset(value: object) -> bool:
    """Left out of what is stored, so that a record that does without has the id it always had."""
    return value in ("", None)


GivenTier = Annotated[str, Field(exclude_if=_unset)]
GrantedTools = Annotated[tuple[str, ...] | None, Field(exclude_if=_unset)]


class Record(BaseModel):
    """Base of all records: frozen, strict, no extra fields, one schema version."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    measured: ClassVar[frozenset[str]] = frozenset()

    schema_version: Literal[1] = 1

    def content(self) -> dict[str, object]:
        """The JSON-able content without measured fields: what two equal runs agree on."""
        return self.model_dump(mode="json", exclude=set(self.measured))

    def content_digest(self) -> str:
        """The digest of `content()`."""
        return digest_of(self.content())

    def encodable(self) -> Self:
        """This record with lone surrogates, which a model can write and no store takes, replaced by `?`."""
        try:
            self.model_dump_json()
        except PydanticSerializationError:
            text = json.dumps(self.model_dump(mode="json"), ensure_ascii=False)
            return self.model_validate_json(text.encode("utf-8", "replace"))
        return self


class Task(Record):
    """One problem. Outside the benchmark's adapter and the judge it is known by `digest` alone."""

    digest: str
    benchmark: str
    prompt: str


class Cost(Record):
    """What an attempt or a model call consumed."""

    measured: ClassVar[frozenset[str]] = frozenset({"wall_s"})

    turns: int | None = Field(default=None, ge=0)
    "worker turns: tool calls, or model calls where there are no tools"
    tokens_in: int | None = Field(default=None, ge=0)
    tokens_out: int | None = Field(default=None, ge=0)
    tokens_cached: int | None = Field(default=None, ge=0)
    usd: NonNegative | None = None
    wall_s: NonNegative | None = None

    def plus(self, other: Cost) -> Cost:
        """Field-wise sum; what neither side measured stays `None`."""

        def add(a: Any, b: Any) -> Any:
            return b if a is None else a if b is None else a + b

        names = ("turns", "tokens_in", "tokens_out", "tokens_cached", "usd", "wall_s")
        return Cost(**{name: add(getattr(self, name), getattr(other, name)) for name in names})


class TraceEvent(Record):
    """One thing that happened inside an attempt. Provenance *trace*: an observation may be built from it."""

    turn: int = Field(ge=0)
    kind: Literal["message", "tool", "error", "process"]
    name: str = ""
    "tool or role"
    arguments: str = ""
    "the call's arguments as JSON text"
    text: str = ""
    "what came back, whole"
    failed: bool = False


class CheckerResult(Record):
    """What one deployable checker said of one attempt. Provenance *checker*."""

    objective: str
    value: Finite | None
    "raw, in `unit`; None: the checker could not say"
    unit: str
    passed: bool | None = None
    detail: str = ""
    isolation: str | None = None
    "how worker-written code was confined, where any ran"
    timed: bool = False
    "the value comes from a clock, so it is outside the content digest"

    def content(self) -> dict[str, object]:
        """As `Record.content`, without what a clock decided."""
        return {**super().content(), **_UNTIMED} if self.timed else super().content()


_UNTIMED: Final = {"value": None, "passed": None, "detail": ""}


class Observation(Record):
    """A piece of evidence that policies and prompts may see: a trace event or a checker result, nothing else."""

    attempt_id: str
    source: TraceEvent | CheckerResult

    @property
    def id(self) -> str:
        """Names the observation by attempt and content."""
        return digest_of(self.attempt_id, self.source.content())


class Steer(Record):
    """The context the next attempt is given, and which action of the table it realises."""

    kind: SteerKind = "none"
    action: str = "none"
    "an action of the benchmark's table, `none`, `placebo`, `rule`, `report`, or `text` for free text of a model"
    text: str = ""
    tier: GivenTier = ""
    "which of several workers makes the attempt; empty: the worker's own choice"
    tools: GrantedTools = None
    "the tools that the attempt is granted; None: those that it always has"

    @property
    def text_digest(self) -> str:
        """The digest of the exact text."""
        return digest_text(self.text)


class Directive(Record):
    """One row of a benchmark's table of actions: a kind of steer with a fixed text, and what else it gives."""

    action: str
    text: str
    tier: GivenTier = ""
    "as `Steer.tier`"
    tools: GrantedTools = None
    "as `Steer.tools`"


class WorkerFingerprint(Record):
    """Which worker it was: name, model snapshot and parameters."""

    name: str
    model: str | None = None
    params: Mapping[str, str] = Field(default_factory=dict)


class AttemptContext(Record):
    """What a worker is given beside the task: the steer, its seed and its limits."""

    attempt_id: str
    steer: Steer
    seed: int
    repeat: int = 0
    turns_limit: int | None = None
    wall_limit_s: NonNegative | None = None


class AttemptResult(Record):
    """What a worker returns. `state` is a snapshot another attempt can go on from, None where it keeps none."""

    output: str
    state: str | None = None
    trace: tuple[TraceEvent, ...] = ()
    cost: Cost = Cost()
    outcome: Literal["ok", "refusal", "empty", "timeout"] = "ok"


class Failure(Record):
    """An attempt, check or model call that did not happen."""

    error: str
    "class name in the error tree"
    message: str
    where: str
    tries: int = Field(default=1, ge=1)


class Attempt(Record):
    """One full worker rollout. The id is a function of its inputs; outputs and traces are blobs."""

    measured: ClassVar[frozenset[str]] = frozenset({"cost", "steer_cost", "checks"})

    id: str
    episode_id: str
    round: int = Field(ge=0)
    "which decision round of the episode launched it"
    index: int = Field(ge=0)
    "position among all attempts of the episode"
    parent_id: str | None = None
    start_digest: str | None = None
    task_digest: str
    benchmark: str
    worker: WorkerFingerprint
    repeat: int = 0
    steer: Steer
    steer_cost: Cost = Cost()
    "of making the steer; `cost` is the worker's"
    output_digest: str | None = None
    state_digest: str | None = None
    trace_digest: str | None = None
    checks: tuple[CheckerResult, ...] = ()
    outcome: Outcome
    failure: Failure | None = None
    cost: Cost = Cost()

    @model_validator(mode="after")
    def _failure_belongs_to_infra(self) -> Self:
        if (self.outcome == "infra_error") != (self.failure is not None):
            raise ValueError("an infra_error carries a failure, and only an infra_error does")
        return self

    def check(self, objective: str) -> CheckerResult | None:
        """The result of the checker of `objective`, if it ran."""
        return next((c for c in self.checks if c.objective == objective), None)

    def content(self) -> dict[str, object]:
        """As `Record.content`, with the parts of costs and checks that no clock decides."""
        costs = {"cost": self.cost.content(), "steer_cost": self.steer_cost.content()}
        return {**super().content(), **costs, "checks": [check.content() for check in self.checks]}


class Decision(Record):
    """One draw of one policy: what it saw, what was legal, what was drawn and how likely that was."""

    measured: ClassVar[frozenset[str]] = frozenset({"cost"})

    id: str
    episode_id: str
    step: int = Field(ge=0)
    policy: PolicyName
    features: Mapping[str, Finite]
    legal: tuple[str, ...]
    probabilities: Mapping[str, Probability]
    "of our own sampler, over the legal actions, floor included"
    action: str
    propensity: Annotated[Finite, Field(gt=0, le=1)]
    draw_seed: int
    tier: Tier
    policy_digest: str
    shown: tuple[str, ...] = ()
    "ids of the observations the policy was shown"
    cost: Cost = Cost()


class Amounts(Record):
    """Amounts of each budgeted resource. In a grant `None` is no limit; in a spend it is not measured."""

    measured: ClassVar[frozenset[str]] = frozenset({"wall_s"})

    attempts: int | None = Field(default=None, ge=0)
    turns: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    usd: NonNegative | None = None
    wall_s: NonNegative | None = None


class Episode(Record):
    """All attempts on one task under one controller, ending in one selected attempt."""

    measured: ClassVar[frozenset[str]] = frozenset({"spent"})

    id: str
    condition: str
    candidate: str | None = None
    "digest of the candidate, None for a control arm"
    seed: int
    split: Split
    benchmark: str
    task_digest: str
    worker: WorkerFingerprint
    decision_ids: tuple[str, ...]
    attempt_ids: tuple[str, ...]
    selected_id: str | None
    failure: Failure | None = None
    "set where infrastructure ended the episode: it is censored, not scored"
    granted: Amounts
    spent: Amounts

    def content(self) -> dict[str, object]:
        """As `Record.content`, with the part of the spend that no clock decides."""
        return {**super().content(), "spent": self.spent.content()}


class Objective(Record):
    """One axis of success: how raw values add up over an episode and scale to [0, 1]."""

    name: str
    unit: str
    worst: Finite
    "raw value that scales to 0"
    best: Finite
    "raw value that scales to 1"
    over: Literal["judge", "lineage", "episode"]
    "judge: the verdict on the selected attempt; lineage: sum from root to selected; episode: sum of all"
    reference: Finite = 0.0
    "scaled value of the hypervolume's reference point"

    @model_validator(mode="after")
    def _has_a_scale(self) -> Self:
        if self.worst == self.best:
            raise ValueError("worst and best must differ, or nothing scales")
        return self

    def scaled(self, raw: float) -> float:
        """`raw` on [0, 1], clipped."""
        return min(1.0, max(0.0, (raw - self.worst) / (self.best - self.worst)))


class Candidate(Record):
    """One controller the optimizer proposes: a text or rule list per policy, content-addressed."""

    components: Mapping[str, str]
    "policy name -> that policy's own JSON"

    @property
    def digest(self) -> str:
        """The digest of the components."""
        return digest_of(dict(self.components))
