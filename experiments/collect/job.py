"""Collecting from its config to its table: look at what is there, pay for what is not, say what is supported now."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from experiments.collect.parts import Opened, Prepared, looked_at, opened, survey
from experiments.collect.report import Outcome, first_line, last_lines, outcome_of, projection, table_of
from experiments.collect.top_up_log import TopUp, TopUpLog, top_ups_beside
from experiments.collect.works import Todo, bought_of, judge_recorded, todo_of, work_of
from experiments.search.job import progress_bar
from experiments.search.search_job import console_of
from judges.probes import run_probes
from optimizers.collect.coverage import coverage, purchases
from optimizers.collect.gathering import Gathered
from optimizers.collect.purse import Purse, dearest, spend
from signatures.errors import UsageError
from signatures.records import Amounts


async def project(given: Prepared) -> dict[str, object]:
    """What a run would cost at most: `attempts` and the line that says it. Writes nothing. Raises UsageError."""
    with looked_at(given) as setup:
        gathered = await survey(given, setup)
        if given.config.top_up:
            return {"attempts": given.config.top_up, "said": f"at most {given.config.top_up:,} attempts of a top-up"}
        todo = await todo_of(given, setup, gathered)
        purse, limit, usd = _purse(given, gathered, todo)
        most, said = projection(todo, limit=limit, there=purse.spent, usd=usd)
        return {"attempts": most, "said": said}


async def run_collect(given: Prepared, *, quiet: bool = False) -> Outcome:
    """The whole run. Killed and started again, it goes on where the corpus ends. Raises TillerError."""
    console = console_of(quiet=quiet)
    with TopUpLog(top_ups_beside(given.path)) as log, opened(given) as parts:
        console.print(first_line(given), highlight=False)
        await run_probes(parts.setup.judge, given.benchmark.probes())
        gathered = await survey(given, parts.setup)
        todo = await (_top_up(parts, gathered, log, console) if given.config.top_up else _plan(parts, gathered))
        outcome = await _spend(parts, gathered, todo, console)
        if given.config.top_up:
            log.finish()
    console.print(table_of(outcome.cells))
    for line in last_lines(outcome):
        console.print(line, highlight=False)
    return outcome


async def _plan(parts: Opened, gathered: Mapping[str, Gathered]) -> Todo:
    return await todo_of(parts.given, parts.setup, gathered)


async def _top_up(parts: Opened, gathered: Mapping[str, Gathered], log: TopUpLog, console: Console) -> Todo:
    """What is left of an interrupted top-up, or a new one's purchases. Raises UsageError where none can be made."""
    given = parts.given
    if log.pending is None:
        bought = purchases(gathered, coverage(gathered, given.plan), given.plan, attempts=given.config.top_up)
        if not bought:
            raise UsageError(f"top_up={given.config.top_up} pays for nothing: no cell can be bought with so few")
        log.begin(TopUp(attempts=given.config.top_up, made_with=given.made_with, purchases=tuple(bought)))
    else:
        said = f"a top-up of {log.pending.attempts:,} attempts was interrupted"
        if log.pending.made_with != given.made_with:
            raise UsageError(f"{said}, and it was made with other parts; finish it as it was begun")
        console.print(f"{said}: it goes on; run again for another", highlight=False)
    assert log.pending is not None
    todo = await bought_of(given, parts.setup, log.pending.purchases)
    todo.limit = Amounts(attempts=log.pending.attempts, usd=given.config.max_usd)
    return todo


def _purse(given: Prepared, gathered: Mapping[str, Gathered], todo: Todo) -> tuple[Purse, Amounts, float | None]:
    """The purse with what is there billed, its limit, and what is reserved for an attempt."""
    config = given.config
    limit = todo.limit or Amounts(attempts=config.max_attempts, usd=config.max_usd)
    recorded = [
        attempt
        for found in gathered.values()
        for attempt in (*found.tree, *(one for part in found.drawn for one in part.attempts))
    ]
    usd = config.attempt_usd or dearest(recorded)
    purse = Purse(limit, attempt_usd=usd if limit.usd is not None else None)
    for spent in todo.spent:
        purse.bill(spent)
    return purse, limit, usd


async def _spend(parts: Opened, gathered: Mapping[str, Gathered], todo: Todo, console: Console) -> Outcome:
    given, setup = parts.given, parts.setup
    purse, limit, usd = _purse(given, gathered, todo)
    there = purse.spent
    console.print(projection(todo, limit=limit, there=there, usd=usd)[1], highlight=False)
    spoilt: list[str] = []
    works = [work_of(parts, item, gathered, spoilt) for item in todo.items]
    with progress_bar(console, f"collect {len(works):,} episodes and trees", len(works)) as step:
        await judge_recorded(parts, gathered)
        done = await spend(works, purse, concurrency=given.config.concurrency, step=step)
    made = _less(purse.spent, there)
    found = await survey(given, setup)
    left = 0 if todo.limit else done.count(False)  # a top-up lists more than it can pay for
    return outcome_of(given, found, coverage(found, given.plan), made=made, counts=(left, len(spoilt)))


def _less(after: Amounts, before: Amounts) -> Amounts:
    usd = None if after.usd is None else after.usd - (before.usd or 0.0)
    return Amounts(attempts=(after.attempts or 0) - (before.attempts or 0), usd=usd)
