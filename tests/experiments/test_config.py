"""Configs: files, overrides and dumps, and one clear line for each mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, JsonValue

from experiments.config import RunConfig, dump, merge
from signatures.errors import UsageError


class InnerConfig(RunConfig):
    attempts: int = Field(default=10, ge=1)
    usd: float | None = None


class SampleConfig(RunConfig):
    seed: int = 0
    benchmark: Literal["telecom", "toy"] = "telecom"
    lm: str | None = None
    noise: float = Field(default=0.15, ge=0, le=1)
    resume: bool = False
    arms: tuple[str, ...] = ("random@k", "placebo@k")
    root: Path = Path("runs")
    level: int | str = 1
    options: Mapping[str, float] = Field(default_factory=dict)
    free: Mapping[str, JsonValue] = Field(default_factory=dict)
    budget: InnerConfig = InnerConfig()
    cap: InnerConfig | None = None


TEXT = st.text(st.characters(exclude_categories=("Cs",)))
INNER = st.builds(InnerConfig, attempts=st.integers(1, 10**6), usd=st.none() | st.floats(0, 1e9))
CONFIGS = st.builds(
    SampleConfig,
    seed=st.integers(),
    benchmark=st.sampled_from(["telecom", "toy"]),
    lm=st.none() | TEXT,
    noise=st.floats(0, 1),
    resume=st.booleans(),
    arms=st.lists(TEXT, max_size=3).map(tuple),
    root=st.sampled_from([Path("runs"), Path("/var/elsewhere"), Path("a b/ü")]),
    level=st.integers() | TEXT,
    options=st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    free=st.dictionaries(TEXT, st.booleans() | st.integers() | TEXT | st.lists(TEXT, max_size=2), max_size=3),
    budget=INNER,
    cap=st.none() | INNER,
)


def refusal(file: Path | None = None, *overrides: str) -> str:
    """The message of the refusal, which must be one line."""
    with pytest.raises(UsageError) as caught:
        merge(SampleConfig, file, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(folder: Path, text: str) -> Path:
    file = folder / "run.toml"
    file.write_text(text, encoding="utf-8")
    return file


@given(CONFIGS)
def test_a_dumped_config_is_read_back_equal(tmp_path_factory: pytest.TempPathFactory, config: SampleConfig) -> None:
    file = written(tmp_path_factory.getbasetemp(), dump(config))
    assert merge(SampleConfig, file) == config


@given(CONFIGS)
def test_overrides_say_the_same_as_a_file(config: SampleConfig) -> None:
    values = config.model_dump(mode="json")
    assert merge(SampleConfig, None, [f"{key}={json.dumps(value)}" for key, value in values.items()]) == config


def test_later_overrides_win_over_earlier_ones_and_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "seed = 1\nnoise = 0.5\n[budget]\nattempts = 5\nusd = 2\n")
    config = merge(SampleConfig, file, ["seed=2", "seed=3", "budget.attempts=7", "cap.attempts=4", "options.a=0.5"])
    assert (config.seed, config.noise) == (3, 0.5)
    assert config.budget == InnerConfig(attempts=7, usd=2)
    assert (config.cap, config.options) == (InnerConfig(attempts=4), {"a": 0.5})


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("lm=openai/x-1", "openai/x-1"),
        ('lm="quoted"', "quoted"),
        ("lm=null", None),
        ("lm=4", "4"),
        ("lm=a=b", "a=b"),
        ("lm=", ""),
        ("level=4", 4),
        ("level=four", "four"),
        ("root=some where", Path("some where")),
        ("benchmark=toy", "toy"),
        ("free.a=bare", {"a": "bare"}),
        ("free.a=3", {"a": 3}),
        ("free.a.b=[1]", {"a": {"b": [1]}}),
    ],
)
def test_a_text_field_takes_a_bare_word(override: str, expected: object) -> None:
    assert getattr(merge(SampleConfig, None, [override]), re.split("[.=]", override)[0]) == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sede=1", "unknown key 'sede'; did you mean 'seed'?"),
        ("budget.atempts=1", "unknown key 'budget.atempts'; did you mean 'budget.attempts'?"),
        ("budget.zzz=1", "unknown key 'budget.zzz'; known: budget.attempts, budget.usd"),
        ("seed.x=1", "unknown key 'seed.x'; seed is not a table"),
        ("seed", "override 'seed': expected KEY=JSON, such as seed=3"),
        ("=3", "override '=3': expected KEY=JSON, such as seed=3"),
        ("budget.=3", "override 'budget.=3': expected KEY=JSON"),
        ("seed=three", "override 'seed=three': not JSON:"),
        ("arms=[1,", "override 'arms=[1,': not JSON:"),
        ("noise=NaN", "override 'noise=NaN': not JSON: NaN is not a number that a config may hold"),
        ("noise=1.5", "noise: Input should be less than or equal to 1 (got 1.5)"),
        ('seed="3"', "seed: Input should be a valid integer (got '3')"),
        ("benchmark=telcom", "benchmark: Input should be 'telecom' or 'toy' (got 'telcom')"),
        ("free.a=null", "config: TOML has no place for None; leave out what has no value"),
        ('free={"a": [null]}', "config: TOML has no place for None; leave out what has no value"),
        ("budget.attempts=0", "budget.attempts: Input should be greater than or equal to 1 (got 0)"),
    ],
)
def test_a_bad_override_gives_one_clear_line(override: str, message: str) -> None:
    assert message in refusal(None, override)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 1\nnoise = \n", "run.toml:2: not TOML: Invalid value"),
        ("seed = 1\nlm = 'x", "run.toml:2: not TOML:"),
        ("sede = 1", "run.toml: unknown key 'sede'; did you mean 'seed'?"),
        ("[budget]\natempts = 1", "run.toml: unknown key 'budget.atempts'; did you mean 'budget.attempts'?"),
        ("seed = 'x'", "run.toml: seed: Input should be a valid integer (got 'x')"),
        ("noise = nan", "run.toml: noise: Input should be a finite number"),
        ("seed = 1979-05-27", "run.toml: seed: Input should be a valid integer"),
        ("budget = 3", "run.toml: budget: "),
    ],
)
def test_a_bad_file_gives_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(written(tmp_path, text))


def test_an_override_inside_a_plain_value_is_refused(tmp_path: Path) -> None:
    assert "budget is a value, not a table" in refusal(written(tmp_path, "budget = 3"), "budget.attempts=1")


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path / 'absent.toml'}: cannot read this config" in refusal(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"lm = '\xe9'")
    assert "latin.toml: cannot read this config" in refusal(tmp_path / "latin.toml")


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert merge(SampleConfig, written(tmp_path, "")) == SampleConfig() == merge(SampleConfig)


def test_a_field_that_toml_could_not_hold_is_refused() -> None:
    class OddConfig(RunConfig):
        limit: int | None = 5

    assert dump(OddConfig()) == "limit = 5\n"
    with pytest.raises(TypeError, match=r"OddConfig\.limit may be None, so it must default to None"):
        dump(OddConfig(limit=None))


def test_a_plain_pydantic_model_will_do() -> None:
    class PlainConfig(BaseModel):
        seed: int = 0

    assert merge(PlainConfig, None, ["seed=4"]) == PlainConfig(seed=4)
    with pytest.raises(UsageError, match="did you mean 'seed'"):
        merge(PlainConfig, None, ["seeed=4"])
