"""Serving under load: how long `decide` takes with 64 episodes at once, and what a kill of the server loses.

    python bench/serve_load.py [EPISODES_AT_ONCE] [EPISODES_PER_LANE]

The client runs the worker of the planted world, whose attempts take so many milliseconds; the server is `serve_run` in
a process of its own, with a rule-tier release, on the same cores. Each row plays the episodes with another pause, the
last of them with none: every lane asks again as soon as it is answered, so that what is measured is how fast both
processes can. `killed` kills the server with SIGKILL under load, starts it again and goes on; acknowledged attempts
that the corpus does not hold must be 0 in every row. The aim is p99 of `decide` under 50 ms.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from controllers.corpus import SqliteCorpus
from signatures.records import Attempt, Task
from tests.worlds.harness import Harness, ServerProcess, serving, until
from tests.worlds.planted import PlantedBenchmark
from tests.worlds.shipped import ship

AIM_MS = 50.0
THINK_MS = (500, 200, 100, 50, 0)
KILLED_MS = 500


def main() -> None:
    """Print a table and a JSON line."""
    given = [int(text) for text in sys.argv[1:]]
    lanes, rounds = [*given, *(64, 6)[len(given) :]][:2]
    rows: dict[str, dict[str, float]] = {}
    cases = [(f"{pause_ms} ms", pause_ms, False) for pause_ms in THINK_MS]
    with tempfile.TemporaryDirectory() as name:
        for row, pause_ms, kill in (*cases, ("killed", KILLED_MS, True)):
            folder = Path(name) / row
            folder.mkdir()
            ship(folder / "release")
            rows[row] = asyncio.run(measured(folder, lanes, rounds, pause_ms / 1e3, kill=kill))
    names = list(rows["killed"])
    print(f"{'':8}" + "".join(f"{name:>15}" for name in names))
    for row, numbers in rows.items():
        print(f"{row:8}" + "".join(f"{numbers[name]:15,.1f}" for name in names))
    print(json.dumps({"lanes": lanes, "rounds": rounds, "aim_p99_ms": AIM_MS, "rows": rows}))


async def measured(folder: Path, lanes: int, rounds: int, think_s: float, *, kill: bool) -> dict[str, float]:
    """Play the episodes and look at times and, afterwards, at the corpus."""
    world = PlantedBenchmark()
    tasks = world.tasks("search")
    with serving(folder) as server:
        harness = Harness(server.port, world.worker(None, None), think_s=think_s)
        await harness.lane(tasks[:1], "warm")
        harness.decide_s.clear()
        harness.report_s.clear()
        harness.acknowledged.clear()
        chosen = [[tasks[(lane * rounds + turn) % len(tasks)] for turn in range(rounds)] for lane in range(lanes)]
        began = time.perf_counter()
        playing: list[Awaitable[None]] = [
            _later(harness, some, lane, think_s * lane / lanes) for lane, some in enumerate(chosen)
        ]
        if kill:
            playing.append(_killing(server, harness, lanes * rounds))
        await asyncio.gather(*playing)
        took = time.perf_counter() - began
        server.stop()
    async with SqliteCorpus.open_readonly(folder / "runs" / "corpus-planted.db") as corpus:
        kept = {attempt.id async for attempt in corpus.scan(Attempt)}
    decide, report = sorted(harness.decide_s), sorted(harness.report_s)
    return {
        "requests/s": (len(decide) + len(report) + lanes * rounds) / took,
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
