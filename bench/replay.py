"""Speed of replay: million episodes x candidates a second, compiled and plain, beside a join and the memory's speed.

    python bench/replay.py [--episodes 100000] [--candidates 64] [--rounds 8] [--options 2000] [--repeats 9]

Episodes have 1 to `--rounds` rounds, equally often; the rows `all rounds` never end early. Every repeat runs each row
once, in turn, so that a busy moment of the machine hits all of them; the first, which compiles, is not counted.
`weights` is what IPS and SNIPS need of M objectives, `per decision` what per-decision SNIPS needs, `unsupported` the
mass of a candidate with gaps everywhere. `doubly robust` is one objective given its models, `weighted` its weighted
form. The join is polars' of the same work as `weights, M=1`, at 4 candidates so that it fits in memory. Bytes are
those that a kernel reads: its table rows, options and values; tables stay in the processor's cache, so their rate can
be more than that of memory. `per CPU s` is by the time of all cores, which other programs disturb less than the clock.
Prints a table, and last one JSON line.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path as File
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(File(__file__).resolve().parents[1]))

import numpy as np

from experiments.cli import exits, new_app
from optimizers.episode_log import Floats, Integers
from optimizers.replay.kernels import Path, Starts, kernels
from optimizers.replay.kernels_dr import Logged, Models
from optimizers.replay.kernels_dr import kernels as dr_kernels

TASK_EPISODES = 100
JOINED = 4
"""Candidates in the polars join."""
MEMORY_BYTES = 1 << 30
app = new_app()


class Case(NamedTuple):
    """Episodes drawn with known propensities, and candidates; axes as in CONTRIBUTING.md."""

    option_N_K: Integers
    table_L_C: Floats
    gap_L_C: Floats
    scale_N_K: Floats
    rewards_N_K_M: Floats
    start_T: Starts

    @property
    def rounds(self) -> int:
        """Of all episodes together."""
        return int((self.option_N_K >= 0).sum())


class Row(NamedTuple):
    """One thing to time."""

    name: str
    path: str
    candidates: int
    run: Callable[[], object]
    bytes: int | None = None


class Times(NamedTuple):
    """Of each repeat: by the clock, and on all cores together."""

    wall_s: list[float]
    cpu_s: list[float]


def drawn(N: int, K: int, *, L: int, C: int, early: bool) -> Case:
    """A case of five objectives with ratios around 1."""
    rng = np.random.default_rng(0)
    length_N = rng.integers(1, K + 1, N) if early else np.full(N, K)
    ended_N_K = np.arange(K) >= length_N[:, None]
    return Case(
        option_N_K=np.where(ended_N_K, -1, rng.integers(0, L, (N, K))).astype(np.int32),
        table_L_C=rng.uniform(0.5, 1.5, (L, C)),
        gap_L_C=rng.uniform(0, 0.05, (L, C)),
        scale_N_K=np.ones((N, K)),
        rewards_N_K_M=np.where(ended_N_K[:, :, None], 0.0, rng.uniform(0, 1 / K, (N, K, 5))),
        start_T=np.append(np.arange(0, N, TASK_EPISODES), N).astype(np.int64),
    )


def weighing(path: Path, case: Case, full: Case) -> Iterator[Row]:
    """The importance-weighted kernels of one path."""
    run, (N, C) = kernels(path), (len(case.option_N_K), case.table_L_C.shape[1])
    for of, note in ((case, ""), (full, ", all rounds")):
        for M in (1, 5):
            values_N_M = np.ascontiguousarray(of.rewards_N_K_M[:, :, :M].sum(axis=1))
            scale_N = np.ones(N)
            sums = partial(run.weight_sums, of.option_N_K, of.table_L_C, scale_N, values_N_M, of.start_T)
            read = 8 * C * of.rounds + of.option_N_K.nbytes + scale_N.nbytes + values_N_M.nbytes
            yield Row(f"weights, M={M}{note}", path, C, sums, read)
    logged = (case.option_N_K, case.table_L_C, case.scale_N_K)
    yield Row("per decision, M=5", path, C, partial(run.round_sums, *logged, case.rewards_N_K_M, case.start_T))
    yield Row("unsupported", path, C, partial(run.gap_sums, *logged, case.gap_L_C))


def doubly_robust(path: Path, case: Case) -> Iterator[Row]:
    """The sequential doubly robust kernels of one path, given a Q model."""
    (L, C), rng = case.table_L_C.shape, np.random.default_rng(1)
    state_L = (np.arange(L) // 4).astype(np.int32)
    models = Models(state_L, case.table_L_C, rng.random((L, C)), rng.random((int(state_L[-1]) + 1, C)))
    rewards_N_K = np.ascontiguousarray(case.rewards_N_K_M[:, :, 0])
    logged = Logged(case.option_N_K, 1 / case.scale_N_K, rewards_N_K, case.start_T)
    run = dr_kernels(path, work=0)
    yield Row("doubly robust", path, C, partial(run.dr_sums, logged, models))
    yield Row("doubly robust, weighted", path, C, partial(run.wdr_sums, logged, models))


def joining(case: Case) -> Row:
    """`weights, M=1` as a join of rounds with ratios, a product per episode and candidate, and sums per candidate."""
    import polars as pl

    episode, k = np.nonzero(case.option_N_K >= 0)
    rounds = pl.DataFrame({"episode": episode.astype(np.int32), "option": case.option_N_K[episode, k]})
    outcomes = pl.DataFrame(
        {
            "episode": np.arange(len(case.option_N_K), dtype=np.int32),
            "task": np.repeat(np.arange(len(case.start_T) - 1, dtype=np.int32), np.diff(case.start_T)),
            "value": case.rewards_N_K_M[:, :, 0].sum(axis=1),
        }
    )
    L, C = len(case.table_L_C), min(JOINED, case.table_L_C.shape[1])
    ratios = pl.DataFrame(
        {
            "option": np.repeat(np.arange(L, dtype=np.int32), C),
            "candidate": np.tile(np.arange(C, dtype=np.int16), L),
            "ratio": case.table_L_C[:, :C].ravel(),
        }
    )

    def run() -> object:
        weights = rounds.lazy().join(ratios.lazy(), on="option").group_by("episode", "candidate")
        joined = weights.agg(weight=pl.col("ratio").product()).join(outcomes.lazy(), on="episode")
        weight = pl.col("weight")
        sums = (weight.sum(), (weight * pl.col("value")).sum().alias("value"), (weight**2).sum().alias("square"))
        return joined.group_by("task", "candidate").agg(*sums, weight.max().alias("largest")).collect()

    return Row("weights, M=1, as a join", "polars", C, run)


def reading() -> Callable[[], object]:
    """A sum of 1 GiB, shared by as many threads as there are cores."""
    numbers, threads = np.ones(MEMORY_BYTES // 8), os.cpu_count() or 1

    def run() -> object:
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(np.sum, np.array_split(numbers, threads)))

    return run


def timed(rows: list[Row], repeats: int) -> list[Times]:
    """Times of each row; the rows take turns."""
    found = [Times([], []) for _ in rows]
    for repeat in range(repeats + 1):
        for row, times in zip(rows, found, strict=True):
            cpu, started = time.process_time(), time.perf_counter()
            row.run()
            if repeat:
                times.wall_s.append(time.perf_counter() - started)
                times.cpu_s.append(time.process_time() - cpu)
    return found


def report(rows: list[Row], found: list[Times], episodes: int) -> tuple[Table, list[dict[str, object]]]:
    """The table and the same as data; the last row is the memory's."""
    bandwidth = MEMORY_BYTES / statistics.median(found[-1].wall_s) / 1e9
    table = Table(title=f"million episodes x candidates a second; memory is read at {bandwidth:.1f} GB/s")
    for heading in ("what", "path", "C", "ms", "million/s", "best", "per CPU s", "GB/s", "of memory"):
        table.add_column(heading, justify="left" if heading in ("what", "path") else "right")
    results: list[dict[str, object]] = []
    for row, times in zip(rows[:-1], found[:-1], strict=True):
        median, work = statistics.median(times.wall_s), episodes * row.candidates / 1e6
        speeds = (work / median, work / min(times.wall_s), work / statistics.median(times.cpu_s))
        read = row.bytes and row.bytes / median / 1e9
        shown = (f"{read:.1f}", f"{read / bandwidth:.2f}") if read else ("", "")
        numbers = (f"{1000 * median:.1f}", *(f"{speed:.1f}" for speed in speeds))
        table.add_row(row.name, row.path, str(row.candidates), *numbers, *shown)
        named = dict(zip(("million_per_s", "best", "per_cpu_s"), speeds, strict=True))
        results.append({"what": row.name, "path": row.path, "candidates": row.candidates, **named, "gb_per_s": read})
    return table, results


