"""Random children: within the space, told in a sentence, a function of the random numbers."""

from __future__ import annotations

import random

import pytest

from controllers.baselines import seed_candidate
from controllers.program import controller_of
from optimizers.drawing import drawn, editable, require_rules
from optimizers.testing_world import SPACE
from signatures.errors import UsageError
from signatures.records import Candidate


@pytest.mark.parametrize("seed", range(20))
def test_a_child_loads_and_is_told(seed: int) -> None:
    child, hypothesis = drawn(seed_candidate(), SPACE, random.Random(seed))
    assert controller_of(child).candidate == child
    assert hypothesis.endswith("help.") and "random edit" in hypothesis
    assert (child, hypothesis) == drawn(seed_candidate(), SPACE, random.Random(seed))


def test_what_has_no_rules_is_refused() -> None:
    require_rules(seed_candidate(), SPACE, "best_of_n")
    with pytest.raises(UsageError, match="best_of_n edits rules, and the start has no component stop"):
        require_rules(Candidate(components={"program": "{}"}), SPACE, "best_of_n")
    model = {**seed_candidate().components, "steer": '{"tier":"frontier","model":"m","instructions":"x"}'}
    with pytest.raises(UsageError, match="steer of the start has none"):
        require_rules(Candidate(components=model), SPACE, "best_of_n")
    assert editable(seed_candidate(), SPACE) and not editable(Candidate(components=model), SPACE)
    assert not editable(Candidate(components={"program": "{}"}), SPACE)
