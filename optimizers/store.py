"""The certified store: strategies that passed a gate, kept with what was measured and where; append-only, chained."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from controllers.chained import ChainedTable, one_moment
from controllers.sqlite import store_errors, transaction
from optimizers.gate.records import Evidence
from optimizers.setup import Grant
from signatures.digest import canonical_json, digest_of
from signatures.errors import StoreError
from signatures.records import Candidate, Finite, Record, Task, WorkerFingerprint
from signatures.release import Certificate

MOST_PROMPTS: Final = 64
MOST_TERMS: Final = 12
_TABLE: Final = ChainedTable(
    name="strategies",
    columns=("id TEXT NOT NULL", "body TEXT NOT NULL"),
    application_id=0x54494C53,
    holder="certified store",
    label="strategy {}",
)


class TaskClass(Record):
    """For what kind of task a strategy was certified: a benchmark, and texts of its tasks."""

    benchmark: str
    prompts: tuple[str, ...] = Field(min_length=1, max_length=MOST_PROMPTS)
    "of the search split, which the strategy may have been learned on; never of the slice that it was gated on"
    terms: tuple[str, ...] = ()
    "the words that weigh most in them, for people"


class Effect(Record):
    """What the gate measured on its primary objective: an aggregate over tasks, the only trace of the verdicts."""

    objective: str
    split: str = "holdout"
    n: int = Field(ge=1)
    "tasks"
    effect: Finite
    "mean difference to the baseline over tasks, on [0, 1]"
    lo: Finite
    hi: Finite


class Stored(Record):
    """One certified strategy."""

    measured: ClassVar[frozenset[str]] = frozenset({"added_at"})

    name: str
    candidate: Candidate
    task_class: TaskClass
    certificate: Certificate
    worker: WorkerFingerprint
    attempts: int = Field(ge=1)
    turns_per_attempt: int | None
    steer_legal: tuple[str, ...]
    "the grant it was measured with"
    effect: Effect
    added_at: AwareDatetime

    @property
    def id(self) -> str:
        """Names the strategy by what it is and by the registration that it passed."""
        return digest_of(self.candidate.digest, self.certificate.registration)

    @property
    def grant(self) -> Grant:
        """What an episode of it may spend."""
        return Grant(self.attempts, self.turns_per_attempt, self.steer_legal)

    @model_validator(mode="after")
    def _certificate_is_its_own(self) -> Self:
        if self.certificate.candidate != self.candidate.digest:
            raise ValueError("certificate.candidate: is of another controller")
        if self.certificate.benchmark != self.task_class.benchmark:
            raise ValueError("certificate.benchmark: is of another benchmark")
        return self


class CertifiedStore:
    """The store's file. Every reading walks the chain: nothing is retrieved from a file that was touched."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises StoreError where it is something else."""
        self.path = path
        with store_errors(path, "open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _TABLE.connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, stored: Stored) -> bool:
        """Keep a strategy; whether it is new. One that is there stays as it is. Raises StoreError."""
        with store_errors(self.path, "write"), transaction(self._db):
            if any(one.id == stored.id for one in self._walk()):
                return False
            _TABLE.extend(self._db, [(stored.id, canonical_json(stored))])
            return True

    def all(self) -> tuple[Stored, ...]:
        """Every strategy, oldest first. Raises StoreError naming the first row that was touched."""
        with store_errors(self.path, "read"), one_moment(self._db):
            return tuple(self._walk())

    def _walk(self) -> Iterable[Stored]:
        found = []
        for seq, (id, body), _ in list(_TABLE.walk(self._db, self.path)):
            try:
                stored = Stored.model_validate_json(body)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]["msg"]
                raise StoreError(f"{self.path}: row {seq} is no certified strategy of this version: {first}") from error
            if stored.id != id:
                raise StoreError(f"{self.path}: row {seq}: is not the strategy that it is named for")
            found.append(stored)
        return found


def task_class(benchmark: str, tasks: Iterable[Task]) -> TaskClass:
    """The class of these tasks: at most 64 of their prompts, in their order, and the terms that weigh most."""
    prompts = tuple(dict.fromkeys(task.prompt for task in tasks))[:MOST_PROMPTS]
    return TaskClass(benchmark=benchmark, prompts=prompts, terms=_terms(prompts))


def _terms(prompts: tuple[str, ...]) -> tuple[str, ...]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(stop_words="english", token_pattern=r"(?u)\b[^\W\d_]{3,}\b")
    try:
        weights = vectorizer.fit_transform(prompts).sum(axis=0).tolist()[0]
    except ValueError:  # no word in any of them
        return ()
    names = vectorizer.get_feature_names_out().tolist()
    ranked = sorted(zip(weights, names, strict=True), key=lambda pair: (-pair[0], pair[1]))
    return tuple(name for _, name in ranked[:MOST_TERMS])


def effect_of(evidence: Evidence) -> Effect:
    """The aggregate that is kept of a gate's evidence. Raises StoreError where nothing was measured."""
    if evidence.effect is None or evidence.lo is None or evidence.hi is None:
        raise StoreError("certified store: the gate's report holds no effect with an interval")
    return Effect(objective=evidence.objective, n=evidence.n, effect=evidence.effect, lo=evidence.lo, hi=evidence.hi)
