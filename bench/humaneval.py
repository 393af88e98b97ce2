"""HumanEval by a recorded model: selection, self-consistency, refinement at equal attempts, beside what was published.

    python bench/humaneval.py [--corpus runs/corpus-humaneval.db] [--markdown FILE]

values the arms exactly on recorded trees, by the judge, with no model: `blind` is one attempt, `random@k` keeps the
best of k fresh ones by the checker, `self-consistency@4` takes one of the largest group among four that gave the same
on the docstring's examples, `oracle@4` is the ceiling, and at two attempts `refine@2/ACTION` goes on from a first that
failed.
Without `--corpus` it is the recording that ships. Prints means and differences paired by task with 95 % intervals, the
means by family, and how many of the refinements of failed attempts passed; last, one JSON line, which
`bench/boundary.py` reads.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.cli import exits, new_app
from experiments.gate.report import table
from signatures.errors import NoSupport

if TYPE_CHECKING:
    from optimizers.intervals import Interval
    from optimizers.replay import Evidence
    from optimizers.replay.tree import Tree
    from signatures.records import Attempt

app = new_app()
BENCHMARK: Final = "humaneval"
FRESH: Final = 4
Values = dict[str, list[float | None]]
"""Task digest -> the value of an arm, in a list of its own."""
PUBLISHED: Final = {("random@4", "self-consistency@4"): "+.12"}
STEERED: Final = "examples"
"""The action of refine@k that is shown where there is room for one: it tells most of what the checker saw."""
IN_FAMILIES: Final = ("blind", "random@2", "continue@2", "placebo@2", f"refine@2/{STEERED}", "random@4", "oracle@4")
"""The arms that are shown by family: of a few tasks there is little to say."""
AGAIN: Final = "(a fresh one)"
SELF_REPAIR: Final = "Published of self-repair against as many fresh attempts: -.171 (n = 82)."


async def evidence_in(corpus: Path) -> Evidence:
    """The recorded trees with the judge's numbers. Raises NoSupport where there are none."""
    from controllers.corpus import SqliteCorpus
    from experiments.catalogue import load_benchmark
    from experiments.recorded import evidence_of, outcomes_of
    from optimizers.setup import Grant
    from signatures.records import Episode

    benchmark = load_benchmark(BENCHMARK, {})
    legal = ("none", *(one.action for one in benchmark.directives))
    with closing(SqliteCorpus.open_readonly(corpus)) as store:
        episodes = [one async for one in store.scan(Episode, {"split": "search", "benchmark": BENCHMARK})]
        numbers = await outcomes_of(store, corpus, benchmark, episodes)
        found = await evidence_of(store, benchmark, episodes, numbers, Grant(2, 1, legal))
    if found.trees is None:
        raise NoSupport(f"{corpus} holds no tree of {BENCHMARK}")
    return found


async def arms_on(found: Evidence) -> dict[str, Values]:
    """Each arm's expected verdict on each task."""
    from controllers.baselines import recorded_arms
    from controllers.program import controller_of
    from experiments.catalogue import load_benchmark
    from optimizers.replay.tree import TreeReplay
    from optimizers.setup import Grant

    assert found.trees is not None
    benchmark = load_benchmark(BENCHMARK, {})
    actions = [one.action for one in benchmark.directives]
    values: dict[str, Values] = {}
    for arm in (*recorded_arms(2, 1, actions), recorded_arms(FRESH, 1, ())[0]):
        grant = Grant(arm.attempts, 1, arm.steer_legal)
        replay = TreeReplay(found.trees.trees, benchmark, benchmark.objectives, grant)
        told = {task.digest: await replay.value(controller_of(arm.candidate), task) for task in found.tasks}
        values[arm.name] = {
            task: [one.values["correct"] if one is not None and one.supported else None] for task, one in told.items()
        }
    trees = found.trees.trees
    return {**of_fresh(trees), **values}


