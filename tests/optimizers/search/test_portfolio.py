"""A portfolio: turns end on a plateau, and all of them share one archive and one meter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pytest
from pydantic import JsonValue

from controllers.program import rule_component
from controllers.programs import builtin
from optimizers.archive import Archive
from optimizers.book import Book
from optimizers.collect.collecting import CollectPlan
from optimizers.engines import engine_of
from optimizers.evaluator import Evaluator, evaluator_in
from optimizers.ideas import Idea
from optimizers.meter import Limits
from optimizers.proposers import Proposer
from optimizers.proposers.mined import MinedProposer
from optimizers.replay.tree import TreeReplay
from optimizers.search import Engine, Kit, Listener, SearchPlan
from optimizers.search.authored_search import AuthoredSearch, Turn
from optimizers.search.gepa_search import GepaSearch
from optimizers.search.null_search import NullSearch
from optimizers.search.optuna_search import OptunaSearch
from optimizers.search.pareto_search import ParetoSearch
from optimizers.search.portfolio import Portfolio, engine
from optimizers.search.random_search import RandomSearch
from optimizers.setup import Grant
from optimizers.space import Space
from optimizers.testing_engines import EngineContract, Maker
from optimizers.testing_world import SPACE as PLANTED
from optimizers.testing_world import Editing, Problem, Told
from signatures.errors import UsageError
from signatures.records import Amounts, Candidate
from tests.worlds.lab import ACTIONS, STEERS, Lab, Listening, lamp_follower, small_plan, with_components

SPACE = Space(thresholds={f"planted.lit.{group}": (0.5,) for group in ("fan", "pump", "valve")}, actions=ACTIONS)
TWO: Final[Mapping[str, JsonValue]] = {"engines": ["random_search", "pareto_search"], "patience": 1}


class TestContract(EngineContract):
    @pytest.fixture
    def engine(self) -> Maker:
        return lambda kit: engine(replace(kit, options=TWO))


@dataclass
class Fixed:
    """An engine with so many ideas of its own, and then the same again and again; it keeps the plans of its turns."""

    ideas: Sequence[Candidate]
    plans: list[SearchPlan] = field(default_factory=list)

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        self.plans.append(plan)
        book = Book(plan, evaluator, listener, letter="f")
        await book.start()
        for idea in self.ideas:
            if book.open:
                await book.consider(Idea(idea, "fixed", "It helps."))
        return book.close()


@dataclass
class RulesOnly(Fixed):
    """Such an engine that cannot begin at a program."""

    async def search(self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener) -> Archive:
        if "program" in plan.start.components:
            raise UsageError("it edits rules")
        return await super().search(plan, evaluator, proposer, listener)


def said_later(number: int) -> Candidate:
    """One of many controllers that do on three attempts what the seed candidate does."""
    late = {"feature": "attempts", "op": ">", "value": 50 + number}
    return with_components(steer=rule_component([{"when": [late], "then": {"core": 1.0}}], {"none": 1.0}))


@pytest.fixture
def plan(lab: Lab) -> SearchPlan:
    lab.grant = Grant(2, 3, STEERS)
    return replace(small_plan(lab.benchmark.tasks("search")), generations=12, iterations=1)


async def wide(lab: Lab, plan: SearchPlan) -> TreeReplay:
    """Trees that hold whatever two attempts can be."""
    return await lab.replay([*plan.train, *plan.val], CollectPlan(roots=4, depth=2, actions=STEERS))


async def searched(plan: SearchPlan, evaluator: Evaluator, engines: Sequence[Engine], patience: int = 2) -> Listening:
    listening = Listening()
    archive = await Portfolio(engines, patience=patience).search(plan, evaluator, MinedProposer(SPACE), listening)
    assert archive is evaluator.archive
    assert listening.fronts[-1] == tuple(entry.candidate for entry in archive.front())
    assert len({found.name for found in listening.found_all}) == len(listening.found_all)
    return listening


async def test_it_switches_on_a_plateau_and_goes_on_from_the_best_of_one_archive(lab: Lab, plan: SearchPlan) -> None:
    """The first engine has nothing but bad ideas: after `patience` of them the second one has its turn."""
    bad = [said_later(number) for number in range(10)]
    stuck, good = Fixed(bad), Fixed([lamp_follower()])
    evaluator = lab.evaluator(replay=await wide(lab, plan))
    listening = await searched(plan, evaluator, [stuck, good])
    decisions = [(found.name[:3], found.decision) for found in listening.found_all]
    assert decisions[0] == ("t1-", "seed")
    assert 1 < sum(name == "t1-" for name, _ in decisions) < 1 + len(bad)
    assert ("t2-", "accepted") in decisions
    assert [decision for name, decision in decisions if decision == "seed"] == ["seed"], "the start is told once"
    assert stuck.plans[1].start == lamp_follower(), "the next turn starts at the best of the front"
    assert {entry.candidate for entry in evaluator.archive.front()} >= {lamp_follower().digest}
    assert {found.candidate.digest for found in listening.found_all} >= {plan.start.digest, lamp_follower().digest}


async def test_it_ends_when_all_had_a_turn_in_a_row_that_raised_nothing(lab: Lab, plan: SearchPlan) -> None:
    raising, idle = Fixed([lamp_follower()]), Fixed([])
    evaluator = lab.evaluator(replay=await wide(lab, plan))
    listening = await searched(replace(plan, generations=1_000), evaluator, [raising, idle, NullSearch()])
    assert (len(raising.plans), len(idle.plans)) == (2, 1), "after the last turn that raised anything, one of each"
    assert {found.decision for found in listening.found_all} <= {"seed", "accepted", "rejected", "duplicate"}


async def test_one_meter_ends_it(lab: Lab, plan: SearchPlan) -> None:
    evaluator = lab.evaluator(replay=await wide(lab, plan), limits=Limits(compute=300))
    listening = await searched(plan, evaluator, [RandomSearch(SPACE), ParetoSearch(SPACE)], patience=1)
    assert evaluator.meter.over() is not None
    turns = {found.name.split("-")[0] for found in listening.found_all}
    assert len(turns) >= 2, "nobody's first turn took it all"
    assert {entry.candidate for entry in evaluator.archive.front()} <= {
        found.candidate.digest for found in listening.found_all if found.decision in ("seed", "accepted")
    }


async def test_from_its_journal_it_ends_the_same(lab: Lab, plan: SearchPlan) -> None:
    replay, limits = await wide(lab, plan), Limits(compute=250)
    engines: list[Engine] = [RandomSearch(SPACE), ParetoSearch(SPACE)]
    first = await searched(plan, lab.evaluator(replay=replay, limits=limits), engines, patience=1)
    lab.close_journals()
    lines = (lab.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for kept in (len(lines), len(lines) // 2, 1):
        (lab.folder / f"{kept}.jsonl").write_bytes(b"".join(lines[:kept]))
        evaluator = lab.evaluator(replay=replay, limits=limits, journal=f"{kept}.jsonl")
        again = await searched(plan, evaluator, engines, patience=1)
        assert (again.found_all, again.fronts) == (first.found_all, first.fronts)


async def test_two_turns_of_one_engine_differ(lab: Lab, plan: SearchPlan) -> None:
    plan = replace(plan, generations=8, iterations=2)
    listening = await searched(plan, lab.evaluator(replay=await wide(lab, plan)), [RandomSearch(SPACE)] * 2, patience=2)
    by_turn: dict[str, list[str]] = {}
    for found in listening.found_all:
        by_turn.setdefault(found.name.split("-")[0], []).append(found.candidate.digest)
    first, second, *_ = by_turn.values()
    assert first[1 : 1 + len(second)] != second


async def test_an_engine_that_cannot_begin_at_the_best_begins_at_the_start(lab: Lab, plan: SearchPlan) -> None:
    """Here the best of the front is a program, and the second engine edits rules."""
    rules, best = RulesOnly([]), builtin.refine("fan")
    broken = lab.benchmark.families("search")
    fans = [task for task in lab.benchmark.tasks("search") if "fan.0+fan.1" in broken[task.digest][0]]
    plan = replace(plan, val=fans[:10])
    evaluator = lab.evaluator(replay=await wide(lab, plan))
    await searched(plan, evaluator, [Fixed([best]), rules])
    assert evaluator.archive.front()[0].candidate == best.digest
    assert rules.plans and all(one.start == plan.start for one in rules.plans)
    with pytest.raises(UsageError, match="it edits rules"):
        await searched(replace(plan, start=best), lab.evaluator(journal="x.jsonl"), [rules])


def test_it_is_built_from_ids_with_settings_of_their_own() -> None:
    settings: dict[str, JsonValue] = {"optuna_search": {"sampler": "nsga2"}}
    made = engine_of(
        "portfolio", Kit(space=SPACE, options={"engines": ["optuna_search", "random_search"], "settings": settings})
    )
    assert isinstance(made, Portfolio)
    assert [type(member) for member in made.members] == [OptunaSearch, RandomSearch]
    default = engine(Kit(space=SPACE))
    assert isinstance(default, Portfolio)
    assert [type(member) for member in default.members] == [OptunaSearch, AuthoredSearch, ParetoSearch]
    bad: tuple[tuple[dict[str, JsonValue], str], ...] = (
        ({"engines": ["portfolio"]}, "cannot be an engine of a portfolio"),
        ({"engines": ["random_serch"]}, "did you mean 'random_search'"),
        ({"settings": {"mipro_search": {}}}, "none of its engines"),
        ({"settings": {"optuna_search": {"sampla": "tpe"}}}, "no option sampla"),
        ({"patience": 0}, "patience"),
    )
    for wrong, said in bad:
        with pytest.raises(UsageError, match=said):
            engine(Kit(space=SPACE, options=wrong))
    with pytest.raises(UsageError, match="at least one"):
        Portfolio([])


async def test_gepa_has_a_whole_turn_after_another_engine(tmp_path: Path) -> None:
    """Its generations are of what is left, also where the start of its turn is known already."""
    problem, told = Problem(), Told()
    portfolio = Portfolio([RandomSearch(PLANTED), GepaSearch()])
    with problem.evaluator(tmp_path, Limits(compute=600)) as evaluator:
        await portfolio.search(problem.plan(generations=12), evaluator, Editing(), told)
    second = [found for found in told.found_all if found.name.startswith("t2-")]
    first = next(found for found in told.found_all if found.name.startswith("t2-"))
    before = max(found.generation for found in told.found_all if found.name.startswith("t1-"))
    assert first.generation <= before + 1 and len(second) > 2


async def test_another_turn_of_authored_search_draws_anew(tmp_path: Path) -> None:
    problem = Problem()
    plan, draws = problem.plan(), []
    with problem.evaluator(tmp_path) as evaluator:
        for label in ("", "t1-", "t4-"):
            again = replace(plan, label=label)
            turn = Turn(AuthoredSearch(()), again, evaluator, Book(again, evaluator, Told(), letter="a"))
            draws.append((turn._rng.random(), turn._number))
    assert len({one for one, _ in draws}) == len({number for _, number in draws}) == 3


async def test_where_another_turn_is_not_paid_for_the_meter_is_told(tmp_path: Path) -> None:
    problem = Problem()
    with evaluator_in(tmp_path, problem.setup, budget=Amounts(attempts=36)) as evaluator:
        await Portfolio([NullSearch(), RandomSearch(PLANTED)]).search(problem.plan(), evaluator, Editing(), Told())
        left = evaluator.budget.left("attempts")
        over = evaluator.meter.over()
    assert over is not None and over.startswith(f"live attempts: a budget of {left:g} attempts is too small")
