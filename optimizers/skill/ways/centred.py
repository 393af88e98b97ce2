"""Log-probabilities less each action's mean over the calibration questions: contextual calibration.

What a model says of an action whatever it is shown cancels. No label is used. Source: Zhao et al. 2021, "Calibrate
Before Use"; there the mean is over empty inputs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Final

from optimizers.skill.ways import Ask, Calibration, Decider, Known
from optimizers.skill.ways.weighed import by_scores, named_with
from signatures.errors import NoSupport


class Centred:
    """`centred`, with demos or without."""

    fits: Final = True

    def __init__(self, *, demos: bool) -> None:
        self.id = named_with(demos, "centred")
        self.ask: Ask | None = Ask("weighed", demos)

    def fit(self, known: Known) -> Decider:
        """Raises NoSupport where no calibration question was answered."""
        found = self.calibration(known)
        return by_scores(found.bias, found.scale)

    def calibration(self, known: Known) -> Calibration:
        """The mean log-probability of each action. Raises NoSupport."""
        values: defaultdict[str, list[float]] = defaultdict(list)
        for _, reply in known:
            for name, value in ({} if reply is None else reply.logprobs).items():
                values[name].append(value)
        if not values:
            raise NoSupport("no calibration question was answered")
        return Calibration(bias={name: math.fsum(some) / len(some) for name, some in values.items()})
