"""The slope of a paired difference over the runs of a stream: whether what is learned from run to run shows.

Axes: E runs in the order in which they ran, T tasks of one run, B orders or resamples.

One run is one point: its mean difference, task by task, between a controller that learns and one that is frozen. If
learning does nothing, the runs could have come in any order; so the slope that was seen is compared with the slopes
under other orders (all of them up to eight runs, else drawn ones). Tasks and repeats of a run are never counted as
independent evidence: they share that run's controller. The interval holds the slopes that this test does not refuse.
Source: Edgington & Onghena 2007, Randomization Tests, chapter 8; its inversion as in Garthwaite 1996.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from pydantic import Field

from optimizers.episode_log import Floats
from optimizers.gate.families import q_values
from signatures.errors import UsageError
from signatures.records import Finite, NonNegative, Probability, Record

ALL_ORDERS: Final = 8
"""Runs up to which every order is compared: 40,320."""
DRAWN_ORDERS: Final = 19_999
RESAMPLES: Final = 4_000
_ROUNDING: Final = 1e-9

Verdict: TypeAlias = Literal["slope", "no slope", "falls", "underpowered", "confounded", "instrument"]
"""instrument: the null learner shows a slope too. falls: run by run the learner does worse."""


class Slope(Record):
    """The difference (arm - control) on one objective over the runs of a stream."""

    arm: str
    control: str
    objective: str
    means: tuple[Finite | None, ...]
    "mean difference over tasks, by run; None: no task of that run has both sides"
    tasks: int = Field(ge=0)
    "of all runs together"
    missing: int = Field(default=0, ge=0)
    slope: Finite | None
    "per run; None: fewer than two runs have a value"
    lo: Finite | None
    hi: Finite | None
    "two-sided interval of the slope at 1 - 2 alpha, of those that the test does not refuse; None: no end"
    shown_lo: Finite | None
    shown_hi: Finite | None
    "bootstrap over tasks within their runs, with the runs' controllers taken as they are: shown, decides nothing"
    p: Probability
    "one-sided: share of orders with a slope at least as large"
    p_fall: Probability
    "the same for a slope at least as small"
    q: Probability | None = None
    "after Benjamini-Hochberg over the objectives"
    min_p: Probability
    "the least p that so many runs could have given"
    mde: NonNegative | None
    "slope that this scatter of runs shows with 80 % power, by a normal approximation"
    ends: int = Field(ge=1)
    "runs at each end that the lift compares"
    lift: Finite | None
    "mean difference of the last runs less that of the first"
    lift_lo: Finite | None
    lift_hi: Finite | None
    "bootstrap, as above"


class SlopeVerdict(Record):
    """One verdict on a stream of runs, with its reasons."""

    verdict: Verdict
    reasons: tuple[str, ...] = Field(min_length=1)
    "in words, the one that decided first"


@dataclass(frozen=True, eq=False)
class Course:
    """The differences of one objective, task by task, of each run of a stream; what a run lacks is counted."""

    arm: str
    control: str
    objective: str
    differences_E: tuple[Floats, ...]
    "for each run its `T` differences; runs may have other numbers of tasks, also none"
    missing: int = 0


@dataclass(frozen=True, eq=False)
class Orders:
    """Orders of the runs, ready to give slopes: `weights_B_E @ means_E` are the slopes under each order."""

    place_E: Floats
    weights_B_E: Floats
    "row 0 is the order in which they ran"
    turned_B: Floats
    "slope of the places themselves under each order: 1 for row 0, less for all others"


def orders_of(places: Sequence[int], *, seed: int = 0, draws: int = DRAWN_ORDERS) -> Orders:
    """All orders of at most eight runs, else `draws` random ones beside the true one. `places`: run numbers.

    Raises UsageError on fewer than two runs, or a run that comes twice.
    """
    if len(places) < 2 or len(set(places)) < len(places):
        raise UsageError(f"a slope needs at least two runs, each once; these are {list(places)}")
    place_E = np.asarray(places, dtype=np.float64)
    centred_E = place_E - place_E.mean()
    weight_E = centred_E / float(centred_E @ centred_E)
    if len(places) <= ALL_ORDERS:
        order_B_E = np.array(list(itertools.permutations(range(len(places)))))
    else:
        rng = np.random.default_rng(seed)
        drawn_B_E = rng.permuted(np.tile(np.arange(len(places)), (draws, 1)), axis=1)
        order_B_E = np.vstack([np.arange(len(places)), drawn_B_E])
    weights_B_E: Floats = weight_E[order_B_E]
    return Orders(place_E, weights_B_E, weights_B_E @ place_E)


def permutation_p(means_E: Floats, orders: Orders) -> tuple[float, float]:
    """(p of a rise, p of a fall): share of orders whose slope is at least as large, or as small; ties count."""
    slope_B = orders.weights_B_E @ means_E
    slack = _ROUNDING * float(np.abs(orders.weights_B_E[0]) @ np.abs(means_E) + 1e-300)
    return float(np.mean(slope_B >= slope_B[0] - slack)), float(np.mean(slope_B <= slope_B[0] + slack))


def slope_interval(means_E: Floats, orders: Orders, alpha: float) -> tuple[float | None, float | None]:
    """The slopes that neither one-sided test at `alpha` refuses; None: that end is not bounded by so many orders.

    A slope b is tested on `means - b * place`. With S the slope under an order and X that of the places, an order
    counts against b from (S(0) - S) / (1 - X) on, so an end is an order statistic of these.
    """
    slope_B = orders.weights_B_E @ means_E
    other_B = orders.turned_B < 1 - _ROUNDING
    bounds_B = np.sort((slope_B[0] - slope_B[other_B]) / (1 - orders.turned_B[other_B]))
    always = int(np.sum(~other_B))
    rank = math.floor(alpha * len(slope_B) + _ROUNDING) - always
    if rank < 0:
        return None, None
    return float(bounds_B[rank]), float(bounds_B[len(bounds_B) - 1 - rank])


def slope_of(
    course: Course,
    *,
    alpha: float = 0.025,
    seed: int = 0,
    orders: Orders | None = None,
    resamples: int = RESAMPLES,
) -> Slope:
    """The slope of one course, with its test, interval and endpoint lift. `orders`: those of its runs, if at hand.

    Raises UsageError on an alpha that is none, and on a difference that is not finite.
    """
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha {alpha}: one-sided, it must lie between 0 and 0.5")
    for number, differences_T in enumerate(course.differences_E, 1):
        if not np.isfinite(differences_T).all():
            raise UsageError(f"run {number}: a difference of {course.objective} is not finite")
    held = [place for place, differences_T in enumerate(course.differences_E, 1) if len(differences_T)]
    ends = max(1, len(held) // 3)
    found: dict[str, object] = dict.fromkeys(
        ("slope", "lo", "hi", "shown_lo", "shown_hi", "mde", "lift", "lift_lo", "lift_hi")
    )
    found |= {"p": 1.0, "p_fall": 1.0, "min_p": 1.0}
    if len(held) >= 2:
        orders = orders or orders_of(held, seed=seed)
        differences_E = [course.differences_E[place - 1] for place in held]
        resampled_B_E = resampled_means(differences_E, seed=seed, resamples=resamples)
        found |= _measured(np.array([one.mean() for one in differences_E]), resampled_B_E, orders, ends, alpha=alpha)
    means = tuple(float(one.mean()) if len(one) else None for one in course.differences_E)
    who = {"arm": course.arm, "control": course.control, "objective": course.objective, "missing": course.missing}
    tasks = sum(len(one) for one in course.differences_E)
    return Slope.model_validate({**who, **found, "means": means, "tasks": tasks, "ends": ends})


def _measured(means_E: Floats, resampled_B_E: Floats, orders: Orders, ends: int, *, alpha: float) -> dict[str, object]:
    rise, fall = permutation_p(means_E, orders)
    lo, hi = slope_interval(means_E, orders, alpha)
    weight_E = orders.weights_B_E[0]
    lift_E = lift_weights(len(means_E), ends)
    shown = np.quantile(resampled_B_E @ weight_E, [alpha, 1 - alpha])
    shown_lift = np.quantile(resampled_B_E @ lift_E, [alpha, 1 - alpha])
    return {
        "slope": float(weight_E @ means_E),
        "lo": lo,
        "hi": hi,
        "shown_lo": float(shown[0]),
        "shown_hi": float(shown[1]),
        "p": rise,
        "p_fall": fall,
        "min_p": 1.0 / len(orders.weights_B_E),
        "mde": detectable(means_E, orders, alpha),
        "lift": float(lift_E @ means_E),
        "lift_lo": float(shown_lift[0]),
        "lift_hi": float(shown_lift[1]),
    }


def lift_weights(runs: int, ends: int) -> Floats:
    """`E` weights whose sum with the means is the mean of the last `ends` runs less that of the first."""
    weights_E = np.zeros(runs)
    weights_E[-ends:] += 1 / ends
    weights_E[:ends] -= 1 / ends
    return weights_E


def resampled_means(differences_E: Sequence[Floats], *, seed: int = 0, resamples: int = RESAMPLES) -> Floats:
    """`B x E` means of each run's tasks drawn again with replacement, a task with all its repeats as one."""
    rng = np.random.default_rng(seed)
    means_B_E = np.empty((resamples, len(differences_E)))
    for run, differences_T in enumerate(differences_E):
        tasks = len(differences_T)
        counts_B_T = rng.multinomial(tasks, np.full(tasks, 1 / tasks), size=resamples)
        means_B_E[:, run] = counts_B_T @ differences_T / tasks
    return means_B_E


