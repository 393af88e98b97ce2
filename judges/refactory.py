"""The refactory judge: hidden tests of each question, against what the reference program answers.

Every group of hidden calls is drawn once from a seed; none of them is a visible test. A program passes if all visible
and all hidden calls give what the reference gives. Expected answers never enter the sandbox: they are compared outside.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from controllers.worlds.refactory import RefactoryWorld, Tests, agrees
from controllers.worlds.refactory_questions import BENCHMARK, QUESTIONS
from judges.records import Judgement
from signatures.digest import digest_of, seed_of
from signatures.records import Task

STEPS: Final = 50_000
"""Lines that one hidden call may execute: its inputs are larger than the visible ones."""
PER_GROUP: Final = 8
_MONTHS: Final = ("May", "June", "July", "August", "March")
_ALIKE: Final = ("Mar", "March", "May", "Ma")
_Groups = Mapping[str, Callable[[random.Random], str]]


class RefactoryJudge:
    """All calls agree with the reference: 1, else 0. `parts` says which groups did."""

    def __init__(self, world: RefactoryWorld, hidden: Mapping[int, Mapping[str, Tests]]) -> None:
        """`hidden`: question -> group -> call -> what the reference answers."""
        self._world = world
        self._tests = {number: {"visible": world.tests(number), **groups} for number, groups in hidden.items()}
        self._revision = f"refactory hidden tests {digest_of({str(n): t for n, t in self._tests.items()})}"

    @property
    def revision(self) -> str:
        """The digest of all tests and their answers."""
        return self._revision

    @property
    def deterministic(self) -> bool:
        """Yes: programs are stopped after a number of lines, not of seconds."""
        return True

    async def judge(self, task: Task, output: str) -> Judgement:
        """Run all calls of the task's question on the output; no score for a task it does not know."""
        number = self._world.question_of(task.digest)
        if number is None or number not in self._tests:
            return Judgement(score=None, reason="no tests are known for this task")
        groups = self._tests[number]
        calls = list(dict.fromkeys(call for tests in groups.values() for call in tests))
        [report] = await self._world.run(number, [self._world.code_of(output)], calls, steps=STEPS)
        found = dict(zip(calls, report, strict=True))
        parts = {
            name: all(agrees(found[call], expected) for call, expected in tests.items())
            for name, tests in groups.items()
        }
        failed = [name for name, held in parts.items() if not held]
        return Judgement(score=float(not failed), reason=", ".join(failed), parts=parts)


def hidden_calls(number: int) -> dict[str, tuple[str, ...]]:
    """Group -> its calls for a question, none of them visible, none in two groups. Always the same."""
    known = set(QUESTIONS[number].visible())
    groups: dict[str, tuple[str, ...]] = {}
    for name, draw in _GROUPS[number].items():
        rng = random.Random(seed_of(BENCHMARK, "hidden", number, name))
        drawn = dict.fromkeys(draw(rng) for _ in range(PER_GROUP))
        if new := tuple(call for call in drawn if call not in known):
            groups[name] = new
            known.update(new)
    return groups


def _search(
    low: int,
    high: int,
    *,
    least: int = 1,
    most: int = 8,
    ask: str = "any",
    kind: type[list[int]] | type[tuple[int, ...]] = list,
) -> Callable[[random.Random], str]:
    """Calls of `search` with numbers of [low, high]; `ask`: any number, one that occurs, or one beyond an end."""

    def draw(rng: random.Random) -> str:
        numbers = sorted(rng.randint(low, high) for _ in range(rng.randint(least, most)))
        asked = rng.randint(low - 2, high + 2)
        if ask == "member":
            asked = rng.choice(numbers)
        elif ask == "end":
            asked = rng.choice((numbers[0] - 1, numbers[0], numbers[-1], numbers[-1] + 1))
        return f"search({asked}, {kind(numbers)})"

    return draw


def _birthdays(
    name: str, months: Sequence[str], *, days: tuple[int, int], most: int, stranger: bool = False
) -> Callable[[random.Random], str]:
    """Calls of one of the three functions; `stranger`: it asks for what may not occur."""

    def draw(rng: random.Random) -> str:
        pool = [(month, str(day)) for month in months for day in range(*days)]
        birthdays = tuple(rng.sample(pool, rng.randint(1, most)))
        asked = rng.choice(pool if stranger else birthdays)
        return f"{name}({asked[1] if name == 'unique_day' else asked[0]!r}, {birthdays})"

    return draw


