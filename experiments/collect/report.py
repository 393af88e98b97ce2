"""What collecting says: its cost beforehand, what the corpus supports afterwards, and what to buy next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.table import Table

from experiments.collect.config import command_of
from experiments.collect.parts import Prepared
from experiments.collect.works import Todo
from experiments.places import ledger_beside
from optimizers.collect.coverage import Cell, ranked
from optimizers.collect.gathering import Gathered
from signatures.records import Amounts, Record

SHOWN: Final = 5
"""Cells named as the next to buy."""
SUGGESTED: Final = 100
"""Attempts of the top-up that is suggested, or what one purchase of the neediest cell can take, if that is more."""


class Stochastic(Record):
    """The episodes whose decisions were drawn with known propensities."""

    episodes: int
    attempts: int
    tasks: int


class Outcome(Record):
    """What a run of `collect_run` did, and what the corpus supports now."""

    benchmark: str
    corpus: str
    ledger: str
    tasks: int
    made: Amounts
    "by this run"
    unaffordable: int
    "episodes, trees and purchases that the limit left no room for"
    spoilt: int
    "episodes that infrastructure ended: run again to try them again"
    left_out: int
    "recorded episodes of these tasks that count for nothing: spoilt, or collected with other parts"
    stochastic: Stochastic
    trees: int
    "tasks with recorded attempts to branch from"
    cells: tuple[Cell, ...]
    buy: tuple[Cell, ...]
    "cells that can be bought, the neediest first"
    next: str
    "the command that buys"


def first_line(given: Prepared) -> str:
    """Who collects what, and where."""
    config, worker = given.config, given.worker.fingerprint.name
    return (
        f"{config.benchmark}, worker {worker}, seed {config.seed}: "
        f"{len(given.tasks)} tasks of the search split, into {given.path}"
    )


def projection(todo: Todo, *, limit: Amounts, there: Amounts, usd: float | None) -> tuple[int, str]:
    """The most attempts that a run may take, and that in one line: an upper bound, since solved tasks stop early.

    `there` is what the limit was used for before, `usd` what is reserved for an attempt.
    """
    kinds = {"episode": "stochastic episodes", "tree": "trees", "purchase": "purchases"}
    parts = []
    for kind, name in kinds.items():
        there_too = f" ({todo.there[kind]:,} there)" if todo.there[kind] else ""
        if todo.count(kind) or there_too:
            parts.append(f"{todo.most(kind):,} in {todo.count(kind):,} {name}{there_too}")
    total = sum(item.most for item in todo.items)
    said = ", ".join(parts) or "nothing"
    if limit.attempts is not None:
        left = max(0, limit.attempts - (there.attempts or 0))
        said += f"; the limit of {limit.attempts:,} leaves {left:,}"
        total = min(total, left)
    if limit.usd is not None and usd:
        money = max(0.0, limit.usd - (there.usd or 0.0))
        said += f"; of {limit.usd:g} usd {money:g} are left, {usd:g} reserved per attempt"
        total = min(total, int(money / usd))
    elif usd:
        said += f"; at {usd:g} usd an attempt at most {total * usd:g} usd"
    return total, f"at most {total:,} attempts: {said}"


def outcome_of(
    given: Prepared, gathered: Mapping[str, Gathered], cells: Sequence[Cell], *, made: Amounts, counts: tuple[int, int]
) -> Outcome:
    """The outcome; `counts` is what could not be paid for and what infrastructure spoilt."""
    drawn = [part for found in gathered.values() for part in found.drawn]
    best = ranked(cells, given.plan)
    top_up = max(SUGGESTED, best[0].most if best else 0)
    return Outcome(
        benchmark=given.benchmark.id,
        corpus=str(given.path),
        ledger=str(ledger_beside(given.path)),
        tasks=len(given.tasks),
        made=made,
        unaffordable=counts[0],
        spoilt=counts[1],
        left_out=sum(found.left_out for found in gathered.values()),
        stochastic=Stochastic(
            episodes=len(drawn),
            attempts=sum(len(part.attempts) for part in drawn),
            tasks=sum(bool(found.drawn) for found in gathered.values()),
        ),
        trees=sum(bool(found.tree) for found in gathered.values()),
        cells=tuple(cells),
        buy=tuple(best),
        next=command_of(given.config, top_up=top_up),
    )


def table_of(cells: Sequence[Cell]) -> Table:
    """The cells as a rich table."""
    table = Table(title="what the corpus supports, by the checkers", title_justify="left")
    table.add_column("depth", justify="right")
    table.add_column("action", no_wrap=True)
    columns = ("attempts", "in trees", "tasks", "parents", "passed", "gain", "sd", "effective", "price", "need")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for number, cell in enumerate(cells):
        if number and cells[number - 1].depth != cell.depth:
            table.add_section()
        table.add_row(
            str(cell.depth),
            cell.label,
            f"{cell.attempts:,}",
            f"{cell.in_trees:,}",
            str(cell.tasks),
            f"{cell.parents:,}" if cell.depth > 1 else "",
            "" if cell.passed is None else f"{cell.passed:.3f}",
            "" if cell.gain is None else f"{cell.gain:+.3f}",
            f"{cell.sd:.3f}",
            f"{cell.effective:.2f}",
            f"{cell.price:.1f}",
            f"{1000 * cell.need:.3g}" if cell.need else "",
        )
    return table


def last_lines(outcome: Outcome) -> list[str]:
    """What a reader of the table should know, and what to buy."""
    drawn = outcome.stochastic
    lines = [
        "effective: share of the tasks with a failed parent that the attempts are worth, were they spread evenly; "
        "price: attempts that a purchase is expected to take; need: 1000 sd / ((attempts + 1) sqrt(price))",
        f"stochastic: {drawn.episodes:,} episodes, {drawn.attempts:,} attempts on {drawn.tasks} tasks; "
        f"trees on {outcome.trees} tasks; made now: {outcome.made.attempts or 0:,} attempts"
        + ("" if outcome.made.usd is None else f", {outcome.made.usd:g} usd"),
    ]
    if outcome.unaffordable:
        lines.append(f"not begun, since the limit has no room for it: {outcome.unaffordable:,}")
    if outcome.spoilt:
        lines.append(f"ended by infrastructure: {outcome.spoilt:,} episodes; run again to try them again")
    if outcome.left_out:
        lines.append(f"left out: {outcome.left_out:,} episodes that were spoilt, or collected with other parts")
    if not outcome.buy:
        return [*lines, "next: there is nothing to branch from; plan=branching records trees"]
    named = ", ".join(f"{cell.label} at depth {cell.depth}" for cell in outcome.buy[:SHOWN])
    return [*lines, f"next: {named}", f"      {outcome.next}"]
