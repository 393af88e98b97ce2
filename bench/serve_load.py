"""Serving under load: how long `decide` takes with 64 episodes at once, and what a kill of the server loses.

    python bench/serve_load.py [EPISODES_AT_ONCE] [ROUNDS] [THINK_MS]

The client runs the worker of the planted world, whose attempts take THINK_MS; the server is `serve_run` in a process of
its own, with a rule-tier release. The first row plays ROUNDS episodes in each of the lanes with that pause, the second
without any pause, which asks as fast as both processes can. The third kills the server with SIGKILL under load, starts
it again and goes on; acknowledged attempts that the corpus does not hold must be 0.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from controllers.corpus import SqliteCorpus
from signatures.records import Attempt, Task
from tests.worlds.harness import Harness, ServerProcess, serving, until
from tests.worlds.planted import PlantedBenchmark
from tests.worlds.shipped import ship

AIM_MS = 50.0


def main() -> None:
    """Print a table and a JSON line."""
    given = [float(text) for text in sys.argv[1:]]
    lanes, rounds, think_ms = [*given, *(64, 6, 500)[len(given) :]][:3]
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for row, pause_ms, kill in (("paced", think_ms, False), ("no pause", 0.0, False), ("killed", think_ms, True)):
            folder = Path(name) / row
            folder.mkdir()
            ship(folder / "release")
            rows[row] = asyncio.run(measured(folder, int(lanes), int(rounds), pause_ms / 1e3, kill=kill))
    names = list(rows["paced"])
    print(f"{'':10}" + "".join(f"{name:>16}" for name in names))
    for row, numbers in rows.items():
        print(f"{row:10}" + "".join(f"{numbers[name]:16,.1f}" for name in names))
    print(json.dumps({"lanes": lanes, "rounds": rounds, "think_ms": think_ms, "aim_p99_ms": AIM_MS, "rows": rows}))


async def measured(folder: Path, lanes: int, rounds: int, think_s: float, *, kill: bool) -> dict[str, float]:
    """Play the episodes and look at times and, afterwards, at the corpus."""
    world = PlantedBenchmark()
    tasks = world.tasks("search")
    with serving(folder) as server:
        harness = Harness(server.port, world.worker(None, None), think_s=think_s)
        await harness.lane(tasks[:1], "warm")
        harness.decide_s.clear()
        harness.report_s.clear()
        chosen = [[tasks[(lane * rounds + turn) % len(tasks)] for turn in range(rounds)] for lane in range(lanes)]
        began = time.perf_counter()
        playing: list[Any] = [_later(harness, some, lane, think_s * lane / lanes) for lane, some in enumerate(chosen)]
        if kill:
            playing.append(_killing(server, harness, lanes * rounds))
        await asyncio.gather(*playing)
        took = time.perf_counter() - began
        server.stop()
    async with SqliteCorpus.open_readonly(folder / "runs" / "corpus-planted.db") as corpus:
        kept = {attempt.id async for attempt in corpus.scan(Attempt)}
    decide, report = sorted(harness.decide_s), sorted(harness.report_s)
    return {
        "decides": len(decide),
        "decide/s": len(decide) / took,
        "p50 ms": 1e3 * decide[len(decide) // 2],
        "p99 ms": 1e3 * decide[int(len(decide) * 0.99)],
        "report p50 ms": 1e3 * report[len(report) // 2],
        "report p99 ms": 1e3 * report[int(len(report) * 0.99)],
        "acknowledged": len(harness.acknowledged),
        "lost": len(set(harness.acknowledged) - kept),
    }


async def _later(harness: Harness, tasks: Sequence[Task], lane: int, wait_s: float) -> None:
    """A lane that begins later than the one before: harnesses do not start at one moment."""
    await asyncio.sleep(wait_s)
    await harness.lane(tasks, str(lane))


async def _killing(server: ServerProcess, harness: Harness, after: int) -> None:
    """Kill the server while it works, and start it again."""
    await until(lambda: len(harness.acknowledged) >= after, patience_s=300)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


if __name__ == "__main__":
    main()
