"""Offline estimates against live values: controllers of many kinds, valued from trees recorded before, then attempted.

    python bench/offline_check.py [--tasks 96] [--seeds 4] [a.b=json ...]

records a tree for each of the first tasks of the search split, values every controller by exact tree replay, then runs
each live on the same tasks, `--seeds` times with fresh seeds. Overrides are those of `gepa_run`; `roots=3` is the
default here, so that three fresh attempts are in the record. Prints a table of the primary objective (offline with its
interval, live, covered or not, attempts saved), coverage and rank correlation per objective, and last one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.cli import exits, new_app
from experiments.config import merge
from experiments.search_config import SearchConfig

if TYPE_CHECKING:
    from optimizers.intervals import Interval
    from optimizers.replay.estimates import Estimate, Refusal
    from optimizers.space import Space
    from signatures.records import Candidate

DRAWN: Final = 60
"""Controllers made by random edits."""
KEPT: Final = 14
"""Of these, the first ones that do something else than every controller before them."""
app = new_app()


class Pair(NamedTuple):
    """One controller, offline and live."""

    name: str
    offline: Estimate | Refusal
    live: Mapping[str, Interval]
    attempts: int
    "that one live run of the tasks took, and replay did not"


def controllers(actions: Sequence[str], space: Space, seed: int) -> dict[str, Candidate]:
    """Fresh attempts, going on, each directive, mixtures, wide starts, and random edits of all of these."""
    from controllers.baselines import FRESH_FIRST, STOP_WHEN_PASSED, controller_components
    from controllers.program import rule_component
    from optimizers.space import random_edit
    from signatures.records import Candidate

    def made(steer: Mapping[str, float], *, refine: bool = True, **parts: str) -> Candidate:
        return Candidate(components={**controller_components(refine=refine, steer=steer), **parts})

    uniform = dict.fromkeys(actions, 1.0)
    wide = rule_component([{**FRESH_FIRST[0], "then": {"fanout_2": 1.0}}], {"refine_last": 1.0})
    best = rule_component([{**FRESH_FIRST[0], "then": {"fanout_2": 1.0}}], {"refine_best": 1.0, "refine_last": 0.5})
    half = rule_component(FRESH_FIRST, {"refine_last": 0.5, "fanout_1": 0.5})
    timid = rule_component([*STOP_WHEN_PASSED], {"continue": 0.6, "done": 0.4})
    found = {
        "fresh": made({"none": 1.0}, refine=False),
        **{f"refine/{action}": made({action: 1.0}) for action in actions},
        "refine/any": made(uniform),
        "wide/any": made(uniform, topology=wide),
        "wide/best": made(uniform, topology=best),
        "half fresh": made(uniform, topology=half),
        "may stop early": made(uniform, stop=timid),
    }
    rng = random.Random(seed)
    bases = list(found.values())
    for number in range(DRAWN):
        candidate = rng.choice(bases)
        for _ in range(3):
            candidate = random_edit(candidate, space, rng)
        found[f"random edit {number + 1}"] = candidate
    return found


def distinct(answers: Mapping[str, Estimate | Refusal]) -> dict[str, Estimate | Refusal]:
    """All that were thought of, and the random edits that differ from all before them, on the record at least."""
    kept: dict[str, Estimate | Refusal] = {}
    edits = 0
    for name, answer in answers.items():
        edited = name.startswith("random edit")
        if edited and (edits == KEPT or any(_same(answer, other) for other in kept.values())):
            continue
        edits += edited
        kept[name] = answer
    return kept


def _same(one: Estimate | Refusal, other: Estimate | Refusal) -> bool:
    from optimizers.replay.estimates import Estimate

    if isinstance(one, Estimate) and isinstance(other, Estimate):
        return all(abs(bound.value - other.values[name].value) < 1e-9 for name, bound in one.values.items())
    return type(one) is type(other) and one.support == other.support


async def measure(config: SearchConfig, folder: Path, seeds: int, console: Console) -> list[Pair]:
    """Record, value offline, then attempt live."""
    from controllers.program import controller_of
    from experiments.search.narrator import interval_of
    from experiments.search.stages import evaluator_of, space_from
    from experiments.search.trees import record_trees
    from experiments.wiring import ready, wired
    from optimizers.evaluator import Request
    from optimizers.replay import Asked, Evidence
    from optimizers.replay.exact_tree import ExactTree
    from signatures.digest import seed_of

    with wired(ready(config), folder / "run") as parts:
        tasks = (*parts.splits.train, *parts.splits.val)
        replay = (await record_trees(config, parts, lambda: None)).replay
        recorded = sum(len(tree.history) for tree in replay.trees.values())
        console.print(f"recorded {recorded} attempts in {len(replay.trees)} trees", highlight=False)
        space = space_from(replay, parts.splits.train, parts.actions, config.attempts)
        asked = controllers(parts.actions, space, config.seed)
        answers = await ExactTree().estimate(
            Evidence(trees=replay, tasks=tasks),
            Asked(tuple(asked), tuple(controller_of(one) for one in asked.values())),
        )
        evaluator = evaluator_of(parts, split="search", namespace="live")
        pairs = []
        for name, answer in distinct(dict(zip(asked, answers, strict=True))).items():
            candidate = asked[name]
            scores = []
            for number in range(seeds):
                request = Request(candidate, tasks, seed=seed_of("fresh", config.seed, number))
                scores += [one.score for one in await evaluator.evaluate(request)]
            live = {one.name: interval_of(scores, one.name) for one in parts.benchmark.objectives}
            pairs.append(Pair(name, answer, live, sum(one.spent.attempts or 0 for one in scores[: len(tasks)])))
    return pairs


def covered(pair: Pair, objective: str) -> bool | None:
    """Whether the live mean is in the offline interval; None where there is none."""
    from optimizers.replay.estimates import Refusal

    live = pair.live[objective].mean
    if isinstance(pair.offline, Refusal) or live is None:
        return None
    bound = pair.offline.values[objective]
    return None if bound.lo is None or bound.hi is None else bound.lo <= live <= bound.hi


def summary(pairs: Sequence[Pair]) -> dict[str, dict[str, float | int]]:
    """Per objective: controllers, share covered, Spearman, slope of live on offline, mean error."""
    from scipy.stats import linregress, spearmanr

    from optimizers.replay.estimates import Estimate

    found: dict[str, dict[str, float | int]] = {}
    for objective in pairs[0].live:
        points = [
            (pair.offline.values[objective].value, mean, covered(pair, objective))
            for pair in pairs
            if isinstance(pair.offline, Estimate) and (mean := pair.live[objective].mean) is not None
        ]
        offline, live = [p[0] for p in points], [p[1] for p in points]
        found[objective] = {
            "n": len(points),
            "coverage": sum(bool(p[2]) for p in points) / len(points),
            "spearman": float(spearmanr(offline, live).statistic),
            "slope": float(linregress(offline, live).slope),
            "bias": sum(a - b for a, b in zip(offline, live, strict=True)) / len(points),
        }
    return found


def table_of(pairs: Sequence[Pair], objective: str) -> Table:
    """One row per controller."""
    from experiments.answers import bound_text
    from optimizers.replay.estimates import Refusal

    table = Table(title=f"{objective}, offline by tree replay and live on the same tasks", title_justify="left")
    for column in ("controller", "offline [95 %]", "live [95 %]", "covered", "unsupported", "attempts saved"):
        table.add_column(column, justify="left" if column == "controller" else "right", no_wrap=True)
    for pair in pairs:
        live = pair.live[objective]
        refused = isinstance(pair.offline, Refusal)
        table.add_row(
            pair.name,
            "refused" if isinstance(pair.offline, Refusal) else bound_text(pair.offline.values[objective]),
            f"{live.mean:.3f} [{live.lo:.2f}, {live.hi:.2f}]",
            {True: "yes", False: "no", None: ""}[covered(pair, objective)],
            "" if pair.offline.support is None else f"{pair.offline.support.unsupported:.1%}",
            "0" if refused else str(pair.attempts),
        )
    return table


@app.command()
def check(
    overrides: Annotated[list[str] | None, typer.Argument(help="Config overrides.")] = None,
    tasks: Annotated[int, typer.Option(help="How many search tasks.")] = 96,
    seeds: Annotated[int, typer.Option(help="Live runs of each controller on each task.")] = 4,
) -> None:
    """Value controllers offline, then attempt them live."""
    with exits(), tempfile.TemporaryDirectory() as folder:
        sizes = [
            "minibatch=1",
            "roots=3",
            f"train={tasks // 4}",
            f"val={tasks - tasks // 4}",
            f"recorded_val={tasks - tasks // 4}",
        ]
        config = merge(SearchConfig, None, [*sizes, *(overrides or []), f"root={folder}"])
        console = Console(width=160)
        pairs = asyncio.run(measure(config, Path(folder), seeds, console))
        objective = next(iter(pairs[0].live))
        console.print(table_of(pairs, objective))
        found = summary(pairs)
        for name, row in found.items():
            console.print(f"{name}: " + ", ".join(f"{k} {v:.3g}" for k, v in row.items()), highlight=False)
        saved = sum(pair.attempts for pair in pairs)
        console.print(f"{saved} live attempts that replay did without", highlight=False)
        print(
            json.dumps(
                {"bench": "offline_check", "tasks": tasks, "seeds": seeds, "objectives": found, "attempts_saved": saved}
            )
        )


if __name__ == "__main__":
    app()
