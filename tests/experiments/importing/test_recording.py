"""What a recording may be."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from experiments.importing.recording import Drawn, Recording, Rollout
from signatures.records import WorkerFingerprint

WORKER = WorkerFingerprint(name="w")


def test_a_failure_belongs_to_infrastructure() -> None:
    assert Rollout(outcome="infra_error", failure="gone").failure == "gone"
    for wrong in ({"outcome": "infra_error"}, {"failure": "gone"}):
        with pytest.raises(ValidationError, match="infra_error"):
            Rollout.model_validate(wrong)


def test_a_selected_attempt_is_there() -> None:
    with pytest.raises(ValidationError, match="no attempt 1"):
        Recording(benchmark="b", key="k", worker=WORKER, rollouts=(Rollout(),), selected=1)


def test_a_draw_has_all_its_probabilities_or_none() -> None:
    blind = Drawn(step=0, policy="stop", action="a", legal=("a", "b"))
    assert blind.propensity is None
    for probabilities in ({"a": 1.0}, {"a": 0.5, "b": 0.6}):
        with pytest.raises(ValidationError, match="sum to 1"):
            Drawn.model_validate({**blind.model_dump(), "probabilities": probabilities, "propensity": 0.5})
