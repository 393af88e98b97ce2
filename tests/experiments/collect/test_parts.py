"""The parts of collecting: what cannot run is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from experiments.collect.parts import drawn_spec, looked_at, opened, prepare, require_floor, survey
from experiments.wiring import ready, revision_of
from signatures.errors import UsageError
from tests.worlds.small import small
from tests.worlds.small_collect import small_collect

ACTIONS = ("none", *(f"a{n}" for n in range(8)))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"benchmark": "telecon"}, "did you mean 'telecom'"),
        ({"worker": "scriptet"}, "did you mean 'scripted'"),
        ({"options": {"noise": 7}}, "noise"),
        ({"tasks": 5000}, "tasks=5000 asked, the search split has"),
        ({"floor": 0.3}, r"floor=0\.3 cannot hold for the 5 actions that steer may draw: at most 0\.200"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(
    tmp_path: Path, changed: dict[str, JsonValue], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        prepare(small_collect(tmp_path, **changed))
    assert "\n" not in str(refused.value)
    assert names(tmp_path) == set()


def test_a_garbage_corpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus-planted.db").write_text("not a database, " * 100)
    with pytest.raises(UsageError, match="this corpus cannot be used"):
        prepare(small_collect(tmp_path))


def test_the_floor_is_for_the_policy_with_the_most_actions(tmp_path: Path) -> None:
    require_floor(small_collect(tmp_path, floor=0.11), ACTIONS)
    with pytest.raises(UsageError, match="the 9 actions that steer"):
        require_floor(small_collect(tmp_path, floor=0.12), ACTIONS)
    require_floor(small_collect(tmp_path, floor=0.25, attempts=3), ACTIONS[:2])
    with pytest.raises(UsageError, match="the 6 actions that topology"):
        require_floor(small_collect(tmp_path, floor=0.25, attempts=8), ACTIONS[:2])


def test_trees_alone_draw_nothing_and_need_no_floor(tmp_path: Path) -> None:
    prepare(small_collect(tmp_path, floor=0.3, plan="branching"))


def test_the_corpus_and_the_definition_of_done_are_those_of_a_search(tmp_path: Path) -> None:
    mine, other = prepare(small_collect(tmp_path)), ready(small(tmp_path))
    assert mine.path == tmp_path / "corpus-planted.db"
    assert mine.revision == revision_of(other.manifest)
    assert mine.plan.actions == other.actions
    assert mine.tasks == (*other.splits.train, *other.splits.val)[:3]


async def test_looking_writes_nothing(tmp_path: Path) -> None:
    given = prepare(small_collect(tmp_path))
    with looked_at(given) as setup:
        assert {digest: found.tree for digest, found in (await survey(given, setup)).items()} == {
            task.digest: () for task in given.tasks
        }
    assert names(tmp_path) == set()


def test_opening_makes_the_corpus_and_its_ledger(tmp_path: Path) -> None:
    with opened(prepare(small_collect(tmp_path))) as parts:
        assert parts.evaluator.split == "search"
    assert names(tmp_path) == {"corpus-planted.db", "corpus-planted.verdicts.db"}


def test_each_stochastic_episode_has_a_seed_of_its_own(tmp_path: Path) -> None:
    given = prepare(small_collect(tmp_path, floor=0.07))
    with looked_at(given) as setup:
        specs = [drawn_spec(given, setup, given.tasks[0], number) for number in range(5)]
        other = drawn_spec(prepare(small_collect(tmp_path, seed=1)), setup, given.tasks[0], 0)
    assert len({spec.seed for spec in (*specs, other)}) == 6
    assert {spec.floor for spec in specs} == {0.07}
    assert {(spec.split, spec.condition) for spec in specs} == {("search", "stochastic")}


def test_equal_parts_have_one_name(tmp_path: Path) -> None:
    one = prepare(small_collect(tmp_path)).made_with
    assert prepare(small_collect(tmp_path, seed=4, concurrency=2, max_attempts=9)).made_with == one
    for changed in ({"turns": 2}, {"depth": 3}, {"options": {"noise": 0.3}}):
        assert prepare(small_collect(tmp_path, **changed)).made_with != one  # type: ignore[arg-type]  # a config's field
