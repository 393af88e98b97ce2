"""Engines at equal compute: hypervolume and best value on dev by spend, under replay and live, and who beats whom.

    python bench/engines.py [--work runs/engines] [--seeds 10] [--workers 2] [--figure docs/engines.svg]

plays every engine of `optimizers/search/`, `gepa.optimize` and `dspy.GEPA` as they come, with each seed, on the same
limit of compute (attempts that their evaluations stand for, made or replayed): on telecom, replayed from trees that are
recorded once into the working folder, and on the planted world of `tests/worlds/planted.py`, attempted live. What each
would return at an eighth, a quarter, a half and all of its compute is valued on dev tasks, which no engine reads. A
cell that is there is not played again, so that a contest that was cut short goes on. `mipro_search` needs a model and
sits out. Prints a table per world and metric (mean over seeds with its 95 % interval), one of wins (paired by seed,
exact permutation test, Benjamini-Hochberg over all pairs, q <= .05), writes the figure, and last one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.contest.cells import MARKS, Cell, file_of, play
from bench.contest.figure import draw
from bench.contest.stock import STOCK
from bench.contest.table import METRICS, curves, duels, mark_table, win_table
from bench.contest.worlds import WORLDS, World, arena, prepare
from experiments.cli import exits, new_app
from signatures.errors import UsageError

SITS_OUT: Final = frozenset(("mipro_search",))
"""Engines that need a language model."""
app = new_app()


def contestants(wanted: str | None) -> list[str]:
    """The engines, ours and as they come. Raises UsageError for a name that is none."""
    from optimizers.engines import ENGINES

    known = [*(engine for engine in ENGINES if engine not in SITS_OUT), *STOCK]
    if wanted is None:
        return known
    if unknown := [name for name in wanted.split(",") if name not in known and ":" not in name]:
        raise UsageError(f"unknown engines {', '.join(unknown)}; known: {', '.join(known)}")
    return wanted.split(",")


def worlds_of(names: str, compute: int | None) -> list[World]:
    """The worlds of these names. Raises UsageError for a name that is none."""
    if unknown := [name for name in names.split(",") if name not in WORLDS]:
        raise UsageError(f"unknown worlds {', '.join(unknown)}; known: {', '.join(WORLDS)}")
    chosen = [WORLDS[name] for name in names.split(",")]
    return [world if compute is None else world._replace(compute=compute) for world in chosen]


async def played(world: World, work: Path, engines: Sequence[str], seeds: int, share: tuple[int, int]) -> list[Cell]:
    """The cells of one worker, `share` being its number and how many there are: engines in turn, seed by seed."""
    part, parts = share
    cells: list[Cell] = []
    with arena(world, work, part) as opened:
        todo = [(seed, engine) for seed in range(seeds) for engine in engines]
        for number, (seed, engine) in enumerate(todo):
            if number % parts != part:
                continue
            fresh = not file_of(opened, work, engine, seed).exists()
            began = time.monotonic()
            cells.append(await play(opened, work, engine, seed))
            if fresh:
                said = f"{world.name}: {engine} seed {seed} in {time.monotonic() - began:.0f} s"
                print(f"{said}{_refused(cells[-1])}", file=sys.stderr, flush=True)
    return cells


def _refused(cell: Cell) -> str:
    return f", refused: {cell['refused']}" if "refused" in cell else ""


def spread(arguments: Sequence[str], workers: int) -> None:
    """Play all cells in `workers` processes. Raises UsageError where one of them fails."""
    command = [sys.executable, str(Path(__file__).resolve()), *arguments]
    children = [subprocess.Popen([*command, "--part", f"{part}/{workers}"]) for part in range(workers)]
    codes = [child.wait() for child in children]
    if any(codes):
        raise UsageError(f"a worker ended with exit code {max(codes)}; what it said is above")


def report(world: World, cells: Sequence[Cell]) -> dict[str, object]:
    """Print the tables of one world; the same as JSON-able data."""
    marks = [round(share * world.compute) for share in MARKS]
    told: dict[str, object] = {"compute": world.compute, "marks": marks}
    for metric in METRICS:
        found = curves(cells, metric)
        for line in (f"\n{world.name} ({world.benchmark}): {metric} on dev by compute\n", *mark_table(found, marks)):
            print(line)
        print()
        for line in win_table(found):
            print(line)
        told[metric] = {engine: list(seeds.values()) for engine, seeds in found.items()}
        told[f"{metric}_duels"] = [duel._asdict() for duel in duels(found)]
    return told


@app.command()
def engines(
    work: Annotated[Path, typer.Option(help="Folder for recorded trees and played cells.")] = Path("runs/engines"),
    seeds: Annotated[int, typer.Option(help="Seeds of each engine.")] = 10,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    compute: Annotated[int | None, typer.Option(help="Compute of each search; each world has its own.")] = None,
    worlds: Annotated[str, typer.Option(help="Worlds, with commas between them.")] = ",".join(WORLDS),
    only: Annotated[str | None, typer.Option(help="Engines, with commas between them; all without it.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Where to draw the figure.")] = None,
    part: Annotated[str | None, typer.Option(help="Play one worker's cells, as 0/2, and report nothing.")] = None,
) -> None:
    """Compare engines at equal compute."""
    with exits():
        chosen, names = worlds_of(worlds, compute), contestants(only)
        if part is not None:
            share = (int(part.split("/")[0]), int(part.split("/")[1]))
            for world in chosen:
                asyncio.run(played(world, work, names, seeds, share))
            return
        for world in chosen:
            prepare(world, work)
        asked = ["--work", str(work), "--seeds", str(seeds), "--worlds", worlds, "--only", ",".join(names)]
        spread([*asked, *([] if compute is None else ["--compute", str(compute)])], workers)
        told: dict[str, object] = {}
        drawn = {}
        for world in chosen:
            cells = asyncio.run(played(world, work, names, seeds, (0, 1)))
            told[world.name] = report(world, cells)
            marks = [round(share * world.compute) for share in MARKS]
            drawn[f"{world.name}: {world.benchmark}"] = (marks, {metric: curves(cells, metric) for metric in METRICS})
        if figure is not None:
            draw(figure, drawn)
        print(json.dumps(told))


if __name__ == "__main__":
    app()
