"""What a search reports where nothing can be found: the value of every candidate on every task is a fair coin.

    python bench/noise.py [REPETITIONS] [REPETITIONS OF GEPA'S OWN]

Each repetition searches with 40 proposals on V = 20, 50, 100 and 300 val tasks and reports the gain of its winner over
the start: as the search sees it, on the val tasks that it chose its winner on, and after the re-estimate of both on 240
fresh dev tasks. The truth is 0. Ours are `gepa_search` and `pareto_search` with their race, and `gepa_search` where the
last look asks for a lower bound above 0 as well (one-sided error .2); beside them `gepa.optimize` as it comes, default
adapter, minibatch of 3, an instant function for a model. It has no re-estimate: what it reports is the val column.
Prints means with standard errors and, as its last line, the same as JSON. 100 and 25 repetitions take 15 minutes.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from optimizers.engines import engine_of
from optimizers.evaluator import Request, Scored, evaluator_in
from optimizers.racing import Halving
from optimizers.records import TaskScore
from optimizers.search import Engine, Kit, SearchPlan
from optimizers.search.gepa_search import GepaSearch, Silent
from optimizers.testing_world import SPACE, STEERS, Editing, Problem, Told
from signatures.digest import seed_of
from signatures.records import Objective, Task

SIZES = (20, 50, 100, 300)
PROPOSALS = 40
TRAIN, DEV, MINIBATCH = 24, 240, 3
COIN = Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge")


class Gain(NamedTuple):
    """What one repetition reports of its winner: the difference to the start."""

    val: float
    dev: float | None
    kept: int
    "candidates that were evaluated on all val tasks and kept"


def coin(*what: object) -> float:
    """0 or 1, by a digest of what is asked."""
    return float(seed_of("coin", *what) % 2)


async def tossed(world: object, request: Request) -> list[Scored]:
    """A coin per candidate and task."""
    digest = request.candidate.digest
    blank = TaskScore(
        candidate=digest,
        condition=request.condition,
        task_digest="",
        seed=request.seed,
        split="search",
        values={},
        source="replay",
    )

    def one(task: Task) -> Scored:
        values = {"correct": coin(world, digest, task.digest)}
        return Scored(blank.model_copy(update={"task_digest": task.digest, "values": values}))

    return [one(task) for task in request.tasks]


def tasks_of(part: str, count: int) -> list[Task]:
    """Tasks that are nothing but a name."""
    return [Task(digest=f"{part}{n}", benchmark="coins", prompt="") for n in range(count)]


async def ours(make: Callable[[Kit], Engine], val: int, repetition: int) -> Gain:
    """One search of one of our engines, and the re-estimate of its winner."""
    start = Problem().plan().start
    plan = SearchPlan(start, tasks_of("train", TRAIN), tasks_of("val", val), repetition, 8, PROPOSALS // 8, MINIBATCH)
    setup, world = replace(Problem().setup, objectives=(COIN,)), f"{repetition} of {val}"
    with tempfile.TemporaryDirectory() as folder, evaluator_in(Path(folder), setup) as evaluator:
        tossing: Any = lambda request: tossed(world, request)  # noqa: E731
        evaluator.evaluate = tossing  # type: ignore[method-assign]  # the coins stand in for all that scores
        kit = Kit(space=SPACE, steer_legal=STEERS)
        archive = await make(kit).search(plan, evaluator, Editing(), Told())
        winner = archive.front()[0]
        first = sum(coin(world, start.digest, task.digest) for task in plan.val) / val
        dev = tasks_of("dev", DEV)
        fresh = [coin(world, winner.candidate, t.digest) - coin(world, start.digest, t.digest) for t in dev]
        return Gain(winner.vector[0] - first, sum(fresh) / DEV, len(archive) - 1)


def theirs(val: int, repetition: int) -> Gain:
    """One search of `gepa.optimize` as it comes; the gain is the one that its result reports."""
    import gepa
    from gepa.adapters.default_adapter.default_adapter import DefaultAdapter, EvaluationResult

    rng = random.Random(repetition)
    left = [PROPOSALS + 1]

    class Stop:
        def __call__(self, state: object) -> bool:
            left[0] -= 1
            return left[0] < 0

    def items(part: str, count: int) -> list[dict[str, object]]:
        return [{"input": f"{part} {n}", "additional_context": {}, "answer": ""} for n in range(count)]

    result = gepa.optimize(
        seed_candidate={"instructions": "start"},
        trainset=items("train", TRAIN),
        valset=items("val", val),
        adapter=DefaultAdapter(
            lambda messages: "", lambda data, response: EvaluationResult(float(rng.random() < 0.5), "")
        ),
        reflection_lm=lambda prompt: f"```\ntext {rng.random()}\n```",
        reflection_minibatch_size=MINIBATCH,
        stop_callbacks=Stop(),
        logger=Silent(),
        track_best_outputs=False,
        seed=repetition,
    )
    scores = result.val_aggregate_scores
    return Gain(scores[result.best_idx] - scores[0], None, len(scores) - 1)


ENGINES: dict[str, Callable[[Kit], Engine]] = {
    "gepa_search": lambda kit: engine_of("gepa_search", kit),
    "gepa_search, credible": lambda kit: GepaSearch(race=Halving(credible=0.2)),
    "pareto_search": lambda kit: engine_of("pareto_search", kit),
}


def told(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard error."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return statistics.fmean(values), error


def main() -> None:
    """Repeat and print."""
    given = [int(text) for text in sys.argv[1:3]]
    repetitions, of_gepa = (*given, *(100, 25)[len(given) :])
    began = time.perf_counter()
    rows: list[dict[str, Any]] = []
    print(f"{'engine':<24}{'V':>5}{'n':>5}{'gain on val':>20}{'gain on dev':>20}{'kept':>7}")
    for name in (*ENGINES, "gepa.optimize"):
        for val in SIZES:
            if name in ENGINES:
                gains = [asyncio.run(ours(ENGINES[name], val, number)) for number in range(repetitions)]
            else:
                gains = [theirs(val, number) for number in range(of_gepa)]
            seen, error = told([gain.val for gain in gains])
            row = {"engine": name, "V": val, "n": len(gains), "val": seen, "val_se": error}
            fresh = [gain.dev for gain in gains if gain.dev is not None]
            said = ""
            if fresh:
                row["dev"], row["dev_se"] = told(fresh)
                said = f"{row['dev']:+.4f} +- {row['dev_se']:.4f}"
            row["kept"] = statistics.fmean(gain.kept for gain in gains)
            rows.append(row)
            line = f"{name:<24}{val:>5}{len(gains):>5}{f'{seen:+.4f} +- {error:.4f}':>20}{said:>20}{row['kept']:>7.1f}"
            print(line, flush=True)
    held = all(abs(row["dev"]) <= 3 * row["dev_se"] for row in rows if "dev" in row)
    print(f"ours within three standard errors of 0 after the re-estimate: {'yes' if held else 'NO'}")
    seconds = round(time.perf_counter() - began, 1)
    print(json.dumps({"bench": "noise", "proposals": PROPOSALS, "dev": DEV, "held": held, "s": seconds, "rows": rows}))


if __name__ == "__main__":
    main()
