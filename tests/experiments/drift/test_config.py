"""The config of `drift_run`: its defaults are the limits' own, and what cannot be is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from experiments.config import dump, merge
from experiments.drift.config import DriftConfig
from experiments.drift.measuring import limits_of
from optimizers.drift.records import Limits


def test_the_defaults_are_the_registered_limits() -> None:
    assert limits_of(DriftConfig()) == Limits()


def test_it_is_kept_and_read_back(tmp_path: Path) -> None:
    config = DriftConfig(name="m", alpha=0.01)
    (tmp_path / "c.toml").write_text(dump(config), encoding="utf-8")
    assert merge(DriftConfig, tmp_path / "c.toml") == config


@pytest.mark.parametrize("bad", [{"alpha": 0.7}, {"window": 1}, {"name": "../x"}])
def test_what_cannot_be_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DriftConfig.model_validate(bad)