def of_fresh(trees: Mapping[str, Tree]) -> dict[str, Values]:
    """What fresh attempts alone say: one of them, the largest group, the ceiling."""
    from optimizers.replay.closed_form import random_at_k

    found: dict[str, Values] = {"blind": {}, f"self-consistency@{FRESH}": {}, f"oracle@{FRESH}": {}}
    for task, tree in trees.items():
        passed = [tree.verdicts.get(seen.attempt.id) for seen in tree.roots]
        known = [value for value in passed if value is not None]
        if len(known) < FRESH or len(known) < len(passed):
            continue
        groups: defaultdict[str, list[float]] = defaultdict(list)
        for seen, value in zip(tree.roots, known, strict=True):
            check = seen.attempt.check("correct")
            groups["" if check is None else check.detail].append(value)
        most = max(len(group) for group in groups.values())
        largest = [value for group in groups.values() if len(group) == most for value in group]
        found["blind"][task] = [sum(known) / len(known)]
        found[f"self-consistency@{FRESH}"][task] = [sum(largest) / len(largest)]
        found[f"oracle@{FRESH}"][task] = [random_at_k(len(known), int(sum(value > 0.5 for value in known)), FRESH)]
    return found


def by_family(arms: Mapping[str, Values]) -> dict[str, dict[str, Interval]]:
    """Family -> arm -> mean with its interval over the tasks of that family, for the arms in `IN_FAMILIES`."""
    from experiments.catalogue import load_benchmark
    from optimizers.intervals import mean_interval

    families = load_benchmark(BENCHMARK, {}).families("search")
    tasks: defaultdict[str, set[str]] = defaultdict(set)
    for task in arms["blind"]:
        for family in families[task]:
            tasks[family].add(task)
    return {
        family: {
            name: mean_interval({task: value for task, value in arms[name].items() if task in mine})
            for name in IN_FAMILIES
        }
        for family, mine in sorted(tasks.items(), key=lambda item: -len(item[1]))
    }


class Refined(NamedTuple):
    """What followed failed attempts: refinements under one action, or instead of them another fresh attempt."""

    n: int
    passed: float
    "by the judge; of another fresh attempt the expected number, from the others of the task"
    repeated: int
    "answered with what had failed, to the letter"


def refined(trees: Mapping[str, Tree]) -> dict[str, Refined]:
    """What became of the refinements, by action."""
    found: defaultdict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for tree in trees.values():
        outputs = {seen.attempt.id: seen.attempt.output_digest for seen in tree.history}
        for (parent, action), children in tree.children.items():
            for child in children:
                value = tree.verdicts.get(child.attempt.id)
                if value is not None:
                    found[action].append((value > 0.5, outputs[parent] == child.attempt.output_digest))
    told = {
        action: Refined(len(ends), sum(passed for passed, _ in ends), sum(again for _, again in ends))
        for action, ends in sorted(found.items())
    }
    return {AGAIN: _instead(trees), **told}


def _instead(trees: Mapping[str, Tree]) -> Refined:
    """Another fresh attempt at the task of each failed one."""
    n, passed, repeated = 0, 0.0, 0.0
    for tree in trees.values():
        parents = {parent for parent, _ in tree.children}
        for failed in (seen for seen in tree.roots if seen.attempt.id in parents):
            others = [seen for seen in tree.roots if seen is not failed]
            values = [tree.verdicts.get(seen.attempt.id) or 0.0 for seen in others]
            same = [seen.attempt.output_digest == failed.attempt.output_digest for seen in others]
            n, passed, repeated = n + 1, passed + sum(values) / len(others), repeated + sum(same) / len(others)
    return Refined(n, round(passed, 1), round(repeated))


def said(one: Interval) -> str:
    """A mean with its interval, if there is one."""
    if one.mean is None or one.lo is None or one.hi is None:
        return "-" if one.mean is None else f"{one.mean:+.3f}"
    return f"{one.mean:+.3f} [{one.lo:+.3f}, {one.hi:+.3f}]"


