"""The config of a promotion against what a gate has fixed."""

from __future__ import annotations

import pytest

from experiments.gate.holdout.config import HoldoutConfig
from experiments.promote.config import GATED, PromoteConfig, as_gated
from signatures.errors import UsageError

GATE = HoldoutConfig(candidate="c.json", baseline="continue@3", benchmark="shop", turns=7, attempts=2, worker="w")


def test_what_was_gated_is_what_is_released() -> None:
    found = as_gated(PromoteConfig(exploration=0.1), GATE.model_dump(), "gate g")
    assert [getattr(found, field) for field in GATED] == [getattr(GATE, field) for field in GATED]
    assert found.exploration == 0.1


def test_what_was_asked_otherwise_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"turns=9: gate g was on turns=7"):
        as_gated(PromoteConfig(turns=9), GATE.model_dump(), "gate g")
    assert as_gated(PromoteConfig(turns=7), GATE.model_dump(), "gate g").turns == 7
