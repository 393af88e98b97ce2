"""Random search: the floor, on the same terms as any other engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from controllers.program import controller_of
from optimizers.book import MOST_IDLE
from optimizers.collect.collecting import CollectPlan
from optimizers.evaluator import Evaluator
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from optimizers.meter import Limits
from optimizers.search import SearchPlan
from optimizers.search.random_search import RandomSearch
from optimizers.setup import Grant
from optimizers.space import Space
from signatures.errors import Outage, UsageError
from signatures.records import Amounts, Candidate, Cost, PolicyName
from tests.worlds.lab import ACTIONS, STEERS, Lab, Listening, small_plan

SPACE = Space(thresholds={"planted.lit.fan": (0.5,), "planted.lit.pump": (0.5,), "stalled": (0.5,)}, actions=ACTIONS)


class Unasked:
    """A proposer that random search has no business with."""

    name = "unasked"

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        raise AssertionError("random search reads no record")


@pytest.fixture
def plan(lab: Lab) -> SearchPlan:
    return replace(small_plan(lab.benchmark.tasks("search")), generations=3, iterations=4)


async def searched(plan: SearchPlan, evaluator: Evaluator, listening: Listening | None = None) -> Listening:
    listening = listening or Listening()
    archive = await RandomSearch(SPACE).search(plan, evaluator, Unasked(), listening)
    assert listening.fronts[-1] == tuple(entry.candidate for entry in archive.front())
    return listening


async def test_it_starts_at_the_start_and_tells_what_it_tries(lab: Lab, plan: SearchPlan) -> None:
    listening = await searched(plan, lab.evaluator())
    seed, *others = listening.found_all
    assert (seed.candidate, seed.decision, seed.parents, seed.generation) == (plan.start, "seed", (), 0)
    looked = [found.generation for found in others if found.decision != "duplicate"]
    assert looked == [1] * 4 + [2] * 4 + [3] * 4
    assert len(listening.fronts) == 4
    known = {seed.candidate.digest}
    for found in others:
        assert set(found.parents) <= known and len(found.parents) == 1
        assert {score.task_digest for score in found.scores} <= {task.digest for task in plan.val}
        assert controller_of(found.candidate).candidate == found.candidate and found.hypothesis
        if found.decision == "accepted":
            assert [score.task_digest for score in found.scores] == [task.digest for task in plan.val]
            known.add(found.candidate.digest)
    assert len({found.candidate.digest for found in others}) > 6 and len(known) > 1
    assert listening.volumes == sorted(listening.volumes)


async def test_it_is_a_function_of_its_seed(lab: Lab, plan: SearchPlan) -> None:
    first = await searched(plan, lab.evaluator(journal="a.jsonl"))
    second = await searched(plan, lab.evaluator(journal="b.jsonl"))
    third = await searched(replace(plan, seed=1), lab.evaluator(journal="c.jsonl"))
    assert first.found_all == second.found_all
    assert [f.candidate for f in third.found_all] != [f.candidate for f in first.found_all]


async def test_from_its_journal_it_ends_the_same_without_an_attempt(lab: Lab, plan: SearchPlan) -> None:
    budget = Amounts(attempts=300)
    evaluator = lab.evaluator(budget=budget)
    first = await searched(plan, evaluator)
    calls = len(lab.worker.calls)
    lab.close_journals()
    lines = (lab.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for kept in (len(lines), len(lines) // 2, 0):
        (lab.folder / f"{kept}.jsonl").write_bytes(b"".join(lines[:kept]))
        again = lab.evaluator(budget=budget, journal=f"{kept}.jsonl")
        second = await searched(plan, again)
        assert (second.found_all, second.fronts) == (first.found_all, first.fronts)
        assert again.budget.spent == evaluator.budget.spent
    assert len(lab.worker.calls) == calls, "the corpus holds every attempt"


async def test_a_budget_ends_it_between_candidates_and_the_last_generation_is_told(lab: Lab, plan: SearchPlan) -> None:
    evaluator = lab.evaluator(budget=Amounts(attempts=100))
    listening = await searched(plan, evaluator)
    assert 30 < (evaluator.budget.spent.attempts or 0) <= 100
    assert 1 < len(listening.found_all) < 13
    assert len(listening.fronts) == listening.found_all[-1].generation + 1


async def test_turns_that_are_used_up_end_it(lab: Lab, plan: SearchPlan) -> None:
    listening = await searched(plan, lab.evaluator(budget=Amounts(turns=5)))
    assert [found.decision for found in listening.found_all] == ["seed"]


async def test_too_little_for_one_evaluation_is_refused(lab: Lab, plan: SearchPlan) -> None:
    with pytest.raises(UsageError, match="too small"):
        await searched(plan, lab.evaluator(budget=Amounts(attempts=47)))
    assert lab.worker.calls == []


async def test_an_outage_comes_out_as_itself(lab: Lab, plan: SearchPlan) -> None:
    lab.worker.fails = lambda task, call: OSError("gone") if call > 60 else None
    with pytest.raises(Outage, match="gone"):
        await searched(plan, lab.evaluator(setup=lab.setup(breaker=3)))


class TestOnRecordedTrees:
    async def test_it_stops_at_the_compute_that_its_evaluations_stand_for(self, lab: Lab, plan: SearchPlan) -> None:
        """Attempts that were replayed count like those that were made; one evaluation may go beyond."""
        lab.grant = Grant(2, 3, STEERS)
        replay = await lab.replay(plan.val)
        before = len(lab.worker.calls)
        spent = []
        for compute in (100, 300):
            evaluator = lab.evaluator(
                replay=replay, budget=Amounts(attempts=60), journal=f"{compute}.jsonl", limits=Limits(compute=compute)
            )
            listening = await searched(plan, evaluator)
            assert compute <= evaluator.tally.attempts <= compute + evaluator.cost_of(len(plan.val))
            assert (evaluator.budget.spent.attempts or 0) <= 60
            assert len(listening.fronts) == listening.found_all[-1].generation + 1
            spent.append(evaluator.tally.replayed)
        assert spent[0] < spent[1]
        assert len(lab.worker.calls) - before <= 120

    async def test_what_has_no_support_and_no_attempts_is_told_and_never_a_parent_or_on_the_front(
        self, lab: Lab, plan: SearchPlan
    ) -> None:
        lab.grant = Grant(2, 3, STEERS)
        replay = await lab.replay(plan.val, CollectPlan(roots=1, depth=2, actions=STEERS))
        need = lab.evaluator(journal="need.jsonl").cost_of(len(plan.val) + 2 * plan.minibatch)
        evaluator = lab.evaluator(replay=replay, budget=Amounts(attempts=need), limits=Limits(compute=400))
        listening = await searched(plan, evaluator)
        aside = {found.candidate.digest for found in listening.found_all if found.decision == "unsupported"}
        assert aside
        assert all(aside.isdisjoint(found.parents) for found in listening.found_all)
        assert all(aside.isdisjoint(front) for front in listening.fronts)
        for found in listening.found_all:
            assert any(score.set_aside for score in found.scores) == (found.decision == "unsupported")

    async def test_where_nothing_is_supported_it_ends(self, lab: Lab, plan: SearchPlan) -> None:
        """Only the start can be paid for, and no task is recorded."""
        evaluator = lab.evaluator(
            replay=await lab.replay(plan.train[:1]), budget=Amounts(attempts=48), limits=Limits(compute=10_000)
        )
        listening = await searched(plan, evaluator)
        seed, *others = listening.found_all
        assert seed.decision == "seed"
        assert {found.decision for found in others} <= {"unsupported", "accepted", "rejected", "duplicate"}
        assert sum(found.decision in ("unsupported", "duplicate") for found in others) >= MOST_IDLE