def detectable(means_E: Floats, orders: Orders, alpha: float) -> float | None:
    """The slope that would be found with 80 % power at this scatter about the line; None: fewer than three runs.

    Normal approximation with t quantiles, for planning; where no order can reach `alpha` there is none.
    """
    runs = len(means_E)
    if runs < 3 or 1.0 / len(orders.weights_B_E) > alpha:
        return None
    from scipy.special import stdtrit

    centred_E = orders.place_E - orders.place_E.mean()
    slope = float(orders.weights_B_E[0] @ means_E)
    rest_E = means_E - means_E.mean() - slope * centred_E
    error = math.sqrt(float(rest_E @ rest_E) / (runs - 2) / float(centred_E @ centred_E))
    return error * float(stdtrit(runs - 2, 1 - alpha) + stdtrit(runs - 2, 0.8))


def with_q(slopes: Sequence[Slope]) -> tuple[Slope, ...]:
    """The slopes of one arm, each with its q over the objectives."""
    q: Mapping[str, float] = q_values({one.objective: one.p for one in slopes})
    return tuple(one.model_copy(update={"q": q[one.objective]}) for one in slopes)


def verdict_of(
    learned: Sequence[Slope], null: Sequence[Slope], *, alpha: float = 0.025, confounded: Sequence[str] = ()
) -> SlopeVerdict:
    """What a stream shows, decided on the first objective of `learned`; the others are told in the reasons.

    The first rule that applies: too few runs for any p at `alpha`, a null learner that shows a slope, a learner that
    spent more than its control, a fall, a rise (q over the objectives at most `alpha`), and else no slope.
    """
    primary, control = learned[0], null[0]
    least = f"{_runs(primary)} runs allow no p below {primary.min_p:.2g}"
    if primary.slope is None or primary.min_p > alpha:
        return SlopeVerdict(verdict="underpowered", reasons=(least, said(primary)))
    if min(_level(control), control.p_fall) <= alpha:
        why = f"the null learner, which learns nothing, shows a slope: {said(control)}"
        return SlopeVerdict(verdict="instrument", reasons=(why, said(primary)))
    if confounded:
        return SlopeVerdict(verdict="confounded", reasons=(*confounded, said(primary)))
    rest = tuple(words for one in learned[1:] if (words := _aside(one, alpha)))
    quiet = f"the null learner shows none: {said(control)}"
    if primary.p_fall <= alpha:
        return SlopeVerdict(verdict="falls", reasons=(said(primary), *rest, quiet))
    if _level(primary) <= alpha:
        return SlopeVerdict(verdict="slope", reasons=(said(primary), *rest, quiet))
    reasons = (said(primary), _would_show(primary), *rest, quiet)
    return SlopeVerdict(verdict="no slope", reasons=tuple(reason for reason in reasons if reason))


