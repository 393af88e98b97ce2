"""What the arms spent: whether they can be compared at all, who was cheaper, and who lost more to infrastructure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
from pydantic import Field

from controllers.budget import add_amounts
from optimizers.episode_log import Floats
from optimizers.gate.sequential import confidence_interval, e_and_p
from optimizers.intervals import paired_interval
from signatures.errors import UnequalCompute, UsageError
from signatures.records import Amounts, Finite, NonNegative, Probability, Record

SpendByTask = Mapping[str, Sequence[Amounts]]
"""Task digest -> what each of its repeats spent."""

COMPUTE: Final = ("turns", "tokens", "usd")
"""What counts as compute. Attempts do not: one attempt of `long@1` is as long as all of `random@k`."""
TOLERANCE: Final = 0.05
_ROUNDING: Final = 1e-9
_RESAMPLES: Final = 10_000
_BLOCK: Final = 1_000


class Spend(Record):
    """What one arm spent on all its episodes, checkers, critics and steering included. None: not measured."""

    arm: str
    episodes: int = Field(ge=1)
    attempts: int | None = Field(default=None, ge=0)
    turns: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    usd: NonNegative | None = None


class Saving(Record):
    """What the treatment spent less than its control, per episode: a mean over tasks, negative where it spent more."""

    resource: str
    mean: Finite
    lo: Finite | None
    hi: Finite | None
    "None: a single task"
    p: Probability
    "one-sided"
    alpha: Probability
    "this resource's share of the level"
    method: Literal["betting", "flips"]
    n: int = Field(ge=1)
    "tasks where both arms measured it"

    @property
    def shown(self) -> bool:
        """Whether the treatment is cheaper in this: interval above 0 and p at most its share of alpha."""
        return self.lo is not None and self.lo > 0 and self.p <= self.alpha


def spend_of(arm: str, by_task: SpendByTask) -> Spend:
    """The sum over an arm's episodes. Raises UsageError where it has none."""
    episodes = [spent for task in sorted(by_task) for spent in by_task[task]]
    if not episodes:
        raise UsageError(f"arm {arm}: has no episode")
    total = Amounts()
    for spent in episodes:
        total = add_amounts(total, spent)
    return Spend(
        arm=arm,
        episodes=len(episodes),
        attempts=total.attempts,
        turns=total.turns,
        tokens=total.tokens,
        usd=total.usd,
    )


def require_equal_grants(grants: Mapping[str, Amounts]) -> None:
    """Raises UnequalCompute where two arms were granted other turns, tokens, usd or seconds (arm -> grant)."""
    for name in (*COMPUTE, "wall_s"):
        given = {arm: getattr(grant, name) for arm, grant in grants.items()}
        if len(set(given.values())) > 1:
            told = ", ".join(f"{arm} {'no limit' if value is None else value}" for arm, value in given.items())
            raise UnequalCompute(f"the arms were not granted the same {name}: {told}")


def confounded(treatment: Spend, control: Spend, *, tolerance: float = TOLERANCE) -> tuple[str, ...]:
    """Why the treatment's result could be bought: a reason for each of turns, tokens and usd that it spent more of.

    More is over `tolerance` more per episode than its control; less is fine. What the control did not measure counts
    as none spent, so that the calls of a model cannot hide beside a control without one.
    """
    reasons = []
    for name in COMPUTE:
        spent, allowed = getattr(treatment, name), getattr(control, name)
        if not spent:
            continue
        each, base = spent / treatment.episodes, (allowed or 0) / control.episodes
        if each > base * (1 + tolerance) * (1 + _ROUNDING):
            more = f"{each / base - 1:+.1%}" if base else "none there"
            reasons.append(
                f"{treatment.arm} spent {each:.6g} {name} per episode, {control.arm} {base:.6g} ({more}):"
                f" over {tolerance:.0%} more"
            )
    return tuple(reasons)


def savings(
    treatment: SpendByTask,
    control: SpendByTask,
    *,
    granted: Amounts | None = None,
    alpha: float = 0.025,
    seed: int = 0,
) -> tuple[Saving, ...]:
    """Control - treatment by task, for each of turns, tokens and usd that both arms measured on some task.

    alpha is shared among these. betting: where an episode was granted so much and no more (`granted`), the saving is
    bounded and `optimizers/gate/sequential.py` holds whatever its distribution. flips: elsewhere p is Fisher's test
    by flipped signs (10,000 patterns, or all), exact for arms that differ by their label alone, beside a 95 %
    bootstrap interval. That can be fooled by rare dear tasks: grant a limit where it matters. Spending more than was
    granted widens the bound.
    """
    pairs = {name: pair for name in COMPUTE if (pair := _paired(treatment, control, name))}
    found = []
    for name, pair in pairs.items():
        grant = getattr(granted, name) if granted is not None else None
        level = alpha / len(pairs)
        found.append(_by_flips(name, pair, level, seed) if grant is None else _by_betting(name, pair, level, grant))
    return tuple(found)


