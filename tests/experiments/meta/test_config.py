"""The config of a meta run."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from experiments.meta.config import QUICK, MetaConfig, search_config


def test_a_problem_fits_into_the_pool() -> None:
    assert sum(MetaConfig().sizes) <= MetaConfig().pool
    with pytest.raises(ValidationError, match=r"5 \+ 6 \+ 7 tasks, the pool 17"):
        MetaConfig(pool=17, train=5, val=6, held=7)
    assert sum(MetaConfig.model_validate(dict(QUICK)).sizes) <= QUICK["pool"]


def test_choices_are_the_fields_of_the_settings() -> None:
    config = MetaConfig(engines=("gepa_search",), minibatches=(4,))
    assert config.choices["engine"] == ("gepa_search",) and config.choices["minibatch"] == (4,)
    assert set(config.choices) == {"engine", "minibatch", "proposer", "race"}


def test_where_it_runs_is_no_part_of_what_it_is() -> None:
    assert MetaConfig(root="a", concurrency=2, tracking=False).identity == MetaConfig().identity
    assert MetaConfig(problems=3).identity != MetaConfig().identity


def test_the_level_below_records_both_pools_and_plays_each_dev_task_once() -> None:
    config = MetaConfig(pool=40, train=5, val=6, held=7, confirm=3, dev=5)
    search = search_config(config, Path("corpus.db"))
    assert (search.train, search.dev, search.corpus) == (80, 15, "corpus.db")
    assert not search.tracking
