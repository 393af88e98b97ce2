"""Ranges and margins from the command line: for all, for one, and what is refused."""

from __future__ import annotations

import pytest

from experiments.gate.pairs.options import Range, margins_of, ranges_of
from signatures.errors import UsageError

NAMES = ("primary", "fast")


def test_no_option_means_zero_to_one_and_five_percent_of_it() -> None:
    ranges = ranges_of(NAMES, ())
    assert ranges == {"primary": Range(0, 1), "fast": Range(0, 1)}
    assert margins_of(ranges, ()) == {"fast": pytest.approx(0.05)}


def test_one_range_is_for_all_and_a_named_one_goes_first() -> None:
    ranges = ranges_of(NAMES, ("-1,1", "fast=0,200"))
    assert ranges == {"primary": Range(-1, 1), "fast": Range(0, 200)}
    assert (ranges["fast"].width, ranges["fast"].points) == (200, 0.5)
    assert margins_of(ranges, ()) == {"fast": pytest.approx(10)}


def test_a_margin_is_in_units_of_the_value() -> None:
    ranges = ranges_of((*NAMES, "clean"), ("0,10",))
    assert margins_of(ranges, ("2", "clean=0")) == {"fast": 2.0, "clean": 0.0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("1,0",), "lo must be below hi"),
        (("0,0",), "lo must be below hi"),
        (("0,inf",), "finite"),
        (("nan,1",), "lo must be below hi"),
        (("0;1",), "expected lo,hi"),
        (("0,1,2",), "expected lo,hi"),
        (("",), "expected lo,hi"),
        (("slow=0,1",), "no objective of that name"),
        (("0,1", "0,2"), "twice"),
        (("fast=0,1", "fast=0,2"), "twice"),
    ],
)
def test_a_range_that_is_none_is_refused(given: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ranges_of(NAMES, given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("-0.1",), "0 or more"),
        (("1.5",), "no difference of fast can be above 1"),
        (("nan",), "0 or more"),
        (("five",), "expected a number"),
        (("primary=0.1",), "no objective of that name can have one; there are fast"),
        (("slow=0.1",), "no objective of that name"),
    ],
)
def test_a_margin_that_is_none_is_refused(given: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        margins_of(ranges_of(NAMES, ()), given)
