"""The control arms of a benchmark at equal compute, with intervals, and what an attempt costs here.

    python bench/arms.py [--split search] [--tasks 200] [a.b=json ...]

Overrides are those of `gepa_run`, such as `options.compliance=1.0`. Prints a table, and last one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.cli import exits, new_app
from experiments.config import merge
from experiments.search_config import SearchConfig

app = new_app()


async def measure(config: SearchConfig, split: Literal["search", "dev"], tasks: int, folder: Path) -> dict[str, Any]:
    """Play every arm on the first `tasks` tasks of the split, in an empty corpus."""
    from experiments.search.report import compare, row_of, table_of
    from experiments.search.stages import arms_of, evaluator_of, score_arm
    from experiments.wiring import ready, wired
    from signatures.digest import seed_of

    with wired(ready(config), folder / "run") as parts:
        chosen = parts.benchmark.tasks(split)[:tasks]
        evaluator = evaluator_of(parts, split=split, namespace="arms")
        objectives, scores, walls = parts.benchmark.objectives, {}, {}
        for arm in arms_of(config, parts.actions):
            started = time.perf_counter()
            scores[arm.name] = await score_arm(evaluator, arm, chosen, seed=seed_of("bench", config.seed))
            walls[arm.name] = time.perf_counter() - started
        rows = [row_of(name, "arm", found, objectives) for name, found in scores.items()]
        placebo = f"placebo@{config.attempts}"
        gaps = {
            name: compare(found, scores[placebo], placebo, objectives[0].name).difference
            for name, found in scores.items()
            if placebo in scores and name != placebo
        }
    console = Console(width=180)
    console.print(table_of(rows, objectives, split))
    for name, gap in gaps.items():
        console.print(f"{name} - {placebo}: {gap.mean:+.3f} [{gap.lo:+.3f}, {gap.hi:+.3f}]", highlight=False)
    ms = 1000 * sum(walls.values()) / sum(row.attempts for row in rows)
    console.print(f"{ms:.2f} ms per attempt: worker, checkers, judge, corpus and ledger", highlight=False)
    correct = {row.name: row.values[objectives[0].name].model_dump(mode="json") for row in rows}
    minus = {name: gap.model_dump(mode="json") for name, gap in gaps.items()}
    return {"bench": "arms", "split": split, "n": len(chosen), "correct": correct, "minus_placebo": minus, "ms": ms}


@app.command()
def arms(
    overrides: Annotated[list[str] | None, typer.Argument(help="Config overrides.")] = None,
    split: Annotated[str, typer.Option(help="search or dev.")] = "search",
    tasks: Annotated[int, typer.Option(help="How many tasks.")] = 200,
) -> None:
    """Play the control arms and compare them."""
    with exits(), tempfile.TemporaryDirectory() as folder:
        config = merge(SearchConfig, None, [*(overrides or []), f"root={folder}"])
        chosen: Literal["search", "dev"] = "dev" if split == "dev" else "search"
        print(json.dumps(asyncio.run(measure(config, chosen, tasks, Path(folder)))))


if __name__ == "__main__":
    app()
