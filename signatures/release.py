"""The release: what production loads. Its records, as they stand in `manifest.json`; no code, no key, no pickle."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from signatures.digest import digest_of
from signatures.records import Amounts, Finite, NonNegative, PolicyName, Probability, Record, WorkerFingerprint

FORMAT: Final = "tiller-release/1"
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
"""Of a registered model: it becomes part of file names and of URIs."""


class Certificate(Record):
    """That a gate said *promote* of a candidate, and where each part of that can be looked up."""

    gate: str
    "name of the folder of the gate's run"
    decision: Literal["promote"] = "promote"
    sentence: str
    candidate: str
    baseline: str
    "digests"
    benchmark: str
    registration: str
    "digest of what was registered before the holdout was read"
    slice: str
    seal: str
    "of the slice: contents of its tasks, revisions of judge and checkers"
    verdicts: str
    "digest of the numbers that the decision rests on, as the holdout ledger's row of the completed read has it"
    ledger_rows: int = Field(ge=1)
    ledger_chain: str
    "the holdout ledger's end after that row"
    done: str
    "digest of the definition of done: judge, checkers, splits, objectives"
    report: str
    "digest of the bytes of report.json"


class Fingerprints(Record):
    """What a release was made with: production must have the same."""

    tiller: str
    dspy: str
    adapter: str
    "what the prompts of each policy look like: class of the adapter and digest of what it makes of a fixed input"
    models: tuple[str, ...] = ()
    "LiteLLM model strings of the policies that ask one"
    worker: WorkerFingerprint


class Lineage(Record):
    """Where a candidate came from."""

    search_run: str | None = None
    "name of the search's run folder; None: the controller was not saved by a search"
    engine: str | None = None
    name: str
    "in that run, such as g02-c4"
    generation: int | None = Field(default=None, ge=0)
    parents: tuple[str, ...] = ()
    learned_from: Mapping[str, str] = Field(default_factory=dict)
    "corpus -> digest of what was read of it"


class Binned(Record):
    """How one observation feature was distributed: what production is compared with."""

    edges: tuple[Finite, ...]
    "inner edges, increasing; a value belongs to the bin whose upper edge is the first that is not below it"
    counts: tuple[Annotated[int, Field(ge=0)], ...]
    "one more than edges"
    absent: int = Field(default=0, ge=0)
    "states in which the feature was not observed"

    @model_validator(mode="after")
    def _bins_fit_edges(self) -> Self:
        if len(self.counts) != len(self.edges) + 1:
            raise ValueError(f"{len(self.edges)} edges need {len(self.edges) + 1} counts, not {len(self.counts)}")
        if any(after <= before for before, after in pairwise(self.edges)):
            raise ValueError(f"edges must increase: {self.edges}")
        return self


class Level(Record):
    """How often, or how much: a mean over tasks."""

    mean: Finite
    n: int = Field(ge=1)


class Reference(Record):
    """What the controller was learned on, in numbers: drift is measured against it."""

    features: Mapping[str, Binned]
    "of the state after one fresh attempt, which no controller had a hand in"
    success: Mapping[str, Level]
    "objective -> the checkers' value of selected attempts on [0, 1], at the gate"


class Release(Record):
    """One controller as production loads it. The texts themselves are in `state.json`."""

    format: Literal["tiller-release/1"] = FORMAT
    name: Name
    "of the registered model"
    benchmark: str
    candidate: str
    "digest of the components"
    state: str
    report: str
    "digests of the bytes of state.json and report.json"
    schemas: Mapping[PolicyName, Mapping[str, str]]
    "policy -> field of its signature -> direction and type"
    fingerprints: Fingerprints
    granted: Amounts
    turns_per_attempt: int | None = None
    steer_legal: tuple[str, ...] = ("none",)
    exploration: Annotated[Probability, Field(le=0.5)] = 0.0
    "the registered least probability of every legal action in production; at 0 its episodes teach nothing of others"
    fallback: Mapping[PolicyName, str] = Field(default_factory=dict)
    "policy -> component of the rule tier that decides where the policy's model is down, or the program fails"
    lineage: Lineage
    certificate: Certificate | None = None
    ungated: str = ""
    "why there is no certificate"
    reference: Reference | None = None
    created_s: NonNegative
    "seconds since 1970"

    @property
    def digest(self) -> str:
        """What names the release, and what an edit breaks."""
        return digest_of(self)

    @model_validator(mode="after")
    def _gated_or_said(self) -> Self:
        if (self.certificate is None) != bool(self.ungated.strip()):
            raise ValueError("ungated: a release has a certificate, or says why it has none")
        return self

    @model_validator(mode="after")
    def _steers_can_be_drawn(self) -> Self:
        steers = self.steer_legal
        if not steers or len(set(steers)) != len(steers):
            raise ValueError(f"steer_legal: at least one steer, and none twice: {', '.join(steers)}")
        if self.exploration * len(steers) > 1:
            raise ValueError(f"exploration: {self.exploration:g} each cannot hold for {len(steers)} steers")
        return self

    @model_validator(mode="after")
    def _episodes_end(self) -> Self:
        if all(getattr(self.granted, name) is None for name in Amounts.model_fields if name != "schema_version"):
            raise ValueError("granted: something must be limited, or an episode need not end")
        return self
