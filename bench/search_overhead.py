"""What one search iteration costs that is no worker's time: live by part, and CPU at many tasks and candidates.

    python bench/search_overhead.py [ITERATIONS] [VAL] [TRAIN] [TASKS] [CANDIDATES]

Live: searches for ITERATIONS (40) with a worker, checkers and judge that cost nothing, on VAL (60) and TRAIN (12)
tasks, a minibatch of 6, episodes of at most 3 attempts, real stores in a temporary folder: 32 episodes at once, as
commands do, and one after another, where the parts add up. In the same run `gepa.optimize` searches with its default
adapter and an instant function for a model, on the same sizes.

Inner loop: CPU (`time.process_time`) of an iteration while the pool grows to CANDIDATES (100), each of them evaluated
whole on TASKS (10,000) val tasks: `gepa.optimize` with an instant adapter, `pareto_search` with instant evaluations,
and the same with the evaluator, its records and the search journal on disk. Prints tables and, as its last line, JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from overhead.inner import Row, gepa_rows, our_rows
from overhead.live import ours, theirs


def main() -> None:
    """Measure and print."""
    given = [int(text) for text in sys.argv[1:6]]
    iterations, val, train, tasks, candidates = (*given, *(40, 60, 12, 10_000, 100)[len(given) :])
    totals: dict[str, float] = {}
    for at_once in (32, 1):
        with tempfile.TemporaryDirectory() as folder:
            mine = asyncio.run(ours(Path(folder), iterations, val, train, at_once=at_once))
        totals[str(at_once)] = round(mine.pop("total"), 3)
    reference = theirs(iterations, val, train)
    accepted = mine.pop("accepted")
    print(f"{'one iteration':<34}{'ms':>9}   ({iterations} iterations, {val} val, {train} train tasks)")
    for name, milliseconds in mine.items():
        print(f"{name:<34}{milliseconds:>9.2f}")
    print(f"{'total, one episode at a time':<34}{totals['1']:>9.2f}   ({accepted:.0f} accepted)")
    print(f"{'total, 32 episodes at once':<34}{totals['32']:>9.2f}")
    print(f"{'gepa with its default adapter':<34}{reference['total']:>9.2f}   ({reference['accepted']:.0f} accepted)")
    rows = {name: round(value, 3) for name, value in mine.items()}
    sizes = {"iterations": iterations, "val": val, "train": train}
    line = {"bench": "search_overhead", **sizes, "ms": rows, "total_ms": totals}
    inner = inner_loops(tasks, candidates)
    print(json.dumps({**line, "gepa_default_ms": round(reference["total"], 3), "inner": inner}))


def inner_loops(tasks: int, candidates: int) -> dict[str, object]:
    """Measure the three loops, print their table, and return its rows."""
    found: dict[str, list[Row]] = {"gepa.optimize, instant adapter": gepa_rows(tasks, candidates)}
    found["pareto_search, instant evaluations"] = our_rows(tasks, candidates)
    with tempfile.TemporaryDirectory() as folder:
        found["pareto_search, evaluator and journal"] = our_rows(tasks, candidates, Path(folder))
    print(f"\n{'CPU of one iteration':<40}{'mean ms':>9}{'median':>9}{'last 10':>9}{'of gepa':>9}   ({tasks} tasks)")
    whole: dict[str, object] = {"tasks": tasks, "candidates": candidates}
    reference = mean(found["gepa.optimize, instant adapter"])
    for name, rows in found.items():
        last, middle, all_of = mean(rows[-10:]), sorted(row.ms for row in rows)[len(rows) // 2], mean(rows)
        print(f"{name:<40}{all_of:>9.1f}{middle:>9.1f}{last:>9.1f}{all_of / reference:>9.2f}   (pool {rows[-1].pool})")
        whole[name] = {"mean_ms": round(all_of, 2), "median_ms": round(middle, 2), "last_10_ms": round(last, 2)}
    return whole


def mean(rows: list[Row]) -> float:
    """Mean milliseconds."""
    return sum(row.ms for row in rows) / len(rows)


if __name__ == "__main__":
    main()
