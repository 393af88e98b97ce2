"""Which search of a store is the newest: searches are told from reports, also those from before there was a tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from experiments.events import SEARCH_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SEARCHES: Final = (f"tags.`{SEARCH_TAG}` LIKE '%'", "params.`engine` = 'gepa'")
"""Filters that find searches: by their tag, or from before there was one. Reports were called searches once."""


def newest_search(client: MlflowClient, experiment_ids: Sequence[str]) -> Run | None:
    """The parent run of the newest search, by the time at which it began."""
    if not experiment_ids:
        return None
    found: list[Run] = []
    for which in SEARCHES:
        where, order = f"tags.`tiller.role` = 'search' AND {which}", ["attributes.start_time DESC"]
        found += client.search_runs([*experiment_ids], where, max_results=1, order_by=order)
    return max(found, key=lambda run: run.info.start_time, default=None)
