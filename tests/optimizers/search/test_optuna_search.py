"""Optuna's samplers as an engine: planted knobs are found, and the search is resumed from its journal alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controllers.policies import View
from controllers.program import controller_of
from optimizers.collect.collecting import CollectPlan
from optimizers.evaluator import Evaluator
from optimizers.meter import Limits
from optimizers.proposers.mined import MinedProposer
from optimizers.records import TaskScore
from optimizers.replay.tree import TreeReplay
from optimizers.search import Kit, SearchPlan
from optimizers.search.optuna_search import Options, OptunaSearch, engine, worth
from optimizers.setup import Grant
from optimizers.space import Space
from optimizers.studies import Sampler, journal_of
from optimizers.testing_engines import EngineContract, Maker
from optimizers.vectors import mean_vector
from signatures.errors import UsageError
from signatures.records import Amounts, Objective
from tests.worlds.lab import ACTIONS, STEERS, Lab, Listening, small_plan, value_of

SPACE = Space(thresholds={f"planted.lit.{group}": (0.5,) for group in ("fan", "pump", "valve")}, actions=ACTIONS)
RULES = Options(programs=False)


class TestContract(EngineContract):
    @pytest.fixture
    def engine(self) -> Maker:
        return lambda kit: engine(replace(kit, options={"programs": False}))


@pytest.fixture
def plan(lab: Lab) -> SearchPlan:
    lab.grant = Grant(2, 3, STEERS)
    return replace(small_plan(lab.benchmark.tasks("search")), generations=4, iterations=5)


async def wide(lab: Lab, plan: SearchPlan) -> TreeReplay:
    """Trees that hold whatever two attempts can be."""
    return await lab.replay(plan.val, CollectPlan(roots=4, depth=2, actions=STEERS))


async def searched(
    plan: SearchPlan, evaluator: Evaluator, options: Options = RULES, *, folder: Path | None = None
) -> Listening:
    listening = Listening()
    found = OptunaSearch(SPACE, options, folder=folder)
    archive = await found.search(plan, evaluator, MinedProposer(SPACE), listening)
    assert archive is evaluator.archive
    assert listening.fronts[-1] == tuple(entry.candidate for entry in archive.front())
    return listening


async def test_it_starts_at_the_start_and_every_candidate_is_a_controller_with_a_hypothesis(
    lab: Lab, plan: SearchPlan
) -> None:
    listening = await searched(plan, lab.evaluator(replay=await wide(lab, plan)))
    seed, *others = listening.found_all
    assert (seed.candidate, seed.decision) == (plan.start, "seed")
    assert len(others) >= 20
    for found in others:
        assert controller_of(found.candidate).candidate == found.candidate
        assert found.hypothesis.count(".") >= 1 and found.hypothesis.startswith(("A controller with", "The start"))
    assert {found.proposer for found in others} == {"optuna tpe"}


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
async def test_its_front_beats_the_start(lab: Lab, plan: SearchPlan, sampler: Sampler) -> None:
    """With enough compute: the planted effect is that what is said should follow the lamps."""
    options = RULES.model_copy(update={"sampler": sampler, "population": 8})
    evaluator = lab.evaluator(replay=await wide(lab, plan), limits=Limits(compute=350), budget=Amounts(attempts=60))
    listening = await searched(plan, evaluator, options)
    assert listening.volumes[-1] > 1.05 * listening.volumes[0]
    assert {entry.candidate for entry in evaluator.archive.front()} - {plan.start.digest}


async def test_a_planted_knob_is_found(lab: Lab, plan: SearchPlan) -> None:
    """On machines of which both fans are broken, it is the fan that the worker should be told of."""
    broken = lab.benchmark.families("search")
    fans = [task for task in lab.benchmark.tasks("search") if "fan.0+fan.1" in broken[task.digest][0]]
    plan = replace(plan, val=fans[:10])
    evaluator = lab.evaluator(replay=await wide(lab, plan), limits=Limits(compute=700), budget=Amounts(attempts=60))
    listening = await searched(plan, evaluator)
    best = evaluator.archive.front()[0]
    controller = controller_of(evaluator.members.candidates[best.candidate])
    view = View(plan.val[0], {"attempts": 1.0, "planted.lit.fan": 1.0}, STEERS)
    weights = (await controller.policies["steer"].decide(view)).weights
    assert weights.get("fan", 0.0) > 0
    start = next(found for found in listening.found_all if found.decision == "seed")
    assert best.vector[0] > 0.05 + value_of(start.scores)


async def test_it_is_resumed_from_the_journal_whatever_its_own_view_holds(
    lab: Lab, plan: SearchPlan, tmp_path: Path
) -> None:
    replay = await wide(lab, plan)
    limits = Limits(compute=200)
    first = await searched(plan, lab.evaluator(replay=replay, limits=limits), folder=tmp_path)
    lab.close_journals()
    whole = journal_of(tmp_path, "search").read_bytes()
    lines = (lab.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for kept, left in ((len(lines), whole), (len(lines) // 2, whole[: len(whole) // 2]), (1, b"not a journal")):
        (lab.folder / f"{kept}.jsonl").write_bytes(b"".join(lines[:kept]))
        journal_of(tmp_path, "search").write_bytes(left)
        again = await searched(
            plan, lab.evaluator(replay=replay, limits=limits, journal=f"{kept}.jsonl"), folder=tmp_path
        )
        assert (again.found_all, again.fronts) == (first.found_all, first.fronts)


async def test_the_study_on_disk_says_what_became_of_every_candidate(
    lab: Lab, plan: SearchPlan, tmp_path: Path
) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    replay = await lab.replay(plan.val, CollectPlan(roots=1, depth=2, actions=STEERS))
    need = lab.evaluator(journal="need.jsonl").cost_of(len(plan.val) + 2 * plan.minibatch)
    evaluator = lab.evaluator(replay=replay, budget=Amounts(attempts=need), limits=Limits(compute=150))
    listening = await searched(replace(plan, label="x-"), evaluator, folder=tmp_path)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal_of(tmp_path, "x-search"))))
    trials = optuna.load_study(study_name="x-search", storage=storage).trials
    assert [t.user_attrs["name"] for t in trials] == [found.name for found in listening.found_all]
    assert [t.user_attrs["decision"] for t in trials] == [found.decision for found in listening.found_all]
    by_digest = {found.candidate.digest: trial for found, trial in zip(listening.found_all, trials, strict=True)}
    decisions = {found.decision for found in listening.found_all}
    assert {"unsupported", "accepted"} <= decisions
    for found, trial in zip(listening.found_all, trials, strict=True):
        if found.decision == "unsupported":
            assert trial.state == optuna.trial.TrialState.FAIL or trial.constraints["without support"] > 0
        if found.decision in ("accepted", "seed"):
            assert trial.constraints["without support"] == 0
            assert trial.values == pytest.approx(mean_vector(found.scores, lab.benchmark.objectives))
        if found.decision == "duplicate":
            assert trial.values == by_digest[found.candidate.digest].values


async def test_programs_are_a_choice(lab: Lab, plan: SearchPlan) -> None:
    plan = replace(plan, generations=1, iterations=8, val=plan.val[:4])
    listening = await searched(plan, lab.evaluator(replay=await wide(lab, plan)), Options())
    kinds = {tuple(found.candidate.components) for found in listening.found_all}
    assert ("program",) in kinds and len(kinds) > 1


class TestWorth:
    OBJECTIVES = (Objective(name="good", unit="share", worst=0, best=1, over="judge"),)

    def score(self, task: str, value: float | None) -> TaskScore:
        return TaskScore(
            candidate="c",
            condition="candidate",
            task_digest=task,
            seed=0,
            split="search",
            values={"good": value},
            source="replay",
            set_aside=value is None,
        )

    def test_of_all_tasks_it_is_the_mean(self) -> None:
        start = [self.score(task, 0.5) for task in "abcd"]
        own = [self.score(task, value) for task, value in zip("abcd", (0.0, 0.5, 1.0, 1.0), strict=True)]
        values, short = worth(own, start, self.OBJECTIVES)
        assert values is not None and short == 0.0
        assert list(values) == pytest.approx([0.625])

    def test_of_the_first_looks_it_is_beside_the_start_on_the_same_tasks(self) -> None:
        start = [self.score(task, value) for task, value in zip("abcd", (0.0, 0.0, 1.0, 1.0), strict=True)]
        own = [self.score("c", 0.9), self.score("d", 0.9)]
        assert list(worth(own, start, self.OBJECTIVES).values or ()) == pytest.approx([0.4])

    def test_what_has_no_value_is_never_a_zero(self) -> None:
        start = [self.score(task, 0.5) for task in "ab"]
        assert worth([self.score("a", None), self.score("b", None)], start, self.OBJECTIVES) == (None, 1.0)
        values, short = worth([self.score("a", None), self.score("b", 0.7)], start, self.OBJECTIVES)
        assert list(values or ()) == pytest.approx([0.7]) and short == 0.5
        assert worth([], start, self.OBJECTIVES) == (None, 0.0)


def test_options_are_checked() -> None:
    assert isinstance(engine(Kit(space=SPACE, options={"sampler": "nsga2", "population": 6})), OptunaSearch)
    with pytest.raises(UsageError, match="no option sampla"):
        engine(Kit(space=SPACE, options={"sampla": "tpe"}))
    with pytest.raises(UsageError, match="sampler"):
        engine(Kit(space=SPACE, options={"sampler": "cmaes"}))