def said(one: Slope) -> str:
    """A slope in words, in points (hundredths) per run."""
    if one.slope is None:
        return f"{one.arm} - {one.control} on {one.objective}: fewer than two runs have a value"
    ends = " to ".join("no end" if end is None else f"{100 * end:+.2f}" for end in (one.lo, one.hi))
    q = "" if one.q is None else f", q = {one.q:.2g}"
    lift = "" if one.lift is None else f"; last {one.ends} less first {one.ends} runs {100 * one.lift:+.1f} points"
    if one.lift_lo is not None and one.lift_hi is not None:
        lift += f" [{100 * one.lift_lo:+.1f}, {100 * one.lift_hi:+.1f}]"
    return (
        f"{one.arm} - {one.control} on {one.objective}: {100 * one.slope:+.2f} points per run [{ends}]"
        f", p = {one.p:.2g}{q}, {_runs(one)} runs of {one.tasks} tasks{lift}"
    )


def _runs(one: Slope) -> int:
    return sum(mean is not None for mean in one.means)


def _level(one: Slope) -> float:
    return one.p if one.q is None else one.q


def _aside(one: Slope, alpha: float) -> str:
    """What is to be told of an objective that did not decide; empty: nothing."""
    if _level(one) <= alpha:
        return f"also rises: {said(one)}"
    return f"at the cost of {one.objective}: {said(one)}" if one.p_fall <= alpha else ""


def _would_show(one: Slope) -> str:
    if one.mde is None:
        return ""
    return f"at this scatter of runs 80 % power needs {100 * one.mde:.2f} points per run"
