"""The stream's config: what cannot be is refused, and a search gets the same sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from experiments.config import merge
from experiments.gate.learned.stream_config import QUICK, GateBConfig, learner_config


def test_quick_is_a_config_and_smaller() -> None:
    small = merge(GateBConfig, None, [f"{name}={value}" for name, value in QUICK.items()])
    assert small.most_attempts * 4 < GateBConfig().most_attempts


def test_more_trees_than_tasks_are_refused() -> None:
    with pytest.raises(ValidationError, match="trees=9 is more than slice=8"):
        GateBConfig(slice=8, trees=9)


def test_where_and_who_watches_is_no_part_of_the_identity() -> None:
    one, other = GateBConfig(), GateBConfig(root="elsewhere", concurrency=1, tracking=False)
    assert one.identity == other.identity
    assert GateBConfig(seed=1).identity != one.identity


def test_the_search_gets_the_grant_the_seed_and_a_corpus_of_the_streams_own(tmp_path: Path) -> None:
    config = GateBConfig(attempts=2, turns=5, seed=4, minibatch=12, trees=2)
    learner = learner_config(config, tmp_path / "corpus.db")
    assert (learner.attempts, learner.turns, learner.seed, learner.minibatch) == (2, 5, 4, 12)
    assert learner.corpus == str(tmp_path / "corpus.db")
    assert not learner.tracking
