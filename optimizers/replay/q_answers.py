"""From points and standard errors to answers: what the estimators with a Q model share, refusals first.

They value the candidate *restricted* to the record: options that could never have been drawn are taken out, and the
state's other probabilities scaled to 1. Restricted and asked-for candidate part in at most a share u of episodes (the
unsupported mass), so their values lie at most u apart, and an interval is widened by u on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from optimizers.episode_log import Floats
from optimizers.replay import Asked, Evidence
from optimizers.replay.estimates import Bound, Estimate, Refusal, widened
from optimizers.replay.layered import Layered, layered, restricted
from optimizers.replay.support import BLOCK, given, refusals, support_of


class Points(NamedTuple):
    """Values of a block of candidates with their standard errors, NaN where there are too few tasks for one."""

    value_M_C: Floats
    error_M_C: Floats


Scorer = Callable[[Floats], Points]
"""A block of restricted candidates, `L x C`, to their values."""


def answers(id: str, evidence: Evidence, asked: Asked, scorer: Callable[[Layered], Scorer]) -> list[Estimate | Refusal]:
    """One answer per candidate. `scorer` is given the layered log once, and then candidates in blocks.

    Raises UsageError where the evidence holds no log or the candidates no probabilities.
    """
    log, target = given(evidence, asked)
    supports = support_of(log, target)
    reasons = refusals(supports, log, target)
    accepted = np.array([c for c, reason in enumerate(reasons) if reason is None], np.int64)
    values: dict[int, Mapping[str, Bound]] = {}
    if accepted.size:
        layers = layered(log)
        score = scorer(layers)
        for first in range(0, len(accepted), BLOCK):
            chosen = accepted[first : first + BLOCK]
            points = score(restricted(layers, target, chosen))
            for place, c in enumerate(chosen.tolist()):
                bounds = [
                    bounded(float(value), float(error), len(layers.tasks), supports[c].unsupported)
                    for value, error in zip(points.value_M_C[:, place], points.error_M_C[:, place], strict=True)
                ]
                values[c] = dict(zip(log.objectives, bounds, strict=True))
    found: list[Estimate | Refusal] = []
    for c, (name, support, reason) in enumerate(zip(target.names, supports, reasons, strict=True)):
        if reason is None:
            found.append(Estimate(candidate=name, estimator=id, values=values[c], support=support))
        else:
            found.append(Refusal(candidate=name, estimator=id, reason=reason, support=support))
    return found


def bounded(value: float, error: float, tasks: int, unsupported: float) -> Bound:
    """Value +- t quantile (tasks - 1 degrees of freedom) x error, widened by `unsupported` and clipped to [0, 1]."""
    kept = min(1.0, max(0.0, value))
    if tasks < 2 or not np.isfinite(error):
        return Bound(value=kept, lo=None, hi=None)
    from scipy.stats import t

    half = float(t.ppf(0.975, tasks - 1)) * error
    lo, hi = min(1.0, max(0.0, value - half)), min(1.0, max(0.0, value + half))
    # `widened` takes (1 - u) lo and (1 - u) hi + u; what is put in makes that lo - u and hi + u
    rest = 1.0 - unsupported
    return widened(kept, (lo - unsupported) / rest, hi / rest, unsupported)
