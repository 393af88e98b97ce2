"""What a plan still asks for: all of it, what is missing, or nothing, also where a search recorded it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import JsonValue

from experiments.collect.parts import Opened, Prepared, opened, prepare, survey
from experiments.collect.works import Todo, bought_of, judge_recorded, todo_of, work_of
from experiments.places import claim
from experiments.search.trees import record_trees
from experiments.wiring import ready, wired
from optimizers.collect.collecting import Purchase
from optimizers.collect.gathering import Gathered
from signatures.records import Amounts, Attempt, Episode
from tests.worlds.planted import CountingWorker
from tests.worlds.small import small
from tests.worlds.small_collect import small_collect


async def asked(parts: Opened) -> tuple[Todo, dict[str, Gathered]]:
    gathered = await survey(parts.given, parts.setup)
    return await todo_of(parts.given, parts.setup, gathered), gathered


async def done(parts: Opened, todo: Todo, gathered: dict[str, Gathered]) -> tuple[Amounts, list[str]]:
    spoilt: list[str] = []
    attempts = 0
    for item in todo.items:
        attempts += (await work_of(parts, item, gathered, spoilt).run()).attempts or 0
    return Amounts(attempts=attempts), spoilt


def counted(root: Path, **changed: JsonValue) -> tuple[Prepared, CountingWorker]:
    given = prepare(small_collect(root, **changed))
    worker = CountingWorker(given.worker)
    return replace(given, worker=worker), worker


@pytest.mark.parametrize(
    ("plan", "kinds"),
    [
        ("both", ["episode"] * 6 + ["tree"] * 3),
        ("stochastic", ["episode"] * 6),
        ("branching", ["tree"] * 3),
    ],
)
async def test_a_plan_asks_for_its_parts_in_order(tmp_path: Path, plan: str, kinds: list[str]) -> None:
    with opened(prepare(small_collect(tmp_path, plan=plan))) as parts:
        todo, _ = await asked(parts)
    assert [item.kind for item in todo.items] == kinds
    assert {item.kind: item.most for item in todo.items}.items() <= {"episode": 3, "tree": 12}.items()
    rounds = [item.task for item in todo.items if item.kind == "episode"]
    assert rounds == ([*parts.given.tasks] * 2 if rounds else [])  # every task once, then every task again


async def test_what_was_done_is_not_asked_for_again_and_is_counted(tmp_path: Path) -> None:
    given, worker = counted(tmp_path)
    with opened(given) as parts:
        todo, gathered = await asked(parts)
        made, _ = await done(parts, todo, gathered)
        assert made.attempts == len(worker.calls)
        again, _ = await asked(parts)
        assert again.items == []
        assert again.there == {"episode": 6, "tree": 3, "purchase": 0}
        assert sum(spent.attempts or 0 for spent in again.spent) == len(worker.calls)


async def test_more_episodes_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    with opened(prepare(small_collect(tmp_path, plan="stochastic"))) as parts:
        await done(parts, *await asked(parts))
    with opened(prepare(small_collect(tmp_path, plan="stochastic", episodes_per_task=5))) as parts:
        todo, _ = await asked(parts)
    assert (todo.count("episode"), todo.there["episode"]) == (9, 6)
    with opened(prepare(small_collect(tmp_path, plan="stochastic", seed=1))) as parts:
        todo, _ = await asked(parts)
    assert (todo.count("episode"), todo.there["episode"]) == (6, 0)


async def test_trees_that_a_search_recorded_are_not_grown_again(tmp_path: Path) -> None:
    search = ready(small(tmp_path))  # two attempts an episode, so trees of two roots and depth two
    with wired(search, claim(search.config, search.manifest)) as parts:
        await record_trees(search.config, parts, lambda: None)
    with opened(prepare(small_collect(tmp_path, plan="branching"))) as mine:
        todo, gathered = await asked(mine)
        assert todo.items == []
        assert todo.there["tree"] == 3
        assert all(found.roots == 2 for found in gathered.values())


async def test_trees_that_collecting_recorded_are_recalled_by_a_search(tmp_path: Path) -> None:
    with opened(prepare(small_collect(tmp_path, plan="branching", tasks=6))) as parts:
        await done(parts, *await asked(parts))
        before = await parts.setup.corpus.high_water()
    search = ready(small(tmp_path))
    with wired(search, claim(search.config, search.manifest)) as wires:
        await record_trees(search.config, wires, lambda: None)
        assert await wires.setup.corpus.high_water() == before


async def test_a_tree_with_fewer_roots_gets_those_that_it_lacks(tmp_path: Path) -> None:
    with opened(prepare(small_collect(tmp_path, plan="branching"))) as parts:
        await done(parts, *await asked(parts))
    with opened(prepare(small_collect(tmp_path, plan="branching", roots=3))) as parts:
        todo, gathered = await asked(parts)
        assert [(item.kind, item.most) for item in todo.items] == [("purchase", 6)] * 3
        await done(parts, todo, gathered)
        todo, gathered = await asked(parts)
        assert todo.items == []
        assert all(found.roots == 3 for found in gathered.values())


async def test_what_infrastructure_ended_is_asked_for_again_and_its_attempts_are_counted(tmp_path: Path) -> None:
    given, worker = counted(tmp_path, tasks=1)
    worker.fails = lambda task, call: OSError("gone") if call in (1, 9) else None
    with opened(given) as parts:
        todo, gathered = await asked(parts)
        _, spoilt = await done(parts, todo, gathered)
        assert len(spoilt) == 2
        again, gathered = await asked(parts)
        assert [(item.kind, item.spec.repeat) for item in again.items] == [("episode", 1), ("tree", 1)]
        good = [a async for a in parts.setup.corpus.scan(Attempt) if a.failure is None]
        assert sum(spent.attempts or 0 for spent in again.spent) == len(good)
        assert (await done(parts, again, gathered))[1] == []
        assert (await asked(parts))[0].items == []


async def test_a_purchase_goes_on_from_its_parent_and_is_recorded_once(tmp_path: Path) -> None:
    with opened(prepare(small_collect(tmp_path, plan="branching"))) as parts:
        _, gathered = await asked(parts)
        await done(parts, *await asked(parts))
        gathered = await survey(parts.given, parts.setup)
        digest = parts.given.tasks[0].digest
        parent = gathered[digest].tree[0]
        one = Purchase(task_digest=digest, parent_id=parent.id, action="fan", depth=2)
        gone = one.model_copy(update={"task_digest": "no task of this run"})
        todo = await bought_of(parts.given, parts.setup, [one, gone])
        assert (await done(parts, todo, gathered))[0].attempts == 1
        after = await survey(parts.given, parts.setup)
        (child,) = {a.id: a for a in after[digest].tree}.keys() - {a.id for a in gathered[digest].tree}
        assert next(a for a in after[digest].tree if a.id == child).start_digest == parent.state_digest
        todo = await bought_of(parts.given, parts.setup, [one])
        assert (todo.items, todo.there["purchase"]) == ([], 1)


async def scored(parts: Opened, episode: Episode, attempts: set[str]) -> dict[str, float | None]:
    ledger = parts.evaluator._ledger
    return await ledger.scores("search", [episode.id], reader="evaluator", attempt_ids=attempts)


async def test_every_attempt_of_a_tree_and_what_an_episode_selected_is_judged_also_later(tmp_path: Path) -> None:
    given = prepare(small_collect(tmp_path))
    with opened(given) as parts:
        await done(parts, *await asked(parts))
    ledgers = [tmp_path / "corpus-planted.verdicts.db"]
    verdicts = ledgers[0].read_bytes()
    for killed in (False, True):
        if killed:  # the corpus was written and the ledger was not
            ledgers[0].unlink()
        with opened(given) as parts:
            gathered = await survey(given, parts.setup)
            await judge_recorded(parts, gathered)
            for found in gathered.values():
                for part in found.branching:
                    for attempt in part.attempts:
                        assert await scored(parts, part.episode, {attempt.id})
                for part in found.drawn:
                    chosen = part.episode.selected_id
                    assert chosen is not None
                    assert await scored(parts, part.episode, {chosen})
                    assert not await scored(parts, part.episode, {a.id for a in part.attempts} - {chosen})
        if not killed:
            assert ledgers[0].read_bytes() == verdicts
