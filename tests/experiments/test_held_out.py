"""Splits by family: disjoint, in order of digest, whole but for what belongs to two; and the names that are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.held_out import FamilySplits, require_apart, require_known
from experiments.testing import SPLITS
from signatures.errors import UsageError
from signatures.records import Task


class Case(NamedTuple):
    task: Task
    families: tuple[str, ...]


def case(digest: str, *families: str) -> Case:
    return Case(Task(digest=digest, benchmark="toy", prompt=f"do {digest}"), families)


def splits(cases: Sequence[Case]) -> FamilySplits[Case]:
    return FamilySplits("toy", lambda: cases, dev=("red", "blue"), holdout=("green",))


CASES = st.lists(
    st.builds(
        lambda digest, families: case(digest, *sorted(families)),
        st.text("0123456789abcdef", min_size=8, max_size=8),
        st.sets(st.sampled_from(["red", "blue", "green", "grey", "black"]), min_size=1),
    ),
    unique_by=lambda one: one.task.digest,
)


def test_a_case_goes_where_a_family_of_its_is_held_out() -> None:
    held = splits([case("4", "red"), case("3", "grey"), case("2", "green", "grey"), case("1", "blue", "grey")])
    found = {split: [task.digest for task in held.tasks(split)] for split in SPLITS}
    assert found == {"search": ["3"], "dev": ["1", "4"], "holdout": ["2"]}
    assert held.families("dev") == {"1": ("blue", "grey"), "4": ("red",)}


def test_a_case_of_two_splits_is_in_none() -> None:
    held = splits([case("1", "red", "green"), case("2", "grey")])
    assert [len(held.cases(split)) for split in SPLITS] == [1, 0, 0]


@given(CASES)
def test_splits_are_disjoint_by_what_is_held_out(cases: list[Case]) -> None:
    held = splits(cases)
    found = {split: held.cases(split) for split in SPLITS}
    for split, members in found.items():
        digests = [one.task.digest for one in members]
        assert digests == sorted(digests)
        for one in members:
            assert bool({"red", "blue"} & set(one.families)) == (split == "dev")
            assert bool({"green"} & set(one.families)) == (split == "holdout")
    of_two = [one for one in cases if "green" in one.families and {"red", "blue"} & set(one.families)]
    somewhere = [one for members in found.values() for one in members]
    assert {one.task.digest for one in (*of_two, *somewhere)} == {one.task.digest for one in cases}
    assert len(of_two) + len(somewhere) == len(cases)


def test_cases_are_loaded_once_and_not_before_they_are_asked_for() -> None:
    loaded = []

    def load() -> list[Case]:
        loaded.append(1)
        return [case("1", "grey")]

    held = FamilySplits("toy", load, dev=("red",), holdout=("green",))
    for ask in (held.cases, held.tasks, held.families):
        with pytest.raises(UsageError, match="toy has no production tasks: its splits are search, dev and holdout"):
            ask("production")
    assert not loaded
    assert held.tasks("search") and not held.tasks("dev")
    assert loaded == [1]


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("pink", ("red", "green"), "toy has no colour 'pink'; it has red, green"),
        (6, (1, 2), "no colour 6; it has 1, 2"),
    ],
)
def test_an_unknown_family_is_named_with_those_there_are(name: object, known: Sequence[object], said: str) -> None:
    require_known("toy", "colour", known, known)
    with pytest.raises(UsageError, match=said):
        require_known("toy", "colour", (*known, name), known)


def test_a_family_that_both_name_is_an_overlap() -> None:
    require_apart("colours", ("red", "red"), ("green",))
    with pytest.raises(UsageError, match=r"^splits overlap: green, red is in both dev_colours and holdout_colours$"):
        require_apart("colours", ("red", "green", "blue"), ("green", "red"))
