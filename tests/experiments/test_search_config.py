"""The config of the main job: its defaults run, its dump is it, and what cannot be is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config import dump, merge
from experiments.search_config import ADDED, SearchConfig
from signatures.errors import UsageError


def test_the_defaults_search_five_generations_or_more_within_their_own_budget() -> None:
    config = SearchConfig()
    assert config.generations >= 5
    assert config.max_attempts >= (config.val + 2 * config.minibatch) * config.attempts


@given(
    seed=st.integers(0, 2**31),
    noise=st.floats(0, 1),
    lm=st.none() | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20),
    train=st.integers(12, 100),
    max_usd=st.none() | st.floats(0, 1e6),
)
def test_a_dumped_config_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, seed: int, noise: float, lm: str | None, train: int, max_usd: float | None
) -> None:
    config = SearchConfig(
        seed=seed, options={"noise": noise, "dev_layers": ["vpn"]}, lm=lm, train=train, max_usd=max_usd
    )
    file = tmp_path_factory.getbasetemp() / "config.toml"
    file.write_text(dump(config), encoding="utf-8")
    assert merge(SearchConfig, file) == config


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("train=0", "train"),
        ("attempts=9", "attempts"),
        ("val=1", "val"),
        ("dev=1", "dev"),
        ("turns=null", "turns"),
        ("concurrency=0", "concurrency"),
        ("seed=-1", "seed"),
        ("max_usd=-0.5", "max_usd"),
        ('tier="boss"', "tier"),
        ("generatoins=3", "did you mean 'generations'"),
        ("minibatch=25", "minibatch=25 is more than train=24"),
        ("max_minutes=0", "max_minutes"),
        ("max_compute=0", "max_compute"),
        ("max_tokens=-1", "max_tokens"),
    ],
)
def test_a_value_that_cannot_be_is_named(override: str, named: str) -> None:
    with pytest.raises(UsageError, match=named) as refused:
        merge(SearchConfig, None, [override])
    assert "\n" not in str(refused.value)


def test_every_field_that_may_be_left_out_can_be_dumped(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(dump(SearchConfig()), encoding="utf-8")
    assert merge(SearchConfig, tmp_path / "config.toml") == SearchConfig()


def test_what_an_older_run_was_told_is_told_as_it_was() -> None:
    plain = SearchConfig()
    assert set(plain.told()) == set(SearchConfig.model_fields) - set(ADDED)
    assert plain.told(without=frozenset({"root"})).keys() == plain.told().keys() - {"root"}
    learning = SearchConfig(learn_from="all", harvested="tasks.jsonl")
    assert learning.told() == {**plain.told(), "learn_from": "all", "harvested": "tasks.jsonl"}
    other = SearchConfig(engine="optuna_search", engine_options={"sampler": "tpe"}, max_minutes=5.0)
    added = {"engine": "optuna_search", "engine_options": {"sampler": "tpe"}, "max_minutes": 5.0}
    assert other.told() == {**plain.told(), **added}


def test_a_limit_on_compute_leaves_the_number_of_candidates_open() -> None:
    assert SearchConfig(generations=2, iterations=3).most_found == 7
    assert SearchConfig(max_compute=900).most_found == 901
    assert SearchConfig(max_compute=900).most_confirmed == SearchConfig().confirm + 1


@pytest.mark.parametrize(
    ("engine", "name"), [("gepa_search", "gepa"), ("best_of_n", "best_of_n"), ("my.module:maker", "my.module.maker")]
)
def test_an_engine_has_a_short_name(engine: str, name: str) -> None:
    assert SearchConfig(engine=engine).engine_name == name


@pytest.mark.parametrize(
    ("override", "learn_from"),
    [("learn_from=all", "all"), ("learn_from=a.db", "a.db"), ('learn_from=["a.db", "b.db"]', ("a.db", "b.db"))],
)
def test_what_to_learn_from_is_all_or_paths(tmp_path: Path, override: str, learn_from: object) -> None:
    config = merge(SearchConfig, None, [override])
    assert config.learn_from == learn_from
    (tmp_path / "config.toml").write_text(dump(config), encoding="utf-8")
    assert merge(SearchConfig, tmp_path / "config.toml") == config
