"""What became of an offline estimate: the record of one candidate that was replayed first and then attempted live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from signatures.records import Finite, Probability, Record


class Pair(Record):
    """One objective of one candidate, on [0, 1]: predicted from the record and realised live, over the same tasks."""

    n: int = Field(ge=0)
    "tasks that have both values; where none was replayed, those that have a live one"
    offline: Finite | None
    "None: no task was replayed"
    offline_lo: Finite | None
    offline_hi: Finite | None
    "95 %, over tasks, widened by what the record did not hold; None: too few tasks"
    live: Finite | None
    live_lo: Finite | None
    live_hi: Finite | None
    gap_lo: Finite | None = None
    gap_hi: Finite | None = None
    "95 % of offline - live, paired by task; unlike the offline interval it carries the noise of the live attempts"

    @property
    def covered(self) -> bool | None:
        """Whether the live mean lies in the offline interval; None where either is not known."""
        if self.offline_lo is None or self.offline_hi is None or self.live is None:
            return None
        return self.offline_lo <= self.live <= self.offline_hi

    @property
    def agree(self) -> bool | None:
        """Whether the two differ by no more than both noises explain; None where that is not known."""
        if self.gap_lo is None or self.gap_hi is None:
            return None
        return self.gap_lo <= 0 <= self.gap_hi


class Confirmed(Record):
    """A candidate was attempted live on the val tasks, with fresh seeds."""

    kind: Literal["confirmed"] = "confirmed"
    name: str = Field(min_length=1, max_length=200)
    "the candidate's, as its search named it"
    search: str
    "the engine's name, whose candidates have runs of their own in the tracker, or `random search`"
    digest: str
    tasks: int = Field(ge=0)
    "attempted live"
    replayed: int = Field(ge=0)
    "of these, the tasks that the search had replayed"
    unsupported: Probability
    "mean share of what it does that the record did not hold: of replayed tasks, or of all where none was replayed"
    attempts: int = Field(ge=0)
    "live attempts that confirming took"
    values: Mapping[str, Pair]

    @property
    def metrics(self) -> dict[str, float]:
        """As a tracker takes them: `offline/<objective>` and `live/<objective>`, each with `_lo` and `_hi`."""
        found = {"offline/unsupported": self.unsupported, "offline/tasks": float(self.replayed)}
        for objective, pair in self.values.items():
            for where in ("offline", "live"):
                for end in ("", "_lo", "_hi"):
                    value = getattr(pair, f"{where}{end}")
                    if value is not None:
                        found[f"{where}/{objective}{end}"] = value
        return found
