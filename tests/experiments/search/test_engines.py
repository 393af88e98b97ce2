"""The engine of a run: refused before anything is recorded, built from the run's parts, ended by the run's limits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import JsonValue

from controllers.baselines import seed_candidate
from controllers.scripted_engine import scripted_lm
from experiments.search.engines import kit_of, limits_of, require_engine, start_of
from experiments.search.searching import search_main
from optimizers.meter import Limits
from signatures.errors import UsageError
from tests.worlds.jobs import job_at
from tests.worlds.small import small

ACTIONS = ("none", "fan", "pump")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"engine": "gepa"}, "unknown engine 'gepa'; known: "),
        ({"engine": "mipro_search"}, "name one with --lm MODEL"),
        ({"engine": "nobodys.module:engine"}, "nobodys"),
        ({"engine": "tests.worlds.small:NAME"}, "is not a function"),
        ({"engine": "best_of_n", "engine_options": {"speed": 9}}, "speed"),
    ],
)
def test_an_engine_that_cannot_be_is_refused(tmp_path: Path, changed: dict[str, JsonValue], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        require_engine(small(tmp_path, **changed), None, ACTIONS)


def test_an_engine_of_ones_own_is_named_by_module_and_function(tmp_path: Path) -> None:
    config = small(tmp_path, engine="optimizers.search.null_search:engine", recorded_val=None)
    require_engine(config, None, ACTIONS)
    assert config.engine_name == "optimizers.search.null_search.engine"
    with job_at(tmp_path, engine=config.engine, recorded_val=None) as job:
        assert asyncio.run(search_main(job)).title == config.engine_name


def test_the_limits_of_the_config_are_those_of_the_search(tmp_path: Path) -> None:
    given = {"max_compute": 7, "max_tokens": 8, "max_usd": 0.5, "max_minutes": 2.0}
    assert limits_of(small(tmp_path, **given)) == Limits(compute=7, tokens=8, usd=0.5, minutes=2.0)
    assert limits_of(small(tmp_path)) == Limits()
    assert limits_of(small(tmp_path, live=True)) == Limits(attempts=60)


def test_a_search_starts_with_rules_unless_a_model_decides(tmp_path: Path) -> None:
    lm, _ = scripted_lm(lambda prompt: "")
    config = small(tmp_path)
    assert start_of(config, None) == seed_candidate()
    assert start_of(config.model_copy(update={"engine": "random_search"}), lm) == seed_candidate()
    for tier in ("frontier", "resident"):
        components = start_of(config.model_copy(update={"tier": tier}), lm).components
        assert set(components) == {"stop", "topology", "steer"}
        assert all(f'"tier":"{tier}"' in text and '"model":"scripted"' in text for text in components.values())


def test_the_kit_has_the_runs_parts(tmp_path: Path) -> None:
    with job_at(tmp_path, engine="best_of_n", engine_options={"n": 3}) as job:
        kit = kit_of(job)
        assert kit.folder == job.folder / "best_of_n" and kit.folder.is_dir()
        assert (kit.options, kit.lm) == ({"n": 3}, None)
        assert kit.space is job.space and kit.replay is job.replay
        assert {state.policy for state in kit.states} == {"stop", "topology", "steer"}
        assert kit.steer_legal == job.wired.actions
