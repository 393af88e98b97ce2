"""Engines beside each other: means over seeds with intervals, and who wins against whom, corrected for many looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np

from bench.contest.cells import Cell

METRICS: Final = ("hypervolume", "best")
MOST_EXACT: Final = 16
"""Pairs up to which every sign is tried; beyond it a fixed sample of them is."""
SAMPLED: Final = 65_536
LEVEL: Final = 0.05

Curves = Mapping[str, Mapping[int, Sequence[float]]]
"""Engine -> seed -> the metric at each mark."""


class Duel(NamedTuple):
    """One engine against another at the last mark, paired by seed."""

    first: str
    second: str
    n: int
    difference: float
    "mean of first - second"
    wins: int
    losses: int
    p: float
    "two-sided, exact: every sign of every difference is as likely"
    q: float = 1.0
    "Benjamini-Hochberg over all duels of the table"


def curves(cells: Sequence[Cell], metric: str) -> Curves:
    """The metric of each engine and seed that was played to its end and has a value at every mark."""
    found: dict[str, dict[int, list[float]]] = {}
    for cell in cells:
        marks: Any = cell.get("marks", [])
        values = [mark[metric] for mark in marks]
        if values and None not in values:
            found.setdefault(str(cell["engine"]), {})[int(str(cell["seed"]))] = values
    return found


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval over seeds, Student's t. Two numbers or more, else no width is known: the mean alone."""
    from scipy.stats import t

    data = np.array(values)
    mean = float(data.mean())
    if len(data) < 2:
        return mean, mean, mean
    half = float(t.ppf(0.975, len(data) - 1) * data.std(ddof=1) / len(data) ** 0.5)
    return mean, mean - half, mean + half


def signs_p(differences: Sequence[float]) -> float:
    """Two-sided p of the mean difference under all changes of sign: exact up to 16 pairs.

    Source: Fisher 1935, "The Design of Experiments", section 21.
    """
    data = np.array(differences)
    n = len(data)
    if not n or not data.any():
        return 1.0
    if n <= MOST_EXACT:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = np.random.default_rng(0).choice((-1, 1), size=(SAMPLED, n))
        signs[0] = 1
    sums = np.abs(signs @ data)
    return float((sums >= abs(float(data.sum())) - 1e-12).mean())


def duels(found: Curves) -> list[Duel]:
    """Every engine against every other, in the order of their means."""
    from optimizers.gate.families import q_values

    last = {engine: {seed: values[-1] for seed, values in seeds.items()} for engine, seeds in found.items()}
    order = sorted(last, key=lambda engine: -float(np.mean(list(last[engine].values()))))
    made: list[Duel] = []
    for first, second in combinations(order, 2):
        shared = sorted(last[first].keys() & last[second].keys())
        gaps = [last[first][seed] - last[second][seed] for seed in shared]
        if gaps:
            won, lost = sum(gap > 0 for gap in gaps), sum(gap < 0 for gap in gaps)
            made.append(Duel(first, second, len(gaps), float(np.mean(gaps)), won, lost, signs_p(gaps)))
    q = q_values({(duel.first, duel.second): duel.p for duel in made})
    return [duel._replace(q=q[duel.first, duel.second]) for duel in made]


def win_table(found: Curves) -> list[str]:
    """Per engine, best mean first: how many others it beats and loses to at q <= .05. Markdown rows."""
    fought = duels(found)
    engines = list(dict.fromkeys(name for duel in fought for name in (duel.first, duel.second)))
    lines = ["| engine | beats | loses to |", "|---|---|---|"]
    for engine in engines:
        decided = [duel for duel in fought if duel.q <= LEVEL and engine in (duel.first, duel.second)]
        beaten = [_other(duel, engine) for duel in decided if _leads(duel, engine)]
        lost = [_other(duel, engine) for duel in decided if not _leads(duel, engine)]
        lines.append(f"| {engine} | {_names(beaten)} | {_names(lost)} |")
    return lines


def mark_table(found: Curves, marks: Sequence[int], digits: int = 3) -> list[str]:
    """Per engine, best mean at the last mark first: mean and 95 % interval over seeds at each spend. Markdown rows."""
    order = sorted(found, key=lambda engine: -float(np.mean([values[-1] for values in found[engine].values()])))
    lines = [f"| engine | seeds | {' | '.join(f'at {mark}' for mark in marks)} |", "|---" * (len(marks) + 2) + "|"]
    for engine in order:
        seeds = found[engine]
        cells = []
        for at in range(len(marks)):
            mean, lo, hi = interval([values[at] for values in seeds.values()])
            cells.append(f"{mean:.{digits}f} [{lo:.{digits}f}, {hi:.{digits}f}]")
        lines.append(f"| {engine} | {len(seeds)} | {' | '.join(cells)} |")
    return lines


def _leads(duel: Duel, engine: str) -> bool:
    return (duel.difference > 0) == (engine == duel.first)


def _other(duel: Duel, engine: str) -> str:
    return duel.second if engine == duel.first else duel.first


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "-"
