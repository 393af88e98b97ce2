"""Held-out families: which split a task is in by its families, and which names of families are refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from signatures.errors import UsageError
from signatures.records import Split, Task


class Case(Protocol):
    """A task with its families, and with all else that a benchmark alone may know of it."""

    @property
    def task(self) -> Task:
        """What a worker is given."""

    @property
    def families(self) -> tuple[str, ...]:
        """One or more."""


CaseT = TypeVar("CaseT", bound=Case)


@dataclass(frozen=True)
class FamilySplits(Generic[CaseT]):
    """Splits of a benchmark's cases, each in order of digest, so that a prefix is a random sample.

    A case with a family that is held out for dev is in dev, one with a family of holdout in holdout, one with both in
    none, any other in search.
    """

    benchmark: str
    load: Callable[[], Iterable[CaseT]]
    "called once, when a split is first asked for"
    dev: Collection[str]
    holdout: Collection[str]

    def cases(self, split: Split) -> tuple[CaseT, ...]:
        """The cases of a split. Raises UsageError for `production`, before anything is loaded."""
        if split == "production":
            raise UsageError(f"{self.benchmark} has no production tasks: its splits are search, dev and holdout")
        return self._cases[split]

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """The tasks of a split. Raises as `cases`."""
        return tuple(case.task for case in self.cases(split))

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """Task digest -> its families. Raises as `cases`."""
        return {case.task.digest: case.families for case in self.cases(split)}

    @cached_property
    def _cases(self) -> Mapping[Split, tuple[CaseT, ...]]:
        found: dict[Split, list[CaseT]] = {"search": [], "dev": [], "holdout": []}
        for case in sorted(self.load(), key=lambda case: case.task.digest):
            dev, holdout = (not set(case.families).isdisjoint(held) for held in (self.dev, self.holdout))
            if not (dev and holdout):
                found["dev" if dev else "holdout" if holdout else "search"].append(case)
        return {split: tuple(cases) for split, cases in found.items()}


def require_known(benchmark: str, kind: str, names: Iterable[object], known: Collection[object]) -> None:
    """Raises UsageError for a name that is none of the `known` families; `kind` is what the benchmark calls one."""
    for name in names:
        if name not in known:
            raise UsageError(f"{benchmark} has no {kind} {name!r}; it has {', '.join(map(str, known))}")


def require_apart(kinds: str, dev: Iterable[str], holdout: Iterable[str]) -> None:
    """Raises UsageError for a family that both name; `kinds` ends the names of the two fields that name them."""
    both = sorted(set(dev) & set(holdout))
    if both:
        raise UsageError(f"splits overlap: {', '.join(both)} is in both dev_{kinds} and holdout_{kinds}")
