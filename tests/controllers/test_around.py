"""What is left and what is observed follows from the attempts alone, as the loop has it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controllers.around import EpisodeAround, left_after
from controllers.observe import NoObserver, observe
from controllers.progress import Progress
from controllers.spec import EpisodeSpec
from signatures.records import Amounts, Cost
from tests.controllers.parts import a_spec, seen

AMOUNT = st.none() | st.integers(0, 12)


@given(AMOUNT, AMOUNT, st.none() | st.integers(1, 4), st.lists(st.integers(0, 5), max_size=5))
def test_the_attempts_left_are_those_of_the_loop(
    attempts: int | None, turns: int | None, each: int | None, taken: list[int]
) -> None:
    spec = a_spec(attempts=attempts, turns=turns, each=each)
    progress = Progress(spec, "e")
    history = [seen(n, cost=Cost(turns=cost, usd=0.25)) for n, cost in enumerate(taken)]
    for one in history:
        progress.budget.bill(Amounts(attempts=1, turns=one.attempt.cost.turns))
    left = left_after(history, granted=spec.granted, turns_per_attempt=each)
    limited = attempts is not None or turns is not None
    assert (left.attempts if limited else progress.attempts_left()) == progress.attempts_left()
    assert left.turns == progress.turns_left()


def test_money_left_is_less_what_attempts_and_their_steers_cost() -> None:
    history = [seen(0, cost=Cost(usd=0.5)), seen(1)]
    assert left_after(history, granted=Amounts(usd=2.0), turns_per_attempt=None).usd == 1.5
    assert left_after(history, granted=Amounts(attempts=3), turns_per_attempt=None) == Amounts(attempts=1)


def test_features_are_those_of_that_moment() -> None:
    spec: EpisodeSpec = a_spec(attempts=3, steers=("none", "up"))
    around = Progress(spec, "e").around(NoObserver())
    assert isinstance(around, EpisodeAround) and around.steers == ("none", "up")
    history = (seen(0, correct=0.2), seen(1, parent=0, correct=0.5))
    first = observe(history[:1], NoObserver(), granted=spec.granted, left=Amounts(attempts=2))
    assert around.observed(history[:1]) == first
    assert around.observed(history)["attempts_left"] == 1.0


def test_an_episode_has_one() -> None:
    """Programs remember by it."""
    progress = Progress(a_spec(), "e")
    assert progress.around(NoObserver()) is progress.around(NoObserver())
