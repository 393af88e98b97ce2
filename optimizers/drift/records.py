"""The records of a drift report: what was registered, and what was found of each feature and each objective."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from signatures.records import Finite, NonNegative, Probability, Record
from signatures.release import Level


class Limits(Record):
    """What decides an alarm. Chosen before production is looked at; a change afterwards is another question."""

    alpha: Annotated[Finite, Field(gt=0, lt=0.5)] = 0.05
    "chance of ever a false alarm on one release, however often it is looked at: half for features, half for success"
    least_psi: NonNegative = 0.1
    "smallest population stability index, corrected for its bias, that is worth an alarm"
    tolerance: Annotated[Finite, Field(ge=0, le=1)] = 0.05
    "least fall of success below the gate's mean that is worth an alarm"
    window: int = Field(default=32, ge=4)
    "production episodes in the smallest window that is tested, of those that count"
    every: int = Field(default=1, ge=1)
    "every so many-th episode counts: more than 1 where tasks of one kind come in rows, as many as a row may have"


class FeatureDrift(Record):
    """One observation feature after one fresh attempt: production against the reference."""

    feature: str
    reference_n: int = Field(ge=0)
    "tasks in the reference"
    n: int = Field(ge=0)
    "tasks in production"
    psi: Finite | None
    "over all production tasks, less what it would be without drift: below 0 is less than that; None: no task yet"
    lo: Finite | None = None
    hi: Finite | None = None
    "its 95 % interval over tasks; shown, it decides nothing"
    p: Probability
    "against no drift, corrected for every look, bin and feature: at most alpha / 2 is shown"
    window: tuple[int, int] | None = None
    "first and last production episode, counted from 1, of the window that speaks loudest; None: none was full yet"
    window_psi: Finite | None = None
    "the corrected index within it"
    alarm: bool = False


class ObjectiveDrift(Record):
    """Success on one objective by the checkers: production against the gate."""

    objective: str
    reference: Level
    floor: Finite
    "what a production mean must be shown to lie below; at most 0: nothing can show it"
    n: int = Field(ge=0)
    "tasks in production"
    mean: Finite | None
    lo: Finite | None
    hi: Finite | None
    "95 % interval over tasks; shown, it decides nothing"
    unexplored: Finite | None = None
    "the mean without exploration, as the gate has it: what is tested; None: nothing was explored"
    unmeasured: int = Field(default=0, ge=0)
    "episodes that count and are not in the mean: no checker gave a value, or a draw is not on record"
    e_value: NonNegative
    "the largest wealth ever reached by betting on a fall, from any of the starts, weighted"
    needed: NonNegative
    "the wealth that is an alarm"
    since: int | None = None
    "production episode, counted from 1, from which the winning bets began; None: no alarm"
    alarm: bool = False


class SuccessDrift(Record):
    """Success on every objective of the reference."""

    objectives: tuple[ObjectiveDrift, ...]
    explored: int = Field(default=0, ge=0)
    "episodes that exploration took elsewhere than the policies would have gone: they say nothing against the gate"
    alarm: bool
