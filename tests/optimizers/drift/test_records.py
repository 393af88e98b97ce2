"""The records of drift go to JSON and back, and limits are limits."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from optimizers.drift.records import FeatureDrift, Limits


def test_a_finding_goes_to_json_and_back() -> None:
    one = FeatureDrift(feature="f", reference_n=3, n=2, psi=0.1, p=0.5, window=(1, 32), window_psi=0.2)
    assert FeatureDrift.model_validate_json(one.model_dump_json()) == one


@pytest.mark.parametrize("bad", [{"alpha": 0.0}, {"alpha": 0.5}, {"window": 3}, {"tolerance": 1.5}, {"least_psi": -1}])
def test_limits_that_decide_nothing_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Limits.model_validate(bad)
