"""Our own inner loop: reflection, race and archive, without gepa."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from controllers.baselines import seed_candidate
from controllers.programs import builtin
from optimizers.collect.collecting import CollectPlan
from optimizers.evaluator import Evaluator, evaluator_in
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from optimizers.meter import Limits
from optimizers.proposers import Proposer
from optimizers.proposers.mined import MinedProposer
from optimizers.replay.tree import TreeReplay
from optimizers.search import Kit, SearchPlan
from optimizers.search.pareto_search import MOST_EMPTY, Batches, Options, ParetoSearch, engine
from optimizers.setup import Grant
from optimizers.space import Space
from optimizers.testing_engines import EngineContract, Maker
from optimizers.testing_world import SPACE as PLANTED
from optimizers.testing_world import Editing, Problem, Told
from signatures.errors import UsageError
from signatures.records import Amounts, Candidate, Cost, PolicyName
from tests.worlds.lab import ACTIONS, STEERS, Lab, Listening, small_plan

SPACE = Space(thresholds={f"planted.lit.{group}": (0.5,) for group in ("fan", "pump", "valve")}, actions=ACTIONS)


class TestContract(EngineContract):
    @pytest.fixture
    def engine(self) -> Maker:
        return engine


class Silent:
    """A proposer to which no record speaks; it keeps what it was shown."""

    name = "silent"

    def __init__(self) -> None:
        self.shown: list[tuple[PolicyName, tuple[Reflection, ...]]] = []

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        self.shown.append((component, tuple(records)))
        return None, Cost()


@pytest.fixture
def plan(lab: Lab) -> SearchPlan:
    lab.grant = Grant(2, 3, STEERS)
    return replace(small_plan(lab.benchmark.tasks("search")), generations=3, iterations=4)


async def wide(lab: Lab, plan: SearchPlan) -> TreeReplay:
    """Trees that hold whatever two attempts can be."""
    return await lab.replay([*plan.train, *plan.val], CollectPlan(roots=4, depth=2, actions=STEERS))


async def searched(
    plan: SearchPlan, evaluator: Evaluator, proposer: Proposer | None = None, options: Options | None = None
) -> Listening:
    listening = Listening()
    archive = await ParetoSearch(SPACE, options).search(plan, evaluator, proposer or MinedProposer(SPACE), listening)
    assert archive is evaluator.archive
    assert listening.fronts[-1] == tuple(entry.candidate for entry in archive.front())
    return listening


async def test_on_recorded_trees_it_raises_the_front_without_an_attempt(lab: Lab, plan: SearchPlan) -> None:
    replay = await wide(lab, plan)
    calls = len(lab.worker.calls)
    evaluator = lab.evaluator(replay=replay, limits=Limits(compute=500))
    listening = await searched(plan, evaluator)
    assert listening.volumes[-1] > 1.1 * listening.volumes[0]
    assert {found.proposer for found in listening.found_all} >= {"start", "mined"}
    played = {digest for digest, _ in lab.worker.calls[calls:]}
    assert played.isdisjoint(task.digest for task in plan.train), "a minibatch of recorded tasks is read, not played"
    seed, *others = listening.found_all
    known = {seed.candidate.digest}
    for found in others:
        assert set(found.parents) <= known and len(found.parents) == 1
        assert found.hypothesis
        if found.decision == "accepted":
            known.add(found.candidate.digest)


async def test_from_its_journal_it_ends_the_same(lab: Lab, plan: SearchPlan) -> None:
    replay, limits = await wide(lab, plan), Limits(compute=200)
    first = await searched(plan, lab.evaluator(replay=replay, limits=limits))
    lab.close_journals()
    lines = (lab.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for kept in (len(lines), len(lines) // 2, 1, 0):
        (lab.folder / f"{kept}.jsonl").write_bytes(b"".join(lines[:kept]))
        again = await searched(plan, lab.evaluator(replay=replay, limits=limits, journal=f"{kept}.jsonl"))
        assert (again.found_all, again.fronts) == (first.found_all, first.fronts)


async def test_what_is_not_recorded_is_attempted_and_reflected_on(lab: Lab, plan: SearchPlan) -> None:
    proposer = Silent()
    evaluator = lab.evaluator(budget=Amounts(attempts=200))
    await searched(replace(plan, generations=1, iterations=2), evaluator, proposer)
    assert lab.worker.calls
    assert {component for component, _ in proposer.shown} == {"stop", "topology", "steer"}
    assert all(record.policy == component for component, records in proposer.shown for record in records)
    assert any(record.observed for _, records in proposer.shown for record in records)


async def test_where_no_record_speaks_a_random_edit_is_tried_or_nothing(lab: Lab, plan: SearchPlan) -> None:
    replay = await wide(lab, plan)
    listening = await searched(plan, lab.evaluator(replay=replay), Silent())
    assert [found.proposer for found in listening.found_all] == ["start"] + ["random"] * 12
    proposer = Silent()
    quiet = await searched(plan, lab.evaluator(replay=replay, journal="q.jsonl"), proposer, Options(random=False))
    assert [found.decision for found in quiet.found_all] == ["seed"]
    assert len(proposer.shown) == 3 * MOST_EMPTY


async def test_from_a_program_it_goes_on_with_rules(lab: Lab, plan: SearchPlan) -> None:
    plan = replace(plan, start=builtin.refine("fan"), val=plan.val[:4], generations=1)
    listening = await searched(plan, lab.evaluator(replay=await wide(lab, plan)))
    seed, rules, *others = listening.found_all
    assert (seed.decision, rules.candidate) == ("seed", seed_candidate())
    assert others and all("program" not in found.candidate.components for found in others)


def test_batches_show_every_task_before_any_again(lab: Lab) -> None:
    tasks = lab.benchmark.tasks("search")[:7]
    batches = Batches(tasks, 3, random.Random(0))
    for _ in range(3):
        round_of = [*batches.next(), *batches.next()]
        assert len({task.digest for task in round_of}) == 6
    assert len(Batches(tasks, 20, random.Random(0)).next()) == 7


def test_options_are_checked() -> None:
    assert isinstance(engine(Kit(space=SPACE)), ParetoSearch)
    with pytest.raises(UsageError, match="no option rando"):
        engine(Kit(space=SPACE, options={"rando": True}))


@pytest.mark.parametrize("attempts", [68, 75, 82, 83, 84])
async def test_a_pool_that_a_minibatch_empties_ends_it_and_is_no_error(tmp_path: Path, attempts: int) -> None:
    problem = Problem()
    with evaluator_in(tmp_path, problem.setup, budget=Amounts(attempts=attempts)) as evaluator:
        archive = await ParetoSearch(PLANTED).search(problem.plan(generations=30), evaluator, Editing(), Told())
    assert len(archive) and problem.worker.attempts <= attempts