def _remove(pool: list[object], *, least: int = 0, most: int = 8) -> Callable[[random.Random], str]:
    return lambda rng: f"remove_extras({[rng.choice(pool) for _ in range(rng.randint(least, most))]})"


def _ages(least: int, most: int, order: str = "any") -> Callable[[random.Random], str]:
    def draw(rng: random.Random) -> str:
        ages = rng.sample(range(120), rng.randint(least, most))
        ages = ages if order == "any" else sorted(ages, reverse=order == "falling")
        return f"sort_age({[(rng.choice('MF'), age) for age in ages]})"

    return draw


def _top(low: int, high: int, *, least: int = 1, most: int = 8, k: str = "any") -> Callable[[random.Random], str]:
    """Calls of `top_k` with numbers of [low, high]; `k`: any, none or all."""

    def draw(rng: random.Random) -> str:
        numbers = [rng.randint(low, high) for _ in range(rng.randint(least, most))]
        count = {"none": 0, "all": len(numbers)}.get(k, rng.randint(0, len(numbers)))
        return f"top_k({numbers}, {count})"

    return draw


_GROUPS: Final[Mapping[int, _Groups]] = {
    1: {
        "empty": lambda rng: f"search({rng.randint(-9, 9)}, {rng.choice(('[]', '()'))})",
        "one": _search(-5, 5, most=1),
        "member": _search(-20, 60, least=2, ask="member"),
        "ends": _search(-20, 60, least=2, ask="end"),
        "repeated": _search(1, 4, least=4, ask="member"),
        "negative": _search(-40, -1, least=2),
        "tuple": _search(0, 30, least=2, kind=tuple),
        "long": _search(-200, 900, least=25, most=40),
    },
    2: {
        "empty": lambda rng: f"{rng.choice(QUESTIONS[2].functions)}({rng.choice(('14', 'May'))!r}, ())",
        "day": _birthdays("unique_day", _MONTHS[:4], days=(13, 20), most=9),
        "month": _birthdays("unique_month", _MONTHS[:4], days=(13, 20), most=6),
        "contains": _birthdays("contains_unique_day", _MONTHS[:4], days=(13, 20), most=9),
        "strange day": _birthdays("unique_day", _MONTHS[:3], days=(10, 30), most=6, stranger=True),
        "strange month": _birthdays("contains_unique_day", _MONTHS, days=(13, 18), most=5, stranger=True),
        "short day": _birthdays("unique_day", _MONTHS[:3], days=(1, 15), most=12),
        "like month": _birthdays("unique_month", _ALIKE, days=(13, 18), most=4),
        "long": _birthdays("contains_unique_day", _MONTHS, days=(1, 31), most=30),
    },
    3: {
        "empty": lambda rng: "remove_extras([])",
        "one": _remove(list(range(-9, 9)), least=1, most=1),
        "same": lambda rng: f"remove_extras({[rng.randint(-5, 5)] * rng.randint(2, 6)})",
        "pairs": _remove([1, 2], least=2),
        "negative": _remove(list(range(-5, 3)), least=4),
        "texts": _remove(["a", "b", "ab", "", "ba"], least=3),
        "mixed": _remove([0, "0", None, 7, "a", (1, 2)], least=3),
        "unsorted": _remove(list(range(20, 0, -1)), least=6, most=12),
        "long": _remove(list(range(-15, 15)), least=30, most=40),
    },
    4: {
        "empty": lambda rng: "sort_age([])",
        "one": _ages(1, 1),
        "two": _ages(2, 2),
        "rising": _ages(3, 7, "rising"),
        "falling": _ages(3, 7, "falling"),
        "any": _ages(3, 9),
        "long": _ages(20, 30),
    },
    5: {
        "none": _top(-9, 30, least=0, k="none"),
        "one": _top(-9, 9, most=1, k="all"),
        "all": _top(0, 40, least=2, k="all"),
        "repeated": _top(1, 4, least=4),
        "negative": _top(-40, -1, least=2),
        "around zero": _top(-3, 3, least=3),
        "rising": lambda rng: f"top_k({sorted(rng.sample(range(-9, 60), 6))}, {rng.randint(1, 6)})",
        "long": _top(-300, 900, least=25, most=40),
    },
}
"""Question -> group -> what draws one call of it."""
