"""The ablation's config, and what a search gets of it."""

from __future__ import annotations

from pathlib import Path

from experiments.config import merge
from experiments.gate.learned.ablation_config import QUICK, AblationConfig, search_config


def test_quick_is_a_config_and_smaller() -> None:
    small, full = merge(AblationConfig, None, [f"{k}={v}" for k, v in QUICK.items()]), AblationConfig()
    assert small.tasks * small.repeats * 4 < full.tasks * full.repeats
    assert small.train < full.train


def test_where_and_who_watches_is_no_part_of_the_identity() -> None:
    assert AblationConfig().identity == AblationConfig(root="x", concurrency=2, tracking=False).identity
    assert AblationConfig(repeats=3).identity != AblationConfig().identity


def test_a_tree_has_as_many_fresh_attempts_as_an_episode(tmp_path: Path) -> None:
    search = search_config(AblationConfig(attempts=4, tasks=33, train=5, minibatch=3), tmp_path / "c.db")
    assert (search.roots, search.attempts, search.dev, search.train, search.minibatch) == (4, 4, 33, 5, 3)
    assert search.corpus == str(tmp_path / "c.db")
