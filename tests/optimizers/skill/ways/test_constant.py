from __future__ import annotations

import pytest

from optimizers.skill.ways.constant import Constant
from signatures.errors import NoSupport
from tests.worlds.asked import question


def test_the_most_frequent_answer_is_always_given_and_the_first_offered_of_equals() -> None:
    known = [(question("a", "fanout_1"), None), (question("b", "refine_best"), None)]
    assert Constant().fit(known)(question("c"), None) == "refine_best"
    assert Constant().fit([*known, (question("d", "fanout_1"), None)])(question("c"), None) == "fanout_1"
    with pytest.raises(NoSupport):
        Constant().fit([])
