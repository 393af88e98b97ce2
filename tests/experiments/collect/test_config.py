"""The config of collecting: its limits, and the command line that gives it back."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from pydantic import JsonValue

from experiments.collect.config import CollectConfig, command_of
from experiments.collect_run import resolve
from experiments.config import dump, merge
from signatures.errors import UsageError


def test_a_floor_below_a_twentieth_is_refused() -> None:
    with pytest.raises(UsageError, match=r"floor: Input should be greater than or equal to 0\.05 \(got 0\.049\)"):
        merge(CollectConfig, None, ["floor=0.049"])
    assert merge(CollectConfig, None, ["floor=0.05"]).floor == 0.05


def test_trees_are_at_most_three_deep() -> None:
    with pytest.raises(UsageError, match="depth: Input should be less than or equal to 3"):
        merge(CollectConfig, None, ["depth=4"])


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"plan": "branching", "tasks": 7, "seed": 3},
        {"options": {"noise": 0.3}, "worker": "a module:Worker", "max_usd": 1.5, "floor": 0.08},
        {"max_attempts": 200, "attempt_usd": 0.01, "corpus": "my own.db"},
    ],
)
def test_the_command_of_a_config_gives_it_back(given: dict[str, JsonValue]) -> None:
    config = CollectConfig.model_validate(given)
    program, *words = shlex.split(command_of(config, top_up=9).removeprefix("python -m "))
    assert (program, words[:2]) == ("experiments.collect_run", ["--top-up", "9"])
    assert resolve(None, words[2:], {"top_up": 9}) == config.model_copy(update={"top_up": 9})
    assert "--top-up" not in command_of(config)


def test_flags_come_last(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(dump(CollectConfig(seed=1, tasks=5)))
    config = resolve(tmp_path / "config.toml", ["seed=2", "roots=4"], {"seed": 3, "worker": None})
    assert (config.seed, config.tasks, config.roots) == (3, 5, 4)