def budget_of(trees: Mapping[str, Tree], gaps: Mapping[tuple[str, str], Interval]) -> dict[str, object]:
    """Two attempts as a point of `bench/boundary.py`: steering, state carried, tokens of either kind of attempt."""
    fresh = [seen.attempt for tree in trees.values() for seen in tree.roots]
    again = [
        child.attempt
        for tree in trees.values()
        for (_, action), children in tree.children.items()
        for child in children
        if action == STEERED
    ]

    def effect(pair: tuple[str, str]) -> dict[str, object]:
        found = gaps[pair]
        return {"n": found.n, "effect": found.mean, "lo": found.lo, "hi": found.hi}

    def tokens(attempts: list[Attempt]) -> dict[str, float]:
        known = [(one.cost.tokens_in or 0) + (one.cost.tokens_out or 0) for one in attempts]
        return {"tokens": sum(known) / len(known)} if known else {}

    return {
        "attempts": 2,
        "turns": 1,
        "steering": effect((f"refine@2/{STEERED}", "placebo@2")),
        "state": effect(("continue@2", "random@2")),
        "fresh": tokens(fresh),
        "refinement": tokens(again),
    }


async def measure(corpus: Path) -> tuple[list[str], dict[str, object]]:
    """The lines of the tables, and all of it as JSON-able data."""
    from experiments.gate.workers import said_of
    from optimizers.intervals import mean_interval, paired_interval

    found = await evidence_in(corpus)
    arms = await arms_on(found)
    means = {name: mean_interval(values) for name, values in arms.items()}
    pairs = [(name, "random@2") for name in arms if name.startswith(("refine@2", "continue@2", "placebo@2"))]
    pairs += [(name, "placebo@2") for name in arms if name.startswith("refine@2")]
    pairs += [
        ("random@2", "blind"),
        ("random@4", "blind"),
        ("random@4", "self-consistency@4"),
        ("oracle@4", "random@4"),
    ]
    gaps = {pair: paired_interval(arms[pair[0]], arms[pair[1]]) for pair in pairs}
    assert found.trees is not None
    families, ends = by_family(arms), refined(found.trees.trees)
    worker = next(seen.attempt.worker for tree in found.trees.trees.values() for seen in tree.roots)
    shown = [(f"{a} - {b}", str(g.n), said(g), PUBLISHED.get((a, b), "")) for (a, b), g in gaps.items()]
    lines = [
        table(("arm", "n", "correct"), [(n, str(m.n), said(m).replace("+", "")) for n, m in means.items()]),
        "",
        table(("difference", "n", "here", "published"), shown),
        "",
        SELF_REPAIR,
        "",
        table(("family", "n", *IN_FAMILIES), [(f, *_row(cells)) for f, cells in families.items()]),
        "",
        table(
            ("refined under", "failed attempts", "passed", "same answer"), [(a, *map(str, r)) for a, r in ends.items()]
        ),
    ]
    data: dict[str, object] = {
        "bench": "humaneval",
        "benchmark": BENCHMARK,
        "worker": said_of(worker, BENCHMARK),
        "n": len(found.tasks),
        "correct": {name: one.model_dump(mode="json") for name, one in means.items()},
        "differences": {f"{a} - {b}": one.model_dump(mode="json") for (a, b), one in gaps.items()},
        "families": {
            family: {name: one.model_dump(mode="json") for name, one in cells.items()}
            for family, cells in families.items()
        },
        "refined": {action: one._asdict() for action, one in ends.items()},
        "budgets": [budget_of(found.trees.trees, gaps)],
    }
    return lines, data


def _row(cells: Mapping[str, Interval]) -> list[str]:
    """How many tasks, and each arm's mean."""
    return [str(cells["blind"].n), *(said(one).replace("+", "") for one in cells.values())]


@app.command()
def humaneval(
    corpus: Annotated[Path | None, typer.Option(help="A recorded corpus; left out, the one that ships.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="File for the tables.")] = None,
) -> None:
    """Value the arms on recorded trees."""
    with exits(), tempfile.TemporaryDirectory() as folder:
        if corpus is None:
            from experiments.corpus.pack import unpack
            from experiments.recordings.shipped import corpus_of

            corpus = Path(folder) / "corpus.db"
            asyncio.run(unpack(corpus_of(BENCHMARK), corpus))
        lines, data = asyncio.run(measure(corpus))
        print("\n".join(lines))
        if markdown is not None:
            markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(json.dumps(data))


if __name__ == "__main__":
    app()
