"""How often drift is claimed where there is none, and how soon a planted one is found.

    python bench/drift_alarms.py [WORLDS]

Each world has ten features that depend on each other, a reference of some tasks, and production episodes; an alarm
stays, so the last look has the alarms of every earlier one. `plain` is a population stability index above .1 of any
feature at any of the looks after 32, 64, ... episodes. Success is pass/fail at a rate of .6 at a gate of some tasks.
`rows`: 40 kinds of task, alike within a kind, as many of one kind after another; nothing drifts but the order, and
`every` counts one episode in so many. `explored`: half of the episodes are taken elsewhere by exploration, and succeed
at .3 there.
Ends with one JSON line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from optimizers.drift.binned import binned_of, codes_of, counts_of
from optimizers.drift.fallen import Success, success_drift
from optimizers.drift.psi import psi
from optimizers.drift.records import Limits
from optimizers.drift.shifted import State, feature_drifts
from optimizers.episode_log import Floats
from signatures.release import Binned, Level

EPISODES = 512
LOOKS = (32, 64, 96, 128, 160, 192, 256, 320, 384, 448, 512)
RATE = 0.6


def sample(rng: np.random.Generator, n: int, shift: float = 0.0) -> Floats:
    """Ten features of n tasks; the first, seen in half of them, is shifted."""
    common = rng.normal(size=n)
    flags = [rng.random(n) < p for p in (0.5 + shift, 0.3, 0.1, 0.03, 0.9)]
    counts = [rng.poisson(mean, size=n) for mean in (0.3, 1.0, 3.0)]
    return np.column_stack([*flags, *counts, common, 0.5 * common + rng.normal(size=n)]).astype(np.float64)


def states(rows: Floats, each: int = 1) -> list[State]:
    """Every row as `each` episodes of one task."""
    return [
        State(f"t{n}", {f"f{i}": float(v) for i, v in enumerate(row)})
        for n, row in enumerate(rows)
        for _ in range(each)
    ]


def reference(rows: Floats) -> dict[str, Binned]:
    """The bins of each feature."""
    return {f"f{i}": binned_of(rows[:, i].tolist()) for i in range(rows.shape[1])}


def shifted(given: dict[str, Binned], arrived: Sequence[State]) -> bool:
    """Whether any feature alarms."""
    return any(one.alarm for one in feature_drifts(given, arrived))


def plainly_shifted(given: dict[str, Binned], arrived: Sequence[State]) -> bool:
    """Whether a plain index passes .1 at any look."""
    for name, one in given.items():
        codes = codes_of(one.edges, [state.features[name] for state in arrived])
        counts = (np.bincount(codes[:end], minlength=len(one.edges) + 2) for end in LOOKS)
        if any(float(psi(counts_of(one), found)) > 0.1 for found in counts):
            return True
    return False


def coins(rng: np.random.Generator, n: int, rate: float, name: str = "t") -> list[Success]:
    """Passes and fails."""
    return [Success(f"{name}{k}", {"correct": float(flip)}) for k, flip in enumerate(rng.random(n) < rate)]


def fallen(gate: Level, episodes: Sequence[Success]) -> bool:
    """Whether success alarms."""
    found = success_drift({"correct": gate}, episodes)
    return found is not None and found.alarm


def first_look(alarms: Callable[[int], bool]) -> float:
    """Episodes at the first look that alarms; infinite for none."""
    return next((float(end) for end in LOOKS if alarms(end)), float("inf"))


def feature_rates(worlds: int) -> list[dict[str, float]]:
    """False alarms of features."""
    rows = []
    for tasks, each in ((20, 1), (100, 1), (500, 1), (100, 8)):
        found, plain = [], []
        for seed in range(worlds):
            rng = np.random.default_rng(seed)
            given, arrived = reference(sample(rng, tasks)), states(sample(rng, EPISODES // each), each)
            found.append(shifted(given, arrived))
            plain.append(plainly_shifted(given, arrived))
        rows.append({"tasks": tasks, "each": each, "alarms": float(np.mean(found)), "plain": float(np.mean(plain))})
    return rows


def of_kinds(rng: np.random.Generator, kinds: Floats, n: int, row: int) -> Floats:
    """Tasks of kinds, `row` of a kind after another; a quarter of the features are a task's own."""
    drawn = np.repeat(rng.integers(len(kinds), size=-(-n // row)), row)[:n]
    return np.where(rng.random((n, kinds.shape[1])) < 0.25, sample(rng, n), kinds[drawn])


def row_rates(worlds: int) -> list[dict[str, float]]:
    """False alarms of features where tasks of one kind come in rows."""
    rows = []
    for row, every in ((1, 1), (2, 1), (4, 1), (8, 1), (8, 4), (8, 8)):
        found = []
        for seed in range(worlds):
            rng = np.random.default_rng(seed)
            kinds = sample(rng, 40)
            given, arrived = reference(of_kinds(rng, kinds, 100, 1)), states(of_kinds(rng, kinds, EPISODES, row))
            drifts = feature_drifts(given, arrived, Limits(every=every))
            found.append(any(one.alarm for one in drifts))
        rows.append({"in rows of": row, "every": every, "alarms": float(np.mean(found))})
    return rows


def explored(rng: np.random.Generator, n: int, fall: float) -> list[Success]:
    """Half of the episodes are taken elsewhere, where they succeed half as often; the others weigh 2."""
    off, point = rng.random(n) < 0.5, rng.random(n)
    flips = point < np.where(off, RATE / 2, RATE - fall)
    return [
        Success(f"t{k}", {"correct": float(flip)}, 0.0 if gone else 2.0)
        for k, (flip, gone) in enumerate(zip(flips, off, strict=True))
    ]


def explored_rates(worlds: int) -> list[dict[str, float | str]]:
    """Alarms with exploration: without a fall, taken as it is or weighted; and of a fall, weighted."""
    rows: list[dict[str, float | str]] = []
    for fall, weighted in ((0.0, False), (0.0, True), (0.3, True)):
        found = []
        for seed in range(worlds):
            rng = np.random.default_rng(seed)
            gate = {"correct": Level(mean=float((rng.random(180) < RATE).mean()), n=180)}
            episodes = explored(rng, EPISODES, fall)
            plain = [one._replace(weight=1.0) for one in episodes]
            drift = success_drift(gate, episodes if weighted else plain, most=2.5)
            found.append(drift is not None and drift.alarm)
        told = "weighted" if weighted else "as it is"
        rows.append({"taken": told, "fall": fall, "alarms": float(np.mean(found))})
    return rows


def success_rates(worlds: int) -> list[dict[str, float]]:
    """False alarms of success: the gate's mean is drawn as production's is."""
    rows = []
    for tasks in (36, 180, 600):
        found = []
        for seed in range(worlds):
            rng = np.random.default_rng(seed)
            gate = Level(mean=float((rng.random(tasks) < RATE).mean()), n=tasks)
            found.append(fallen(gate, coins(rng, EPISODES, RATE)))
        rows.append({"tasks": tasks, "alarms": float(np.mean(found))})
    return rows


def power(worlds: int) -> list[dict[str, float | str]]:
    """Episodes after the change until the first look that alarms: the median and the ninth decile."""
    rows: list[dict[str, float | str]] = []
    for tasks, shift, late in ((100, 0.3, 0), (500, 0.2, 0), (500, 0.3, 0), (500, 0.3, 256), (100, 0.4, 0)):
        waits = []
        for seed in range(worlds):
            rng = np.random.default_rng(seed)
            given = reference(sample(rng, tasks))
            arrived = states(np.vstack([sample(rng, late), sample(rng, EPISODES, shift)]))
            waits.append(first_look(lambda end, a=arrived, g=given, s=late: shifted(g, a[: s + end])))  # type: ignore[misc]
        rows.append(_waited("feature", tasks, shift, late, waits))
    for tasks, fall, late in ((36, 0.3, 0), (180, 0.2, 0), (180, 0.3, 0), (180, 0.3, 256), (600, 0.2, 0)):
        waits = []
        for seed in range(worlds):
            rng = np.random.default_rng(seed)
            gate = Level(mean=float((rng.random(tasks) < RATE).mean()), n=tasks)
            episodes = [*coins(rng, late, RATE, "g"), *coins(rng, EPISODES, RATE - fall)]
            waits.append(first_look(lambda end, e=episodes, g=gate, s=late: fallen(g, e[: s + end])))  # type: ignore[misc]
        rows.append(_waited("success", tasks, fall, late, waits))
    return rows


def _waited(kind: str, tasks: int, change: float, late: int, waits: list[float]) -> dict[str, float | str]:
    median, ninth = (float(np.quantile(waits, q, method="higher")) for q in (0.5, 0.9))
    found = float(np.mean(np.isfinite(waits)))
    shown = {"median": median, "ninth": ninth}
    far = {name: value if np.isfinite(value) else -1.0 for name, value in shown.items()}
    return {"kind": kind, "tasks": tasks, "change": change, "late": late, **far, "found": found}


def main() -> None:
    """Print the tables and the JSON line."""
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    began = time.perf_counter()
    tables: dict[str, Sequence[Mapping[str, float | str]]] = {
        "features": feature_rates(worlds),
        "success": success_rates(worlds),
        "rows": row_rates(worlds),
        "explored": explored_rates(worlds),
        "power": power(max(1, worlds // 5)),
    }
    for name, rows in tables.items():
        print(f"\n{name}")
        for row in rows:
            print(
                "  "
                + "  ".join(f"{key} {value if isinstance(value, str) else f'{value:g}'}" for key, value in row.items())
            )
    seconds = round(time.perf_counter() - began, 1)
    print(json.dumps({"worlds": worlds, "episodes": EPISODES, "seconds": seconds, **tables}))


if __name__ == "__main__":
    main()
