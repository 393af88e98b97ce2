"""Which questions are learned from and which are asked: disjoint by family, balanced over answers, one of a task.

One question of a task, so that answers are independent as far as tasks are, and exact tests may count them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from optimizers.skill.question import Question
from signatures.digest import digest_of
from signatures.errors import NoSupport


class Sizes(NamedTuple):
    """Questions wanted; each is rounded down to as many of every answer, demos to one of each at least."""

    demos: int
    calibration: int
    test: int


class Split(NamedTuple):
    """Questions of one policy."""

    demos: tuple[Question, ...]
    calibration: tuple[Question, ...]
    test: tuple[Question, ...]
    held_out: tuple[str, ...]
    "families: every task that has one of them is on the test side, and no other"
    answers: tuple[str, ...]
    "the answers that are asked for, in equal numbers"

    @property
    def chance(self) -> float:
        """The share that one who chooses evenly among the legal actions gets right."""
        return sum(1 / len(one.legal) for one in self.test) / len(self.test)


def split(questions: Sequence[Question], sizes: Sizes, *, seed: int) -> Split:
    """Hold out families until about half of the tasks are, then draw as many of each answer as there are of all.

    An action that is the answer too rarely is never asked for: it stays legal, and choosing it is an error. Raises
    NoSupport where families cannot be told apart, or fewer than two answers are frequent enough.
    """
    held = held_out(questions, seed=seed)
    sides = [[one for one in questions if held.isdisjoint(one.families) != asked] for asked in (True, False)]
    asked, learned = sides
    answers = _frequent(asked, learned, sizes)
    if len(answers) < 2:
        raise NoSupport(f"{_counts(questions)}: fewer than two answers are frequent enough, record more tasks")
    shown = max(len(answers), sizes.demos - sizes.demos % len(answers))
    test = balanced(asked, sizes.test, answers, seed=seed)
    rest = balanced(learned, shown + sizes.calibration, answers, seed=seed)
    if len(rest) < shown + len(answers) or not test:
        raise NoSupport(f"{_counts(questions)}: too few tasks to learn from beside {shown} demos")
    return Split(rest[:shown], rest[shown:], test, tuple(sorted(held)), answers)


def held_out(questions: Sequence[Question], *, seed: int) -> frozenset[str]:
    """The families of the test side: of a random order the beginning that puts nearest to half of the tasks there.

    Raises NoSupport without a question, or where every choice leaves one side empty.
    """
    of_task = {one.task: frozenset(one.families) for one in questions}
    if not of_task:
        raise NoSupport("no recorded decision whose best action is clear")
    order = sorted({name for names in of_task.values() for name in names}, key=lambda one: digest_of(seed, one))
    found: list[tuple[float, int]] = []
    for n in range(1, len(order) + 1):
        share = sum(not names.isdisjoint(order[:n]) for names in of_task.values()) / len(of_task)
        if 0 < share < 1:
            found.append((abs(share - 0.5), n))
    if not found:
        raise NoSupport(f"{len(of_task)} tasks of {len(order)} families: they cannot be split by family")
    return frozenset(order[: min(found)[1]])


def balanced(questions: Sequence[Question], n: int, answers: Sequence[str], *, seed: int) -> tuple[Question, ...]:
    """At most `n` questions in rounds of one of each answer, of different tasks; a round that is not full is dropped.

    The rarest answer is drawn first. It is a function of the questions, whatever their order.
    """
    pools: dict[str, list[Question]] = defaultdict(list)
    for one in sorted(questions, key=lambda one: digest_of(seed, one.id)):
        pools[one.label].append(one)
    order = sorted(answers, key=lambda name: (len({one.task for one in pools[name]}), name))
    used: set[str] = set()
    found: list[Question] = []
    while len(found) + len(order) <= n:
        drawn: list[Question] = []
        for name in order:
            free = next((one for one in pools[name] if one.task not in used), None)
            if free is None:
                return tuple(found)
            used.add(free.task)
            drawn.append(free)
        found += drawn
    return tuple(found)


def _frequent(asked: Sequence[Question], learned: Sequence[Question], sizes: Sizes) -> tuple[str, ...]:
    """The actions that are the answer for enough tasks on both sides, in the order in which they are offered."""
    there, here = _tasks(asked), _tasks(learned)
    legal = tuple(dict.fromkeys(action for one in (*asked, *learned) for action in one.legal))
    need = max(1, sizes.test // max(1, len(legal)))
    beside = max(2, (sizes.demos + sizes.calibration) // (2 * max(1, len(legal))))
    return tuple(name for name in legal if there.get(name, 0) >= need and here.get(name, 0) >= beside)


def _tasks(questions: Sequence[Question]) -> Mapping[str, int]:
    tasks: defaultdict[str, set[str]] = defaultdict(set)
    for one in questions:
        tasks[one.label].add(one.task)
    return {name: len(some) for name, some in tasks.items()}


def _counts(questions: Sequence[Question]) -> str:
    told = ", ".join(f"{name} on {n} tasks" for name, n in sorted(_tasks(questions).items()))
    return told or "no question"
