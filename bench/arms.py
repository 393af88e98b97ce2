"""The arms of a benchmark at equal compute over several budgets, as the tables of docs/benchmarks.md.

    python bench/arms.py [--attempts 2,3] [--turns 12] [--split search] [--tasks 200] [--markdown FILE] [a.b=json ...]

Overrides are those of `gate_a_run`, such as `benchmark=wordnet`, `options.noise=0.3`, `repeats=2` (seeds per task,
else 1) or `worker=chat worker_lm=MODEL`. For each budget: blind (one attempt), the five arms and oracle@k, the best
attempt by the judge, a ceiling that selects nothing; the steering effect refine - placebo, what carried state gives
(continue - random), both with intervals, and the first by family; and what a fresh attempt costs beside a refinement.
The tables are Markdown. With `--root DIR` a run that was killed goes on; without it nothing is kept. Prints last one
JSON line, which `bench/boundary.py` reads.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.cli import exits, new_app
from experiments.config import merge
from experiments.gate.arms.contrasts import (
    Group,
    Measured,
    Terms,
    Versus,
    clusters_of,
    contrasts_over,
    measure,
    split_of,
)
from experiments.gate.arms.steering import Arms, arms_at
from experiments.gate.arms.surface import Cell, by_family, difficulty_cells
from experiments.gate.arms.within import Looked, Within, look_into, within_of
from experiments.gate.arms.workbench import opened, probe, ready_for
from experiments.gate.report import Contrast, interval_text, level, points, table
from experiments.gate.workers import said_of
from experiments.gate_a_run import GateAConfig
from experiments.search.stages import evaluator_of
from experiments.wiring import Wired
from judges.ledger import VerdictLedger
from optimizers.evaluator import Request
from optimizers.intervals import Interval, mean_interval
from signatures.digest import seed_of
from signatures.errors import UsageError
from signatures.records import Attempt, Cost, Task

app = new_app()
STEERING: Final = "steering: refine - placebo"
STATE: Final = "state carried: continue - random"
FURTHER: Final = "further"


@dataclass(frozen=True)
class Budget:
    """What was measured at one budget."""

    arms: Arms
    measured: Mapping[str, Measured]
    within: Mapping[str, Within]
    "by arm"
    families: Mapping[str, Mapping[str, Interval]]
    "by family: the arms, and the ceiling of random@k"
    fresh: Mapping[str, float]
    again: Mapping[str, float]
    "mean turns, seconds and tokens of a fresh attempt of random@k, and of a refinement of refine@k"

    @property
    def said(self) -> str:
        """Such as `3 attempts of 12 turns`."""
        return f"{self.arms.random.attempts} attempts of {self.arms.random.turns_per_attempt} turns"


@dataclass(frozen=True)
class Bench:
    """What all budgets share."""

    parts: Wired
    tasks: Sequence[Task]
    seeds: Sequence[int]
    ceiling: VerdictLedger


def costs(attempts: Iterable[Attempt]) -> dict[str, float]:
    """Mean turns, wall seconds and tokens; what no attempt measured is left out."""
    spent = [attempt.cost for attempt in attempts if attempt.outcome != "infra_error"]
    amounts = {
        "turns": [float(one.turns) for one in spent if one.turns is not None],
        "wall_s": [one.wall_s for one in spent if one.wall_s is not None],
        "tokens": [float(tokens) for one in spent if (tokens := tokens_of(one)) is not None],
    }
    return {name: sum(values) / len(values) for name, values in amounts.items() if values}


def tokens_of(cost: Cost) -> int | None:
    """Tokens in and out; None: not measured."""
    both = [tokens for tokens in (cost.tokens_in, cost.tokens_out) if tokens is not None]
    return sum(both) if both else None


async def attempts_of(bench: Bench, measured: Measured) -> list[Attempt]:
    """Every attempt of an arm under the first seed, recalled."""
    evaluator = evaluator_of(bench.parts, split=split_of(bench.parts, bench.tasks), namespace="within")
    seed, arm = measured.scores[0][0].seed, measured.arm
    request = Request(arm.candidate, bench.tasks, seed, arm.name, grant=measured.grant, keep_rollouts=True)
    scored = await evaluator.evaluate(request)
    return [seen.attempt for one in scored if one.rollout for seen in one.rollout.history]


async def measure_budget(bench: Bench, arms: Arms) -> Budget:
    """All arms at one budget."""
    measured = {}
    for arm in arms.all:
        measured[arm.name] = await measure(
            bench.parts, arm, bench.tasks, seeds=bench.seeds, namespace="arms", step=lambda: None
        )
        print(f"  {arm.name} of {arm.attempts} x {arm.turns_per_attempt}", file=sys.stderr, flush=True)
    looked = {
        arm.name: await look_into(bench.parts, measured[arm.name], bench.tasks, bench.ceiling, retest=0)
        for arm in arms.inside
    }
    within = {name: within_of(name, tuple(each.values())) for name, each in looked.items()}
    families = families_of(bench, measured, arms.random.name, looked[arms.random.name])
    fresh = costs(await attempts_of(bench, measured[arms.random.name]))
    refined = await attempts_of(bench, measured[arms.refine.name])
    again = costs(attempt for attempt in refined if attempt.parent_id is not None)
    return Budget(arms, measured, within, families, fresh, again)


def families_of(
    bench: Bench, measured: Mapping[str, Measured], random: str, looked: Mapping[str, Looked]
) -> dict[str, dict[str, Interval]]:
    """The primary objective of every arm and the best of `random`, family by family; a task may be in several."""
    benchmark = bench.parts.benchmark
    values = {name: one.values(benchmark.objectives[0].name) for name, one in measured.items()}
    families = benchmark.families(split_of(bench.parts, bench.tasks))
    found: dict[str, dict[str, Interval]] = {}
    for family, tasks in by_family(families, [task.digest for task in bench.tasks]).items():
        best = within_of(random, [one for task, one in looked.items() if task in tasks])
        found[family] = {
            name: mean_interval({task: each for task, each in arm.items() if task in tasks})
            for name, arm in values.items()
        }
        found[family][f"oracle of {random}"] = Interval(
            mean=best.oracle,
            lo=best.oracle_lo,
            hi=best.oracle_hi,
            n=best.episodes,
            missing=len(tasks) - best.episodes,
        )
    return found


async def measure_all(
    config: GateAConfig, budgets: Sequence[tuple[int, int]], *, split: str, folder: Path
) -> dict[str, object]:
    """Every budget, printed, and as JSON-able data."""
    world = ready_for(config.model_copy(update={"tasks": 2, "root": str(folder)}))
    refine = config.refine or ("untried" if "untried" in world.actions else "rule")
    if len(world.actions) < 2:
        raise UsageError(f"{world.benchmark.id} has no table of actions, so no placebo")
    there = world.benchmark.tasks("dev" if split == "dev" else "search")
    tasks = there[: config.tasks]
    place = folder / "run"
    place.mkdir(parents=True, exist_ok=True)
    with opened(world, place / "world") as parts, VerdictLedger(place / "ceiling.verdicts.db") as ledger:
        await probe(parts)
        seeds = [seed_of("bench", config.seed, repeat) for repeat in range(config.repeats)]
        bench = Bench(parts, tasks, seeds, ledger)
        done = [await measure_budget(bench, arms_at(k, turns, refine)) for k, turns in budgets]
        return told(bench, done, config)


def told(bench: Bench, budgets: Sequence[Budget], config: GateAConfig) -> dict[str, object]:
    """The JSON-able result, the Markdown page in it."""
    benchmark = bench.parts.benchmark
    split = split_of(bench.parts, bench.tasks)
    families = benchmark.families(split)
    terms = Terms((benchmark.objectives[0].name,), config.alpha, clusters=clusters_of(families, bench.tasks))
    found = contrasts_over([Group(one.measured, planned(one.arms), terms) for one in budgets])
    fingerprint = bench.parts.setup.worker.fingerprint
    who = said_of(fingerprint, benchmark.id)
    unit = f"{len(set(terms.clusters.values()))} families, the unit" if terms.clusters else "the task is the unit"
    pages = [
        f"`{benchmark.id}`, {who}: {len(bench.tasks)} {split} tasks, seeds per task {len(bench.seeds)}, seed "
        f"{config.seed}; {unit}; means with 95 % intervals over tasks, effects with intervals at "
        f"{1 - 2 * config.alpha:.0%}"
    ]
    rows: list[dict[str, object]] = []
    for budget, contrasts in zip(budgets, found, strict=True):
        steered = difficulty_cells(three(budget), families, terms)
        cells = {cell.label: cell for cell in steered if cell.panel == "family"}
        pages += [f"**{budget.said}**", arm_table(bench, budget), contrast_table(contrasts), cost_line(budget)]
        pages.append(family_table(budget, cells))
        rows.append(
            {
                "attempts": budget.arms.random.attempts,
                "turns": budget.arms.random.turns_per_attempt,
                "arms": {name: arm_json(budget, name, terms.primary) for name in budget.measured},
                "steering": contrast_json(contrasts[0]),
                "state": contrast_json(contrasts[1]),
                "further": [contrast_json(one) for one in contrasts[2:]],
                "families": [family_json(budget, label, cell) for label, cell in cells.items()],
                "fresh": budget.fresh,
                "refinement": budget.again,
            }
        )
    return {
        "bench": "arms",
        "benchmark": benchmark.id,
        "worker": who,
        "split": split,
        "n": len(bench.tasks),
        "seeds": len(bench.seeds),
        "budgets": rows,
        "page": "\n\n".join(pages) + "\n",
    }


def planned(arms: Arms) -> tuple[Versus, ...]:
    """Steering, state, and the rest; each kind is a family over all budgets."""
    return (
        Versus(arms.refine.name, arms.placebo.name, STEERING),
        Versus(arms.go_on.name, arms.random.name, STATE),
        Versus(arms.refine.name, arms.random.name, FURTHER),
        Versus(arms.refine.name, arms.long.name, FURTHER),
        Versus(arms.random.name, arms.blind.name, FURTHER, matched=False),
    )


def three(budget: Budget) -> tuple[Measured, Measured, Measured]:
    """refine, placebo and blind."""
    arms = budget.arms
    return budget.measured[arms.refine.name], budget.measured[arms.placebo.name], budget.measured[arms.blind.name]


def arm_table(bench: Bench, budget: Budget) -> str:
    """A row per arm, and one per ceiling."""
    names = [objective.name for objective in bench.parts.benchmark.objectives]
    header = ["arm", "n", names[0], *names[1:], "attempts", "turns", "tokens", "left out"]
    rows = []
    for name, measured in budget.measured.items():
        found = {objective: mean_interval(measured.values(objective)) for objective in names}
        spend, primary = measured.spend, found[names[0]]
        each = [None if x is None else x / spend.episodes for x in (spend.attempts, spend.turns, spend.tokens)]
        rows.append(
            [
                name,
                str(primary.n),
                shown(primary),
                *(points(found[objective].mean, signed=False) for objective in names[1:]),
                *("-" if x is None else f"{x:.1f}" for x in each),
                str(measured.excluded.excluded),
            ]
        )
    for name, one in budget.within.items():
        bounds = f" [{points(one.oracle_lo, signed=False)}, {points(one.oracle_hi, signed=False)}]"
        ceiling = points(one.oracle, signed=False) + (bounds if one.oracle_lo is not None else "")
        rows.append([f"oracle of {name}, a ceiling", str(one.episodes), ceiling, *("" for _ in header[3:])])
    return table(header, rows)


def family_table(budget: Budget, steered: Mapping[str, Cell]) -> str:
    """A row per family: every arm, the ceiling of random@k and the steering effect."""
    names = [*budget.measured, f"oracle of {budget.arms.random.name}"]
    rows = []
    for family, found in budget.families.items():
        cell = steered[family]
        effect = f"{points(cell.effect)} [{points(cell.lo)}, {points(cell.hi)}]"
        rows.append([family, str(cell.n), *(shown(found[name]) for name in names), effect])
    return table(["family", "n", *names, "refine - placebo"], rows)


def shown(found: Interval) -> str:
    """`41.2 [37.0, 45.1]` in points."""
    if found.mean is None:
        return "-"
    bounds = "" if found.lo is None else f" [{points(found.lo, signed=False)}, {points(found.hi, signed=False)}]"
    return points(found.mean, signed=False) + bounds


def contrast_table(contrasts: Sequence[Contrast]) -> str:
    """Effects with intervals, q over the budgets, and what could have been seen."""
    rows = [
        [
            one.name,
            str(one.evidence.n),
            interval_text(one.evidence),
            level(one.evidence.p),
            level(one.evidence.q),
            points(one.evidence.mde, signed=False),
        ]
        for one in contrasts
    ]
    return table(["contrast", "n", "points", "p", "q", "least effect seen at 80 % power"], rows)


def cost_line(budget: Budget) -> str:
    """What a fresh attempt costs beside a refinement."""
    names = {"turns": "turns", "wall_s": "s", "tokens": "tokens"}
    each = [
        f"{budget.fresh[key]:.3g} {name} against {budget.again[key]:.3g}"
        for key, name in names.items()
        if key in budget.fresh and key in budget.again
    ]
    return f"A fresh attempt takes, against a refinement: {'; '.join(each) or 'no refinement was made'}."


def arm_json(budget: Budget, name: str, objective: str) -> dict[str, object]:
    """One arm as JSON-able data."""
    measured = budget.measured[name]
    found: dict[str, object] = mean_interval(measured.values(objective)).model_dump(include={"mean", "lo", "hi", "n"})
    if (one := budget.within.get(name)) is not None:
        found["oracle"] = {"mean": one.oracle, "lo": one.oracle_lo, "hi": one.oracle_hi, "n": one.episodes}
    spend = measured.spend
    return {**found, "episodes": spend.episodes, "turns": spend.turns, "tokens": spend.tokens}


def family_json(budget: Budget, family: str, steered: Cell) -> dict[str, object]:
    """One family as JSON-able data."""
    fields = {"label", "n", "effect", "lo", "hi"}
    arms = {name: one.model_dump(include={"mean", "lo", "hi", "n"}) for name, one in budget.families[family].items()}
    return {**steered.model_dump(include=fields), "arms": arms}


def contrast_json(one: Contrast) -> dict[str, object]:
    """One contrast as JSON-able data."""
    fields = {"n", "effect", "lo", "hi", "p", "q", "mde"}
    return {"name": one.name, **one.evidence.model_dump(mode="json", include=fields)}


def numbers(text: str, option: str) -> list[int]:
    """`2,3` as numbers. Raises UsageError."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{option} {text}: expected numbers such as 2,3") from error
    if min(found) < 1:
        raise UsageError(f"{option} {text}: expected numbers of at least 1")
    return found


