"""What a run may cost: an upper bound by stage, and in words what ends the search."""

from __future__ import annotations

from pathlib import Path

from experiments.search.projecting import Cost, cost_of, ends, project, projection
from tests.worlds.small import small

ACTIONS = ("none", "fan", "pump", "valve", "core")


def test_the_projection_adds_up_the_most_that_each_stage_may_take(tmp_path: Path) -> None:
    config = small(tmp_path)
    cost = cost_of(config, ACTIONS, arms=5)
    trees = config.train + 2
    assert cost == Cost(
        record=trees * 2 * (1 + 5),  # 2 roots, each with a child under each of 5 actions
        arms=5 * (4 + 6) * 2,
        search=60,
        random=60,
        confirm=(2 * 5 + 2) * 4 * 2,  # what both searches may find, and two more to explore
        dev=(5 + 2 + 1) * 6 * 2,
    )
    assert cost.total == sum(cost)


def test_an_engine_without_a_rival_leaves_that_stage_out(tmp_path: Path) -> None:
    config = small(tmp_path, engine="random_search")
    cost = cost_of(config, ACTIONS, arms=5)
    assert (cost.random, cost.confirm, cost.dev) == (0, (5 + 2) * 4 * 2, (5 + 2) * 6 * 2)
    assert "random search" not in projection(cost, config)


def test_a_live_run_records_the_train_tasks_alone_and_confirms_nothing(tmp_path: Path) -> None:
    offline, live = small(tmp_path, recorded_val=None), small(tmp_path, live=True, recorded_val=3)
    assert (offline.val_trees, live.val_trees) == (4, 0)
    cost = cost_of(live, ACTIONS, arms=5)
    assert (cost.record, cost.confirm) == (4 * 12, 0)
    assert cost_of(offline, ACTIONS, arms=5).record == 8 * 12


def test_the_projection_is_one_line_that_names_every_stage_and_the_model(tmp_path: Path) -> None:
    cost = Cost(1, 2, 3, 4, 5, 6)
    plain = projection(cost, small(tmp_path))
    assert plain.startswith("at most 21 attempts: 1 recorded (reused if there), 2 in control arms, 3 in the search")
    assert "usd" not in plain
    limited = projection(cost, small(tmp_path, lm="a/b", max_usd=0.5))
    assert "up to 42 decisions by a/b, at most 0.5 usd in the search" in limited
    assert "no limit in usd" in projection(cost, small(tmp_path, lm="a/b"))
    assert "at most 0 usd" in projection(cost, small(tmp_path, lm="a/b", max_usd=0))
    assert "\n" not in plain + limited


def test_every_limit_that_is_set_ends_the_search_whichever_is_first(tmp_path: Path) -> None:
    assert ends(small(tmp_path)) == "the search ends with 4 proposals"
    both = small(tmp_path, max_usd=0.5, max_minutes=30.0, max_tokens=1000)
    assert ends(both) == "the search ends with 4 proposals or 0.5 usd or 1000 tokens or 30 minutes, whichever is first"
    assert ends(small(tmp_path, max_compute=99)) == "the search ends with 99 attempts made or replayed"
    assert ends(small(tmp_path, live=True)).startswith("the search ends with 4 proposals or 60 live attempts, ")


def test_a_projection_of_a_run_looks_at_its_parts_and_writes_nothing(tmp_path: Path) -> None:
    config = small(tmp_path / "runs")
    assert project(config) == cost_of(config, ACTIONS, arms=5)
    assert list(tmp_path.iterdir()) == []
