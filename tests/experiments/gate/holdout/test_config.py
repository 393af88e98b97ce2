"""The config of a gate: what two gates must share to be the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.config import dump, merge
from experiments.gate.holdout.config import CIRCUMSTANCES, HoldoutConfig
from signatures.errors import UsageError

GIVEN = ("candidate=c.json", "baseline=continue@3")


def test_it_is_kept_and_read_back(tmp_path: Path) -> None:
    config = merge(HoldoutConfig, None, [*GIVEN, "margins.fast=0.1", "min_effect=0.05", "options.noise=0.2"])
    file = tmp_path / "gate.toml"
    file.write_text(dump(config), encoding="utf-8")
    assert merge(HoldoutConfig, file) == config


def test_where_it_runs_and_who_watches_is_not_its_identity() -> None:
    here = merge(HoldoutConfig, None, GIVEN)
    there = merge(HoldoutConfig, None, [*GIVEN, "root=elsewhere", "concurrency=1", "tracking=false"])
    assert here.identity == there.identity
    assert set(here.identity) == set(HoldoutConfig.model_fields) - CIRCUMSTANCES


@pytest.mark.parametrize(
    "override", ["alpha=0.5", "alpha=0", "min_effect=0", "min_effect=2", "margins.fast=-0.1", "slices=0", "repeats=0"]
)
def test_what_cannot_be_is_refused(override: str) -> None:
    with pytest.raises(UsageError):
        merge(HoldoutConfig, None, [*GIVEN, override])


def test_both_sides_must_be_named() -> None:
    with pytest.raises(UsageError, match="baseline"):
        merge(HoldoutConfig, None, ["candidate=c.json"])