@app.command()
def replay(
    episodes: Annotated[int, typer.Option(help="N.")] = 100_000,
    candidates: Annotated[int, typer.Option(help="C.")] = 64,
    rounds: Annotated[int, typer.Option(help="K, the most rounds of an episode.")] = 8,
    options: Annotated[int, typer.Option(help="L, the rows of the probability table.")] = 2_000,
    repeats: Annotated[int, typer.Option(help="How often each row is timed.")] = 9,
) -> None:
    """Time every kernel, the join and the memory, side by side."""
    with exits():
        case = drawn(episodes, rounds, L=options, C=candidates, early=True)
        full = drawn(episodes, rounds, L=options, C=candidates, early=False)
        paths: tuple[Path, ...] = ("numba", "numpy")
        weights = [row for path in paths for row in weighing(path, case, full)]
        robust = [row for path in paths for row in doubly_robust(path, case)]
        rows = [*weights, *robust, joining(case), Row("memory", "", 0, reading(), MEMORY_BYTES)]
        found = timed(rows, repeats)
        table, results = report(rows, found, episodes)
        Console(width=140).print(table)
        shape = {"episodes": episodes, "rounds": rounds, "options": options, "cores": os.cpu_count()}
        memory = MEMORY_BYTES / statistics.median(found[-1].wall_s) / 1e9
        print(json.dumps({"bench": "replay", **shape, "memory_gb_per_s": memory, "rows": results}))


if __name__ == "__main__":
    app()
