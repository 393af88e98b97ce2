from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.skill.ways.centred import Centred
from signatures.errors import NoSupport
from tests.worlds.asked import LEGAL, question, reply

LOGS = st.tuples(*[st.integers(-1000, 0).map(lambda n: n / 100)] * 3)


def test_what_a_model_always_says_cancels() -> None:
    known = [(question("a"), reply(-0.1, -3.0, -4.0)), (question("b"), reply(-0.3, -5.0, -2.0))]
    found = Centred(demos=False).calibration(known)
    assert found.bias == pytest.approx(dict(zip(LEGAL, (-0.2, -4.0, -3.0), strict=True)))
    assert Centred(demos=False).fit(known)(question("c"), reply(-0.2, -3.0, -3.0)) == "refine_best"


@given(known=st.lists(LOGS, min_size=1, max_size=6), asked=LOGS, moved=LOGS)
def test_a_preference_that_is_in_every_answer_changes_no_choice(
    known: list[tuple[float, float, float]], asked: tuple[float, float, float], moved: tuple[float, float, float]
) -> None:
    def shifted(values: tuple[float, float, float]) -> tuple[float, ...]:
        return tuple(a + b for a, b in zip(values, moved, strict=True))

    scores = [value - sum(one[n] for one in known) / len(known) for n, value in enumerate(asked)]
    best = sorted(scores)
    if best[-1] - best[-2] < 1e-6:  # rounding decides
        return
    plain = Centred(demos=False).fit([(question("a"), reply(*one)) for one in known])
    other = Centred(demos=False).fit([(question("a"), reply(*shifted(one))) for one in known])
    assert plain(question("b"), reply(*asked)) == other(question("b"), reply(*shifted(asked)))


def test_without_an_answer_there_is_nothing_to_centre_on() -> None:
    with pytest.raises(NoSupport):
        Centred(demos=True).fit([(question("a"), None)])
