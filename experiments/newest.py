"""Which search of a store is the newest: searches are told from reports, also those from before there was a tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

from experiments.events import SEARCH_TAG

SEARCHES: Final = (f"tags.`{SEARCH_TAG}` LIKE '%'", "params.`engine` = 'gepa'")
"""Filters that find searches: by their tag, or from before there was one. Reports were called searches once."""


class Began(Protocol):
    """What a tracker knows of a run's beginning."""

    @property
    def start_time(self) -> int:
        """Milliseconds since 1970."""


class Run(Protocol):
    """One run of a tracker."""

    @property
    def info(self) -> Began:
        """What the tracker itself says of the run."""


R = TypeVar("R", bound=Run)
R_co = TypeVar("R_co", bound=Run, covariant=True)


class Client(Protocol[R_co]):
    """A tracker's client, as far as it is used here."""

    def search_runs(
        self, experiment_ids: list[str], filter_string: str, *, max_results: int, order_by: list[str]
    ) -> Sequence[R_co]:
        """The runs that a filter finds, in that order."""


def newest_search(client: Client[R], experiment_ids: Sequence[str]) -> R | None:
    """The parent run of the newest search, by the time at which it began."""
    if not experiment_ids:
        return None
    found: list[R] = []
    for which in SEARCHES:
        where, order = f"tags.`tiller.role` = 'search' AND {which}", ["attributes.start_time DESC"]
        found += client.search_runs([*experiment_ids], where, max_results=1, order_by=order)
    return max(found, key=lambda run: run.info.start_time, default=None)
