from __future__ import annotations

import pytest

from optimizers.skill.ways.rules import Rules
from signatures.errors import NoSupport
from tests.worlds.asked import question


def test_a_rule_that_separates_the_answers_is_found() -> None:
    known = [
        (question(f"t{n}", "fanout_1" if n % 2 else "refine_best", features={"correct": n % 2 * 0.5 + n / 100}), None)
        for n in range(20)
    ]
    decide = Rules().fit(known)
    assert decide(question("x", features={"correct": 0.9}), None) == "fanout_1"
    assert decide(question("x", features={"correct": 0.0}), None) == "refine_best"
    with pytest.raises(NoSupport):
        Rules().fit([])
