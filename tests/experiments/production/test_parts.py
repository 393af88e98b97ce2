"""What is looked at before a production run starts: where releases come from, what fits, what it may cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from controllers.release import FolderSource, load_champion
from experiments.production.config import ProductionConfig
from experiments.production.parts import Prepared, cost_line, policy_models, prepare
from experiments.registry import RegistrySource
from signatures.errors import ReleaseRefused, StoreError, UsageError
from signatures.records import Amounts
from tests.worlds.shipped import BENCHMARK, ship


def prepared(root: Path, **changed: JsonValue) -> Prepared:
    given = {"benchmark": BENCHMARK, "release": str(root / "release"), "root": str(root / "runs"), **changed}
    return prepare(ProductionConfig.model_validate(given))


def told(line: str) -> None:
    raise AssertionError(line)


def test_preparing_writes_nothing(tmp_path: Path) -> None:
    given = prepared(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert given.corpus == tmp_path / "runs" / "corpus-planted.db"
    assert given.prompts == tmp_path / "runs" / "production-planted.db"


def test_a_folder_or_the_registrys_alias_is_watched(tmp_path: Path) -> None:
    release = ship(tmp_path / "release")
    assert prepared(tmp_path).watch(told).current().release == release
    source = prepared(tmp_path, release=None, alias="challenger", name="machines").watch(told).source
    assert isinstance(source, RegistrySource)
    assert (source.name, source.alias) == ("machines", "challenger")


def test_without_a_cache_nothing_is_written(tmp_path: Path) -> None:
    ship(tmp_path / "release")
    prepared(tmp_path).watch(told, cached=False).current()
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_is_gone_is_served_from_the_cache(tmp_path: Path) -> None:
    release = ship(tmp_path / "release")
    prepared(tmp_path).watch(told).current()
    (tmp_path / "release").rename(tmp_path / "away")
    lines: list[str] = []
    assert prepared(tmp_path).watch(lines.append).current().release == release
    assert lines and "goes on" in lines[0]
    with pytest.raises(StoreError):
        prepared(tmp_path).watch(lines.append, cached=False).current()


def test_another_worker_or_another_name_is_refused_by_field(tmp_path: Path) -> None:
    ship(tmp_path / "release")
    with pytest.raises(ReleaseRefused, match=r"fingerprints\.worker\.params"):
        prepared(tmp_path, options={"noise": 0.4}).watch(told).current()
    with pytest.raises(ReleaseRefused, match="name: 'planted' does not fit 'machines'"):
        prepared(tmp_path, name="machines").watch(told).current()


def test_a_release_of_another_benchmark_or_with_an_unknown_steer_does_not_fit(tmp_path: Path) -> None:
    given = prepared(tmp_path)
    ship(tmp_path / "release", benchmark="telecom")
    with pytest.raises(UsageError, match="was made for telecom, not planted"):
        given.require_fit(load_champion(FolderSource(tmp_path / "release")))
    ship(tmp_path / "release", steer_legal=("none", "text"))
    with pytest.raises(UsageError, match="may steer by 'text', which there is not here; name its model with --lm"):
        given.require_fit(load_champion(FolderSource(tmp_path / "release")))


def test_runs_are_the_same_where_tasks_worker_and_options_are(tmp_path: Path) -> None:
    one = prepared(tmp_path).identity
    assert prepared(tmp_path, concurrency=1, release=None).identity == one
    others: tuple[dict[str, JsonValue], ...] = ({"tasks": 3}, {"split": "search"}, {"options": {"noise": 0.4}})
    for changed in others:
        assert prepared(tmp_path, **changed).identity != one


def test_the_cost_is_what_the_release_grants(tmp_path: Path) -> None:
    given = prepared(tmp_path)
    ship(tmp_path / "release")
    champion = load_champion(FolderSource(tmp_path / "release"))
    assert cost_line(given, champion, 20) == "at most 60 attempts in 20 episodes of 3; 180 worker turns"
    ship(tmp_path / "release", granted=Amounts(attempts=2, usd=0.5))
    champion = load_champion(FolderSource(tmp_path / "release"))
    assert cost_line(given, champion, 1000) == "at most 2,000 attempts in 1,000 episodes of 2; $500.00"
    ship(tmp_path / "release", granted=Amounts(usd=0.5))
    assert "any number of attempts" in cost_line(given, load_champion(FolderSource(tmp_path / "release")), 3)


def test_several_models_are_told_apart_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert policy_models(ProductionConfig()) is None
    one = policy_models(ProductionConfig(lm="openai/a"))
    assert getattr(one, "model", None) == "openai/a"
    two = policy_models(ProductionConfig(lm="openai/a, openai/b"))
    assert isinstance(two, dict) and set(two) == {"openai/a", "openai/b"}