def cheaper(found: Sequence[Saving]) -> tuple[str, ...]:
    """The savings that are shown, in words; none: the treatment is not shown to be cheaper."""
    return tuple(
        f"saves {one.mean:.4g} {one.resource} per episode [{one.lo:.4g}, {one.hi:.4g}], p = {one.p:.2g}, n = {one.n}"
        for one in found
        if one.shown
    )


def unequal_exclusions(excluded_a: int, n_a: int, excluded_b: int, n_b: int, *, alpha: float = 0.05) -> str | None:
    """Why the arms cannot be compared, where infrastructure took more episodes from one than chance does; else None.

    `n` counts all episodes begun, the excluded ones too. Fisher's exact test, two-sided. Raises UsageError on counts
    that cannot be.
    """
    for excluded, n in ((excluded_a, n_a), (excluded_b, n_b)):
        if not 0 <= excluded <= n:
            raise UsageError(f"{excluded} of {n} episodes cannot have been excluded")
    from scipy.stats import fisher_exact

    p = float(fisher_exact([[excluded_a, n_a - excluded_a], [excluded_b, n_b - excluded_b]]).pvalue)
    if p > alpha:
        return None
    return (
        f"infrastructure failures took {excluded_a} of {n_a} episodes from one arm and {excluded_b} of {n_b} from"
        f" the other: more than chance (p = {p:.2g})"
    )


def _paired(treatment: SpendByTask, control: SpendByTask, resource: str) -> dict[str, tuple[float, float]]:
    """Task -> what control and treatment spent, for tasks where both measured it, in the order of the digests."""
    theirs, ours = _means(control, resource), _means(treatment, resource)
    return {task: (theirs[task], ours[task]) for task in sorted(theirs.keys() & ours.keys())}


def _means(by_task: SpendByTask, resource: str) -> dict[str, float]:
    """Task -> mean over the repeats that measured it; tasks where none did are left out."""
    found: dict[str, float] = {}
    for task, repeats in by_task.items():
        measured = [float(value) for spent in repeats if (value := getattr(spent, resource)) is not None]
        if measured:
            found[task] = sum(measured) / len(measured)
    return found


def _by_betting(name: str, pair: Mapping[str, tuple[float, float]], level: float, grant: float) -> Saving:
    spent_T_A = np.array(list(pair.values()))
    saved_T = spent_T_A[:, 0] - spent_T_A[:, 1]
    n, mean = len(saved_T), float(saved_T.mean())
    bound = max(float(grant), float(spent_T_A.max()))
    if not bound:  # nothing granted and nothing spent
        return Saving(resource=name, mean=mean, lo=0.0, hi=0.0, p=1.0, alpha=level, method="betting", n=n)
    _, p = e_and_p(saved_T, bound, horizon=n, alpha=level)
    lo, hi = confidence_interval(saved_T, bound, level, horizon=n)
    return Saving(resource=name, mean=mean, lo=lo, hi=hi, p=p, alpha=level, method="betting", n=n)


def _by_flips(name: str, pair: Mapping[str, tuple[float, float]], level: float, seed: int) -> Saving:
    theirs, ours = ({task: [spent[side]] for task, spent in pair.items()} for side in (0, 1))
    shown = paired_interval(theirs, ours, seed=seed)
    saved_T = np.array([spent[0] - spent[1] for spent in pair.values()])
    return Saving(
        resource=name,
        mean=float(saved_T.mean()),
        lo=shown.lo,
        hi=shown.hi,
        p=_flipped_p(saved_T, seed),
        alpha=level,
        method="flips",
        n=len(saved_T),
    )


def _flipped_p(saved_T: Floats, seed: int) -> float:
    """The share of sign patterns whose sum is at least the one seen; drawn ones count the one seen as well."""
    tasks = len(saved_T)
    enough = float(saved_T.sum()) - _ROUNDING * float(np.abs(saved_T).sum())
    if 2**tasks <= _RESAMPLES:
        bits_B_T = np.arange(2**tasks)[:, None] >> np.arange(tasks) & 1
        return float(np.mean((2 * bits_B_T - 1) @ saved_T >= enough))
    rng = np.random.default_rng(seed)
    blocks = (2 * rng.integers(0, 2, (_BLOCK, tasks), dtype=np.int8) - 1 for _ in range(_RESAMPLES // _BLOCK))
    as_large = sum(int(np.sum(signs_B_T @ saved_T >= enough)) for signs_B_T in blocks)
    return (1 + as_large) / (1 + _RESAMPLES)
