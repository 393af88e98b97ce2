"""The five questions of refactory: what is asked, the functions to write, and the visible tests.

Source of the questions and of the programs: Hu, Ahmed, Mechtaev, Leong, Roychoudhury, "Re-factoring based program
repair applied to programming assignments", ASE 2019. The wording is ours. The visible tests are ordinary inputs, drawn
once from a seed, and one empty one; no repeated, negative or large numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from signatures.digest import seed_of
from signatures.records import Directive

BENCHMARK: Final = "refactory"
VISIBLE: Final = 8
"""Visible tests of a question."""

DIRECTIVES: Final = (
    Directive(action="ranges", text="Check ranges, slices and indexes: where they begin and end."),
    Directive(action="conditions", text="Check the conditions: comparisons, negations, branches."),
    Directive(action="returns", text="Check what is returned, and where the return stands."),
    Directive(action="empty", text="Check the start values and what an empty input gives."),
    Directive(action="order", text="Check the order of the result: sorting, reversing, first and last."),
    Directive(action="loops", text="Check the loops: what ends them, and what they change while they run."),
    Directive(action="rewrite", text="Rewrite a line in another way instead of changing a sign in it."),
    Directive(action="untried", text="Try a kind of change that was not tried yet."),
)


class Question(NamedTuple):
    """One question. A call is Python text, such as `search(3, [1, 5])`: it is also the name of the test."""

    number: int
    functions: tuple[str, ...]
    text: str
    empty: str
    "a call with an empty input"
    ordinary: Callable[[random.Random], str]
    "draws one ordinary call"

    def visible(self) -> tuple[str, ...]:
        """`VISIBLE` different calls, always the same; the first is the empty one."""
        rng = random.Random(seed_of(BENCHMARK, "visible", self.number))
        calls = dict.fromkeys((self.empty,))
        while len(calls) < VISIBLE:
            calls[self.ordinary(rng)] = None
        return tuple(calls)


def _search(rng: random.Random) -> str:
    numbers = sorted(rng.sample(range(1, 30), rng.randint(3, 6)))
    return f"search({rng.randint(0, 31)}, {numbers})"


def _birthdays(rng: random.Random) -> str:
    months, days = ("May", "June", "July", "August"), tuple(str(day) for day in range(14, 20))
    pairs = [(month, day) for month in months for day in days]
    birthdays = tuple(sorted(rng.sample(pairs, 6)))
    name = rng.choice(("unique_day", "unique_month", "contains_unique_day", "contains_unique_day"))
    asked = rng.choice(birthdays)
    return f"{name}({asked[1] if name == 'unique_day' else asked[0]!r}, {birthdays})"


def _remove_extras(rng: random.Random) -> str:
    return f"remove_extras({[rng.randint(1, 6) for _ in range(rng.randint(3, 7))]})"


def _sort_age(rng: random.Random) -> str:
    ages = rng.sample(range(18, 60), rng.randint(2, 5))
    return f"sort_age({[(rng.choice('MF'), age) for age in ages]})"


def _top_k(rng: random.Random) -> str:
    numbers = rng.sample(range(1, 40), rng.randint(4, 7))
    return f"top_k({numbers}, {rng.randint(1, len(numbers) - 1)})"


_ALL: Final = (
    Question(
        1,
        ("search",),
        "Write search(x, seq): seq is a sorted sequence (a list or a tuple, smallest first). It returns the position "
        "at which x is to be inserted so that seq stays sorted, the leftmost such position where there are several.",
        "search(7, [])",
        _search,
    ),
    Question(
        2,
        ("unique_day", "unique_month", "contains_unique_day"),
        "A birthday is a tuple (month, day) of two texts, such as ('May', '15'); possible_birthdays is a tuple of "
        "them. Write three functions that return True or False. unique_day(day, possible_birthdays): exactly one of "
        "the birthdays is on that day. unique_month(month, possible_birthdays): exactly one of them is in that month. "
        "contains_unique_day(month, possible_birthdays): that month has a birthday whose day is unique among all.",
        "contains_unique_day('May', ())",
        _birthdays,
    ),
    Question(
        3,
        ("remove_extras",),
        "Write remove_extras(lst): it returns a list with the elements of the list lst, each once, in the order in "
        "which they first occur in lst.",
        "remove_extras([])",
        _remove_extras,
    ),
    Question(
        4,
        ("sort_age",),
        "Write sort_age(lst): lst is a list of people, each a tuple (gender, age), such as ('F', 19). It returns a "
        "list of the same people, the oldest first. No two people have the same age.",
        "sort_age([])",
        _sort_age,
    ),
    Question(
        5,
        ("top_k",),
        "Write top_k(lst, k): lst is a list of whole numbers and k is at most its length. It returns a list of the k "
        "largest elements of lst, the largest first; an element that occurs twice counts twice.",
        "top_k([], 0)",
        _top_k,
    ),
)
QUESTIONS: Final[Mapping[int, Question]] = {question.number: question for question in _ALL}


def prompt(question: Question, prelude: str, program: str) -> str:
    """What a worker is told: the question, the wrong program, and how to answer."""
    before = (
        f"These lines stand before the program:\n\n```python\n{prelude.strip()}\n```\n\n" if prelude.strip() else ""
    )
    return (
        f"A student was asked:\n\n{question.text}\n\n{before}This answer of the student is wrong:\n\n"
        f"```python\n{program.strip()}\n```\n\n"
        "Repair it: change as little as is needed. Answer with the whole program in one ```python block."
    )
