"""How often a stream of runs shows a slope: where nothing is learned, and where a slope was planted.

    python bench/gate_b_null.py [WORLDS]

A simulated world, numpy alone: each run plays a slice of fresh tasks with a learner and a frozen controller. Values are
on [0, 1], on five objectives. The verdict is the gate's own, Benjamini-Hochberg over the objectives included. Nulls:
an A/A pair of labels (normal noise; pass/fail; rare large losses; a first run without noise, as where the learner
begins with the frozen controller and its seeds; a new controller each run, no better than the last). Persistent: a
controller that stays until it is redrawn, no better on average; a test over the order of runs cannot tell it from
learning. Planted: a rise by so many points each run, and a rise that levels off after so many runs. `rate`: share of
worlds whose verdict is `slope`; the nulls must stay at or below 2.5 % plus simulation error. One row a world, then one
JSON line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

from optimizers.episode_log import Floats
from optimizers.gate.slope import Course, Orders, Verdict, orders_of, slope_of, verdict_of, with_q

OBJECTIVES = ("correct", "fast", "secure", "cheap", "clean")
ALPHA = 0.025
TASKS = 24
World = Callable[[np.random.Generator, int], Floats]
"""(random numbers, runs) -> E x T differences of one objective."""


def normal(rng: np.random.Generator, runs: int) -> Floats:
    """Spread of a difference of two partial credits."""
    return np.clip(rng.normal(0, 0.3, (runs, TASKS)), -1, 1)


def pass_fail(rng: np.random.Generator, runs: int) -> Floats:
    """Two runs of one controller that passes 60 % of tasks."""
    return (rng.random((runs, TASKS)) < 0.6) * 1.0 - (rng.random((runs, TASKS)) < 0.6)


def skewed(rng: np.random.Generator, runs: int) -> Floats:
    """2 % of tasks lose 1, the rest gain .0204."""
    return np.where(rng.random((runs, TASKS)) < 0.02, -1.0, 0.0204) + rng.normal(0, 0.002, (runs, TASKS))


def still_first(rng: np.random.Generator, runs: int) -> Floats:
    """The first run has no difference at all."""
    found = normal(rng, runs)
    found[0] = 0.0
    return found


def redrawn(rng: np.random.Generator, runs: int) -> Floats:
    """Each run has another controller, better or worse by chance, which all of its tasks share."""
    return np.clip(normal(rng, runs) + rng.normal(0, 0.15, (runs, 1)), -1, 1)


def kept(rng: np.random.Generator, runs: int) -> Floats:
    """A controller that is kept from run to run and redrawn now and then, each as likely to be worse as better."""
    redrawn_E = rng.random(runs) < 0.2
    redrawn_E[0] = True
    level_E = rng.normal(0, 0.15, runs)[np.cumsum(redrawn_E) - 1]
    return np.clip(normal(rng, runs) + level_E[:, None], -1, 1)


def rising(points: float) -> World:
    """A rise by so many points each run."""
    return lambda rng, runs: np.clip(normal(rng, runs) + points / 100 * np.arange(runs)[:, None], -1, 1)


def levelling(points: float, after: int) -> World:
    """A rise by so many points in all, reached after so many runs, and none from then on."""

    def world(rng: np.random.Generator, runs: int) -> Floats:
        share_E = np.minimum(np.arange(runs) / after, 1.0)
        return np.clip(normal(rng, runs) + points / 100 * share_E[:, None], -1, 1)

    return world


NULLS: dict[str, World] = {
    "A/A, normal": normal,
    "A/A, pass/fail": pass_fail,
    "A/A, 2 % lose 1": skewed,
    "first run equal": still_first,
    "redrawn each run": redrawn,
}
PLANTED: dict[str, World] = {
    "+1 point a run": rising(1),
    "+2 points a run": rising(2),
    "+3 points a run": rising(3),
    "+20 points in 4 runs": levelling(20, 4),
    "+20 points at once": levelling(20, 1),
}
PERSISTENT: dict[str, World] = {"kept, redrawn at .2": kept}
"""Learners whose luck stays: later runs do stand higher or lower than earlier ones, and not because of learning."""
RUNS = (6, 8, 12, 20)


def played(rng: np.random.Generator, world: World, orders: Orders) -> Verdict:
    """The verdict on one simulated stream; its null learner is an A/A pair as well."""
    runs = len(orders.place_E)

    def slopes(arm: str, differ: World) -> list[Course]:
        return [Course(arm, "frozen", name, tuple(differ(rng, runs))) for name in OBJECTIVES]

    found = []
    for arm, differ in (("learned", world), ("null", normal)):
        courses = slopes(arm, differ)
        found.append(with_q([slope_of(one, alpha=ALPHA, orders=orders, resamples=2) for one in courses]))
    return verdict_of(found[0], found[1], alpha=ALPHA).verdict


def main() -> None:
    """Play all worlds at all lengths."""
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    began = time.perf_counter()
    rows = []
    print(f"{'world':<22}" + "".join(f"{f'{runs} runs':>10}" for runs in RUNS) + f"   share of {worlds} with a slope")
    for kind, table in (("null", NULLS), ("persistent", PERSISTENT), ("planted", PLANTED)):
        for name, world in table.items():
            rates = {}
            for runs in RUNS:
                rng = np.random.default_rng([runs, *name.encode()])
                orders = orders_of(range(1, runs + 1), draws=1_999)
                found = [played(rng, world, orders) for _ in range(worlds)]
                rates[runs] = found.count("slope") / worlds
            print(f"{name:<22}" + "".join(f"{rates[runs]:>10.3f}" for runs in RUNS))
            rows.append({"world": name, "kind": kind, "rates": rates})
    limit = ALPHA + 3 * (ALPHA * (1 - ALPHA) / worlds) ** 0.5
    held = all(rate <= limit for row in rows if row["kind"] == "null" for rate in dict(row["rates"]).values())
    print(f"nulls at or below {limit:.4f} (2.5 % and three standard errors): {'yes' if held else 'NO'}")
    seconds = time.perf_counter() - began
    print(json.dumps({"worlds": worlds, "tasks": TASKS, "limit": limit, "held": held, "s": seconds, "rows": rows}))


if __name__ == "__main__":
    main()
