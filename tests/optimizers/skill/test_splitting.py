from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.skill.question import Question
from optimizers.skill.splitting import Sizes, balanced, held_out, split
from signatures.errors import NoSupport
from tests.worlds.asked import LEGAL, question

SIZES = Sizes(demos=3, calibration=6, test=6)


def many(tasks: int = 60, families: int = 5) -> list[Question]:
    """Of each task a question with each of two answers; tasks of one or two families."""
    found = []
    for n in range(tasks):
        names = {f"f{n % families}", f"f{(n // families) % families}"}
        found += [question(f"t{n}", LEGAL[(n + k) % 3], families=tuple(sorted(names))) for k in range(2)]
    return found


def test_sides_share_no_family_and_no_task_and_are_balanced() -> None:
    found = split(many(), SIZES, seed=0)
    assert (len(found.demos), len(found.calibration), len(found.test)) == SIZES
    assert len(split(many(), SIZES._replace(demos=1), seed=0).demos) == 3
    everything = [*found.demos, *found.calibration, *found.test]
    assert len({one.task for one in everything}) == len(everything)
    assert all(set(one.families) & set(found.held_out) for one in found.test)
    assert not any(set(one.families) & set(found.held_out) for one in (*found.demos, *found.calibration))
    for side in (found.demos, found.calibration, found.test):
        assert len(set(Counter(one.label for one in side).values())) == 1
    assert found.answers == LEGAL and found.chance == pytest.approx(1 / 3)


@given(order=st.randoms(), seed=st.integers(0, 5))
def test_the_split_is_a_function_of_questions_and_seed(order: object, seed: int) -> None:
    questions = many()
    shuffled = list(questions)
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis names no type for it
    assert split(shuffled, SIZES, seed=seed) == split(questions, SIZES, seed=seed)


def test_an_answer_that_is_rare_is_never_asked_for_but_stays_legal() -> None:
    questions = [one for one in many() if one.label != "fanout_1"] + [question("rare", "fanout_1", families=("f0",))]
    found = split(questions, SIZES, seed=0)
    assert set(found.answers) == {"refine_last", "refine_best"}
    assert {one.legal for one in found.test} == {LEGAL}
    assert found.chance == pytest.approx(1 / 3)


def test_rounds_that_are_not_full_are_dropped() -> None:
    questions = [question(f"t{n}", LEGAL[n % 3]) for n in range(7)]
    assert len(balanced(questions, 24, LEGAL, seed=0)) == 6
    assert len(balanced(questions, 5, LEGAL, seed=0)) == 3
    assert balanced(questions[:2], 24, LEGAL, seed=0) == ()


def test_about_half_of_the_tasks_are_held_out() -> None:
    questions = [question(f"t{n}", families=(f"f{n % 10}",)) for n in range(100)]
    assert len(held_out(questions, seed=3)) == 5


@pytest.mark.parametrize(
    ("questions", "match"),
    [
        ([], "no recorded decision"),
        ([question("a"), question("b")], "cannot be split by family"),
        ([question(f"t{n}", families=(f"f{n % 4}",)) for n in range(40)], "fewer than two answers"),
    ],
)
def test_too_little_is_refused(questions: list[Question], match: str) -> None:
    with pytest.raises(NoSupport, match=match):
        split(questions, SIZES, seed=0)