@app.command()
def arms(
    overrides: Annotated[list[str] | None, typer.Argument(help="Config overrides.")] = None,
    attempts: Annotated[str, typer.Option(help="Attempts of each budget, such as 2,3.")] = "2,3",
    turns: Annotated[str, typer.Option(help="Turns per attempt of each budget, such as 8,12.")] = "12",
    split: Annotated[str, typer.Option(help="search or dev.")] = "search",
    tasks: Annotated[int, typer.Option(help="How many tasks; all where the split has fewer.")] = 200,
    markdown: Annotated[Path | None, typer.Option(help="File for the tables.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder to keep all in, and to go on in.")] = None,
) -> None:
    """Play the arms at each budget and compare them."""
    with exits(), ExitStack() as stack:
        config = merge(GateAConfig, None, ["repeats=1", *(overrides or []), f"tasks={tasks}", "tracking=false"])
        budgets = [(k, t) for k in numbers(attempts, "--attempts") for t in numbers(turns, "--turns")]
        folder = root or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = asyncio.run(measure_all(config, budgets, split=split, folder=folder))
        page = str(found.pop("page"))
        print(page)
        if markdown is not None:
            markdown.write_text(page, encoding="utf-8")
        print(json.dumps(found))


if __name__ == "__main__":
    app()
