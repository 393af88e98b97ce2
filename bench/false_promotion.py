"""How often four rules promote a candidate that is no better, and what being right costs in power.

    python bench/false_promotion.py [--trials 2000] [--seed 0]

Six worlds in which candidate and baseline have one mean, and alternatives in which the candidate is better; scores
lie between 0 and 1, so differences between -1 and 1. Columns of the first table:

    bootstrap        lower end of the 95 % percentile bootstrap interval above 0 (1,000 resamples)
    sign, bootstrap  exact one-sided sign test below 20 pairs, that bootstrap from 20 on
    ours             n registered: exact McNemar on pass/fail, else the betting test with horizon n; p at most .025,
                     and so is the least p that so many discordant tasks could have given
    ours, every n    not registered: the betting test without a horizon, looked at after each task, promoted at the
                     first n that lets it

In `clustered repeats` a task has 4 repeats which share most of their difference; the first two rules take repeats
for pairs, as a table without a task column makes one do, ours take their mean by task. The second table is power,
beside the paired one-sided t-test; on pass/fail ours is exact McNemar, and `betting` what the betting test would do.
`bar`: the nominal 2.5 % and three standard errors of the simulation.

It ends with the same as one line of JSON. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import numpy.typing as npt

from optimizers.episode_log import Floats
from optimizers.gate.exact import least_p, sign_p
from optimizers.gate.sequential import e_process, e_value

ALPHA: Final = 0.025
SIZES: Final = (6, 8, 12, 20, 48)
POWER_SIZES: Final = (20, 48, 100, 250)
EFFECTS: Final = (0.05, 0.10, 0.16)
RESAMPLES: Final = 1_000
REPEATS: Final = 4

World: TypeAlias = "Callable[[np.random.Generator, int, int], Floats]"
"""Generator, trials, tasks -> differences, `trials x tasks x repeats`."""
Found: TypeAlias = "npt.NDArray[np.bool_]"


def normal(effect: float, sd: float) -> World:
    return lambda rng, trials, n: np.clip(rng.normal(effect, sd, (trials, n, 1)), -1, 1)


def pass_fail(effect: float, discordant: float) -> World:
    def draw(rng: np.random.Generator, trials: int, n: int) -> Floats:
        uniform = rng.random((trials, n, 1))
        return np.where(uniform < (discordant + effect) / 2, 1.0, np.where(uniform < discordant, -1.0, 0.0))

    return draw


def five_levels(rng: np.random.Generator, trials: int, n: int) -> Floats:
    sides = rng.choice([0, 0.25, 0.5, 0.75, 1], p=[0.3, 0.1, 0.2, 0.1, 0.3], size=(2, trials, n, 1))
    return np.asarray(sides[1] - sides[0])


def skewed(jitter: float) -> World:
    def draw(rng: np.random.Generator, trials: int, n: int) -> Floats:
        gains = rng.normal(0.0204, jitter, (trials, n, 1))
        return np.where(rng.random((trials, n, 1)) < 0.02, -1.0, gains)

    return draw


def clustered(rng: np.random.Generator, trials: int, n: int) -> Floats:
    shared = rng.normal(0, 0.25, (trials, n, 1))
    return np.clip(shared + rng.normal(0, 0.1, (trials, n, REPEATS)), -1, 1)


NULLS: Final[dict[str, World]] = {
    "normal": normal(0, 0.25),
    "pass/fail, 60 % discordant": pass_fail(0, 0.6),
    "five levels": five_levels,
    "skewed": skewed(0),
    "skewed, jittered": skewed(0.002),
    "clustered repeats": clustered,
}
ALTERNATIVES: Final[dict[str, tuple[Callable[[float, float], World], float]]] = {
    "normal, sd .25": (normal, 0.25),
    "normal, sd .40": (normal, 0.40),
    "pass/fail, 30 % discordant": (pass_fail, 0.30),
}


def bootstrap_above(rng: np.random.Generator, pairs_R_T: Floats) -> Found:
    """The same resamples for all trials."""
    n = pairs_R_T.shape[1]
    weights_B_T = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n
    lower_R = np.quantile(pairs_R_T @ weights_B_T.T, 0.025, axis=1)
    return np.asarray(lower_R > 1e-12)


def counts(pairs_R_T: Floats) -> list[tuple[int, int]]:
    wins_R, losses_R = (pairs_R_T > 0).sum(axis=1), (pairs_R_T < 0).sum(axis=1)
    return list(zip(wins_R.tolist(), losses_R.tolist(), strict=True))


def exact(pairs_R_T: Floats) -> Found:
    return np.array([sign_p(wins, losses) <= ALPHA for wins, losses in counts(pairs_R_T)])


def reachable(pairs_R_T: Floats) -> Found:
    return np.array([least_p(wins + losses) <= ALPHA for wins, losses in counts(pairs_R_T)])


def betting(pairs_R_T: Floats) -> Found:
    e_R = e_value(pairs_R_T, 1.0, horizon=pairs_R_T.shape[1], alpha=ALPHA)
    return np.asarray(e_R >= 1 / ALPHA) & reachable(pairs_R_T)


def every_n(pairs_R_T: Floats) -> Found:
    """A wealth of 1 / alpha needs discordant tasks enough to be reachable, so this looks at the wealth alone."""
    return np.asarray(e_process(pairs_R_T, 1.0).max(axis=1) >= 1 / ALPHA)


def t_test(pairs_R_T: Floats) -> Found:
    from scipy.stats import ttest_1samp

    return np.asarray(ttest_1samp(pairs_R_T, 0, axis=1, alternative="greater").pvalue <= ALPHA)


def false_promotions(rng: np.random.Generator, trials: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, world in NULLS.items():
        for n in SIZES:
            drawn = world(rng, trials, n)
            flat, tasks = drawn.reshape(trials, -1), drawn.mean(axis=2)
            above = bootstrap_above(rng, flat)
            ours = exact(tasks) if name.startswith("pass/fail") else betting(tasks)
            rules = {
                "bootstrap": above,
                "sign, bootstrap": exact(flat) if flat.shape[1] < 20 else above,
                "ours": ours,
                "ours, every n": every_n(tasks),
            }
            rows.append({"null": name, "n": n, **{rule: float(found.mean()) for rule, found in rules.items()}})
            progress(f"{name}, n = {n}")
    return rows


def powers(rng: np.random.Generator, trials: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, (make, spread) in ALTERNATIVES.items():
        for n in POWER_SIZES:
            for effect in EFFECTS:
                tasks = make(effect, spread)(rng, trials, n)[:, :, 0]
                mcnemar = exact(tasks) if name.startswith("pass/fail") else None
                rules = {
                    "t-test": t_test(tasks),
                    "ours": betting(tasks) if mcnemar is None else mcnemar,
                    "betting": betting(tasks),
                    "ours, every n": every_n(tasks),
                }
                found = {rule: float(reached.mean()) for rule, reached in rules.items()}
                rows.append({"alternative": name, "n": n, "effect": effect, **found})
            progress(f"power, {name}, n = {n}")
    return rows


def progress(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def table(rows: list[dict[str, object]]) -> None:
    names = list(rows[0])
    print("  ".join(f"{name:<28}" if place == 0 else f"{name:>15}" for place, name in enumerate(names)))
    for row in rows:
        cells = [f"{100 * value:14.1f}%" if isinstance(value, float) else f"{value:>15}" for value in row.values()]
        print("  ".join([f"{row[names[0]]:<28}", *cells[1:]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    began = time.perf_counter()
    rng = np.random.default_rng(asked.seed)
    bar = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / asked.trials)
    nulls, alternatives = false_promotions(rng, asked.trials), powers(rng, asked.trials)
    print(f"False promotion, {asked.trials} trials; bar {100 * bar:.1f}%")
    table(nulls)
    print("\nPower; `ours` is exact McNemar on pass/fail")
    table(alternatives)
    worst = {rule: max(float(str(row[rule])) for row in nulls) for rule in list(nulls[0])[2:]}
    print(f"\nworst: {', '.join(f'{rule} {100 * share:.1f}%' for rule, share in worst.items())}")
    print(f"{time.perf_counter() - began:.0f} s")
    found = {"trials": asked.trials, "bar": bar, "worst": worst, "false_promotion": nulls, "power": alternatives}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
