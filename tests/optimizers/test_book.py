"""The book: what it keeps and tells, whom it races, what it never looks at twice, and when it is closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from controllers.history import Seen
from controllers.program import program_candidate, rule_component
from judges.records import Judgement
from optimizers.book import MOST_IDLE, Book
from optimizers.evaluator import Evaluator, evaluator_in
from optimizers.ideas import Idea
from optimizers.meter import Limits
from optimizers.racing import AllAtOnce, Halving
from optimizers.search import SearchPlan
from optimizers.testing_world import OBJECTIVES, TASKS, PlantedObserver, Problem, Told
from optimizers.vectors import Floats, mean_vector
from signatures.errors import ProgramFault, UsageError
from signatures.records import Amounts, Candidate, Task

BEST = rule_component(
    [{"when": [{"feature": "planted.left", "op": ">", "value": 0.5}], "then": {"left": 1.0}}], {"right": 1.0}
)


def with_steer(plan: SearchPlan, steer: str) -> Candidate:
    return Candidate(components={**plan.start.components, "steer": steer})


def saying(plan: SearchPlan, word: str, after: int = 0) -> Candidate:
    rules = [{"when": [{"feature": "attempts", "op": ">", "value": 9.0 + after}], "then": {"none": 1.0}}]
    return with_steer(plan, rule_component(list(rules), {word: 1.0}))


def idea(candidate: Candidate, *parents: str) -> Idea:
    return Idea(candidate, "test", "It does better.", parents)


@dataclass
class Open:
    book: Book
    told: Told
    plan: SearchPlan
    evaluator: Evaluator


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Open]:
    problem, told = Problem(), Told()
    plan = replace(problem.plan(), val=TASKS[6:30])
    with problem.evaluator(tmp_path) as evaluator:
        yield Open(Book(plan, evaluator, told, letter="t"), told, plan, evaluator)


async def test_the_start_is_generation_0_alone(one: Open) -> None:
    found = await one.book.start()
    assert (found.name, found.decision, found.generation, found.parents) == ("t00-c0", "seed", 0, ())
    assert one.told.generations == [0] and one.told.fronts == [(one.plan.start.digest,)]
    assert one.book.known == {one.plan.start.digest: one.plan.start} and one.book.seen(one.plan.start)
    assert one.book.archive is one.evaluator.archive


async def test_what_wins_its_race_is_kept_on_all_tasks(one: Open) -> None:
    await one.book.start()
    best = with_steer(one.plan, BEST)
    found = await one.book.consider(idea(best, one.plan.start.digest), race=Halving(repeats=1))
    assert found.decision == "accepted" and found.hypothesis == "It does better."
    assert [score.task_digest for score in found.scores] == [task.digest for task in one.plan.val]
    assert one.book.scores_of(best.digest) == found.scores
    entry = next(e for e in one.book.archive.front() if e.candidate == best.digest)
    assert entry.vector == mean_vector(found.scores, one.evaluator.setup.objectives) and entry.n == 24


async def test_what_is_worse_is_dropped_early_and_costs_less(one: Open) -> None:
    """It gives up at once where its parent succeeds."""
    await one.book.start()
    best = with_steer(one.plan, BEST)
    await one.book.consider(idea(best, one.plan.start.digest))
    slow = Candidate(components={**best.components, "steer": rule_component([], {"none": 1.0})})
    slow = Candidate(components={**slow.components, "stop": rule_component([], {"continue": 1.0})})
    found = await one.book.consider(idea(slow, best.digest), race=Halving(doubt=0.5))
    assert found.decision == "rejected" and len(found.scores) in (6, 12)
    assert slow.digest not in one.book.known and one.book.seen(slow)


async def test_without_a_race_it_is_seen_on_everything(one: Open) -> None:
    await one.book.start()
    found = await one.book.consider(idea(saying(one.plan, "none"), one.plan.start.digest), race=None)
    assert len(found.scores) == 24 and found.decision == "rejected", "it decides as its parent does"


async def test_without_a_parent_the_front_is_the_rival(one: Open) -> None:
    await one.book.start()
    await one.book.consider(idea(with_steer(one.plan, BEST)))
    worse = Candidate(components={**one.plan.start.components, "stop": rule_component([], {"continue": 1.0})})
    assert (await one.book.consider(idea(worse), race=AllAtOnce())).decision == "rejected"


class TestDuplicates:
    async def test_the_same_candidate_is_told_and_not_evaluated(self, one: Open) -> None:
        await one.book.start()
        one_idea = idea(with_steer(one.plan, BEST), one.plan.start.digest)
        await one.book.consider(one_idea)
        spent = one.evaluator.meter.spent().attempts
        again = await one.book.consider(one_idea)
        assert (again.decision, again.scores) == ("duplicate", ()) and one.book.count == 1
        assert one.evaluator.meter.spent().attempts == spent
        assert await one.book.twin(one_idea.candidate) == one_idea.candidate.digest

    async def test_the_same_behaviour_too(self, one: Open) -> None:
        class ByWord:
            async def digest(self, candidate: Candidate) -> str | None:
                return "alike" if "left" in candidate.components["steer"] else None

        book = Book(one.plan, one.evaluator, one.told, letter="t", known=ByWord())
        await book.start()
        first, second = saying(one.plan, "left"), saying(one.plan, "left", after=1)
        await book.consider(idea(first))
        assert (await book.consider(idea(second))).decision == "duplicate"
        assert await book.is_duplicate(second) and not book.seen(second) and await book.twin(second) == first.digest

    async def test_what_an_engine_dropped_is_one_later(self, one: Open) -> None:
        await one.book.start()
        candidate = saying(one.plan, "left")
        assert (await one.book.drop(idea(candidate), ())).decision == "rejected"
        assert (await one.book.consider(idea(candidate))).decision == "duplicate"
        with pytest.raises(UsageError, match="accepted"):
            await one.book.drop(idea(candidate), (), decision="accepted")

    async def test_nothing_but_duplicates_closes_the_book(self, one: Open) -> None:
        await one.book.start()
        for _ in range(MOST_IDLE):
            assert one.book.open
            await one.book.consider(idea(one.plan.start))
        assert not one.book.open
        assert one.evaluator.meter.over() == "candidates in a row that were known or are not supported: 100"


class TestEnds:
    """Whoever reads the meter is told what a search ended by, unless that was asked for."""

    async def test_candidates_that_take_no_compute_end_a_search_that_only_compute_limits(self, tmp_path: Path) -> None:
        problem, told = Problem(), Told()
        plan = problem.plan()
        with problem.evaluator(tmp_path, Limits(compute=100)) as evaluator:
            book = Book(plan, evaluator, told, letter="t")
            await book.start()
            number = 0
            while book.open and number < 50:
                taking = await book.consider(idea(with_steer(plan, BEST))) if number == 5 else None
                assert taking is None or taking.decision == "accepted"
                idle = program_candidate(f"async def strategy(ctx):\n    number = {number}\n    return\n")
                assert {score.used.attempts or 0 for score in (await book.consider(idea(idle))).scores} == {0}
                number += 1
            over = evaluator.meter.over()
        assert number == 5 + plan.generations * plan.iterations, "counted anew after one that took some"
        assert over == f"candidates in a row that took no compute: {plan.generations * plan.iterations}"

    async def test_a_pool_of_attempts_that_does_not_pay_for_another(self, tmp_path: Path) -> None:
        problem = Problem()
        with evaluator_in(tmp_path, problem.setup, budget=Amounts(attempts=44)) as evaluator:
            book = Book(problem.plan(), evaluator, Told(), letter="t")
            await book.start()
            left = evaluator.budget.left("attempts")
            assert left is not None and book.open and evaluator.meter.over() is None
            assert book.open_for(3) and not book.open_for(8)
            assert evaluator.meter.over() == f"attempts: {left:g} left of 44, and another candidate may take 32"
            assert book.open and evaluator.meter.over() is None, "only what was asked last counts"
            evaluator.budget.bill(Amounts(attempts=int(left)))
            assert not book.open and evaluator.meter.over() == "attempts: 0 left of 44"

    async def test_what_was_asked_for_is_no_limit(self, one: Open) -> None:
        halted = Book(replace(one.plan, halted=lambda: True), one.evaluator, one.told, letter="t")
        await halted.start()
        assert not halted.open and one.evaluator.meter.over() is None
        none = Book(replace(one.plan, generations=0), one.evaluator, one.told, letter="t")
        assert not none.open and one.evaluator.meter.over() is None


class TestGenerations:
    async def test_by_count_where_nothing_is_limited(self, one: Open) -> None:
        await one.book.start()
        considered = 0
        while one.book.open:
            await one.book.consider(idea(saying(one.plan, "left", after=considered)), race=None)
            considered += 1
        one.book.close()
        assert considered == one.plan.generations * one.plan.iterations
        assert one.told.generations == [0, 1, 2]
        assert [f.generation for f in one.told.found_all] == [0, *[1] * 4, *[2] * 4]
        assert len({f.name for f in one.told.found_all}) == 9

    async def test_by_the_share_of_the_limits(self, tmp_path: Path) -> None:
        problem, told = Problem(), Told()
        plan = replace(problem.plan(generations=5, iterations=1), label="second-", first=3)
        with problem.evaluator(tmp_path, Limits(compute=160)) as evaluator:
            book = Book(plan, evaluator, told, letter="t")
            await book.start()
            number = 0
            while book.open:
                await book.consider(idea(saying(plan, "left", after=number)), race=None)
                number += 1
            book.close()
        assert number > 5, "iterations do not end a search that compute limits"
        assert told.generations == [3, 4, 5, 6, 7, 8]
        assert told.found_all[1].name == "second-t04-c0"

    async def test_it_can_be_halted(self, one: Open) -> None:
        plan = replace(one.plan, halted=lambda: len(one.told.found_all) > 1)
        book = Book(plan, one.evaluator, one.told, letter="t")
        await book.start()
        assert book.open
        await book.consider(idea(saying(plan, "left")))
        assert not book.open


async def test_a_limit_in_the_middle_leaves_no_value_and_closes(tmp_path: Path) -> None:
    problem, told = Problem(concurrency=1), Told()
    plan = problem.plan()
    with problem.evaluator(tmp_path, Limits(usd=0.20)) as evaluator:
        book = Book(plan, evaluator, told, letter="t")
        await book.start()
        number = 0
        while book.open:
            await book.consider(idea(saying(plan, "left", after=number)))
            number += 1
    last = told.found_all[-1]
    assert last.decision == "unsupported" and any(score.cut.startswith("usd") for score in last.scores)
    assert last.candidate.digest not in book.known and evaluator.meter.spent().usd <= 0.20 + 1e-9


async def test_a_start_that_is_not_paid_for_is_refused(tmp_path: Path) -> None:
    problem = Problem()
    with (
        problem.evaluator(tmp_path, Limits(minutes=1e-9)) as evaluator,
        pytest.raises(UsageError, match=r"start cannot be evaluated.*minutes"),
    ):
        await Book(problem.plan(), evaluator, Told(), letter="t").start()
    assert problem.worker.attempts == 0


async def test_a_fault_ends_the_race(tmp_path: Path) -> None:
    plan = Problem().plan()
    problem, told = Problem(observer=PlantedObserver(frozenset({plan.val[0].digest}))), Told()
    with problem.evaluator(tmp_path) as evaluator:
        book = Book(plan, evaluator, told, letter="t")
        await book.start()
        found = await book.consider(idea(with_steer(plan, BEST)), race=Halving())
    faults = [score for score in found.scores if score.fault]
    assert found.decision == "rejected" and faults[0].fault == "error: it failed on purpose"
    assert set(faults[0].values.values()) == {0.0} and faults[0].spent.attempts == 1


class FailsAgain(PlantedObserver):
    """Fails on a second rollout."""

    fails = False

    def spring(self) -> None:
        self.fails = True

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        if self.fails:
            raise ProgramFault("later")
        return super().features(history)


@dataclass(frozen=True)
class Trap(Halving):
    """Lets a candidate win, and springs: the next rollouts are repeats."""

    spring: Callable[[], None] = lambda: None

    def wins(self, child_N_M: Floats, rival_N_M: Floats) -> bool:
        self.spring()
        return super().wins(child_N_M, rival_N_M)


async def test_a_fault_in_a_repeated_rollout_is_a_fault(tmp_path: Path) -> None:
    observer = FailsAgain()
    problem, told = Problem(observer=observer), Told()
    plan = problem.plan()
    with problem.evaluator(tmp_path) as evaluator:
        book = Book(plan, evaluator, told, letter="t")
        await book.start()
        best = with_steer(plan, BEST)
        found = await book.consider(idea(best, plan.start.digest), race=Trap(repeats=3, spring=observer.spring))
    assert found.decision == "rejected" and found.scores[-1].fault
    assert best.digest not in book.known and len(book.archive) == 1


@dataclass
class FallsSilent:
    """A judge that at some time cannot say any more."""

    silent: bool = False
    revision: str = "falls silent"
    deterministic: bool = False

    def spring(self) -> None:
        self.silent = True

    async def judge(self, task: Task, output: str) -> Judgement:
        return Judgement(score=None if self.silent else float(output == "done"), reason="by what it says")


async def test_repeats_that_lack_an_objective_add_what_they_have(tmp_path: Path) -> None:
    problem = Problem()
    plan, judge = problem.plan(), FallsSilent()
    with evaluator_in(tmp_path, replace(problem.setup, judge=judge), budget=Amounts()) as evaluator:
        book = Book(plan, evaluator, Told(), letter="t")
        start = await book.start()
        found = await book.consider(idea(with_steer(plan, BEST), plan.start.digest), race=Trap(spring=judge.spring))
        entries = {entry.candidate: entry for entry in book.archive.front()}
    assert found.decision == "accepted"
    assert [entry.n for entry in entries.values()] == [16] * len(entries)
    for one in (start, found):
        if one.candidate.digest in entries:
            own = mean_vector(one.scores, OBJECTIVES)
            assert entries[one.candidate.digest].vector[0] == own[0]


async def test_an_infrastructure_failure_on_a_hard_task_raises_no_mean(tmp_path: Path) -> None:
    problem = Problem()
    plan = problem.plan()
    with problem.evaluator(tmp_path) as evaluator:
        book = Book(plan, evaluator, Told(), letter="t")
        start = await book.start()
        values = [score.values["correct"] or 0.0 for score in start.scores]
        hard = {plan.val[place].digest for place in range(8) if not values[place]}
        lost = sorted(hard)[0]
        problem.worker.fails = lambda task: OSError("gone") if task.digest == lost else None
        found = await book.consider(idea(with_steer(plan, BEST)), race=AllAtOnce())
        entry = next(e for e in book.archive.front() if e.candidate == found.candidate.digest)
    own = [s.values["correct"] or 0.0 for s in found.scores if s.task_digest != lost]
    other = [value for value, task in zip(values, plan.val, strict=True) if task.digest != lost]
    expected = sum(values) / 8 + sum(own) / 7 - sum(other) / 7
    assert found.decision == "accepted" and entry.vector[0] == pytest.approx(min(1.0, expected)) and entry.n == 7
    assert entry.vector[0] < sum(own) / 7
