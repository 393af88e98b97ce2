"""GEPA as an engine: a function of its seed and the answers, resumed by re-execution, and of some use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from controllers.baselines import seed_candidate
from controllers.budget import Budget
from controllers.corpus import MemoryCorpus
from controllers.program import rule_component
from optimizers.collect.collecting import CollectPlan
from optimizers.evaluator import Evaluator, Request
from optimizers.evidence.reflection import Reflection
from optimizers.gepa_adapter import Example
from optimizers.journal import Journal, Proposal, Proposed
from optimizers.proposers.mined import MinedProposer
from optimizers.racing import DEFAULT
from optimizers.replay.tree import TreeReplay
from optimizers.replaying import Replaying
from optimizers.search import SearchPlan
from optimizers.search.gepa_search import GepaSearch, Loader
from optimizers.setup import Grant
from optimizers.space import Space
from signatures.errors import UsageError
from signatures.records import Amounts, Attempt, Candidate, Cost, PolicyName
from tests.worlds.lab import ACTIONS, STEERS, Lab, Listening, cut_corpus, lamp_follower, small_plan, value_of
from tests.worlds.planted import LIT_GROUPS

BUDGET = Amounts(attempts=400)
ANY_SPACE = Space(thresholds={f"planted.lit.{group}": (0.5,) for group in LIT_GROUPS}, actions=ACTIONS)


@dataclass
class Outcome:
    """All that two equal searches agree on."""

    found: list[tuple[Any, ...]]
    fronts: list[tuple[str, ...]]
    volumes: list[float]
    spent: Amounts

    @classmethod
    def of(cls, listening: Listening, evaluator: Evaluator) -> Outcome:
        found = [
            (f.name, f.candidate.digest, f.parents, f.generation, f.proposer, f.evidence, f.decision, f.scores)
            for f in listening.found_all
        ]
        return cls(found, listening.fronts, listening.volumes, evaluator.budget.spent)


@dataclass
class Recorded:
    """The trees and the space that every search of a test stands on."""

    lab: Lab
    replay: TreeReplay
    space: Space
    corpus: MemoryCorpus
    records: int
    "records in the corpus when the trees were done"

    @classmethod
    async def on(cls, lab: Lab) -> Recorded:
        assert isinstance(lab.corpus, MemoryCorpus)
        replay = await lab.replay(lab.benchmark.tasks("search")[:6])
        return cls(lab, replay, lab.space(replay), lab.corpus, await lab.corpus.high_water())

    async def search(self, evaluator: Evaluator, plan: SearchPlan, listening: Listening | None = None) -> Outcome:
        listening = listening or Listening()
        await GepaSearch().search(plan, evaluator, MinedProposer(self.space), listening)
        return Outcome.of(listening, evaluator)


@dataclass
class Marking(Journal):
    """A journal that notes how long the corpus was when each entry became durable."""

    path: Path
    corpus: MemoryCorpus
    marks: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        Journal.__init__(self, self.path)

    def write_scores(self, scored: Any, **more: Any) -> None:
        super().write_scores(scored, **more)
        if scored:
            self.marks.append(len(self.corpus._log))

    def write_proposal(self, key: str, proposal: Proposed, **more: Any) -> None:
        super().write_proposal(key, proposal, **more)
        self.marks.append(len(self.corpus._log))


@pytest.fixture
async def recorded(lab: Lab) -> Recorded:
    return await Recorded.on(lab)


@pytest.fixture
def plan(lab: Lab) -> SearchPlan:
    return small_plan(lab.benchmark.tasks("search"))


async def test_cut_at_every_entry_it_ends_the_same(recorded: Recorded, plan: SearchPlan, tmp_path: Path) -> None:
    """Also in mid-line, which leaves what the entry before left. The worker does only what was not recorded."""
    lab = recorded.lab
    plan = replace(plan, val=lab.benchmark.tasks("search")[6:22])
    journal = Marking(tmp_path / "whole.jsonl", recorded.corpus)
    budget = Budget(BUDGET)
    evaluator = Evaluator(
        lab.setup(), lab.ledger, journal.part("test"), split="search", budget=budget, replay=Replaying(recorded.replay)
    )
    before = len(lab.worker.calls)
    whole = await recorded.search(evaluator, plan)
    journal.close()
    assert {row[6] for row in whole.found} >= {"seed", "accepted"} and whole.spent.attempts
    calls = {id for _, id in lab.worker.calls[before:]}
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == len(journal.marks) > 8
    for kept in range(len(lines) + 1):
        cut = Lab(tmp_path / f"cut{kept}")
        cut.corpus = await cut_corpus(recorded.corpus, journal.marks[kept - 1] if kept else recorded.records)
        stored = {attempt.id async for attempt in cut.corpus.scan(Attempt)}
        torn = lines[kept][: len(lines[kept]) // 2] if kept % 2 and kept < len(lines) else b""
        (cut.folder / "journal.jsonl").write_bytes(b"".join(lines[:kept]) + torn)
        again = await recorded.search(cut.evaluator(budget=BUDGET, replay=recorded.replay), plan)
        cut.close()
        assert again == whole, f"cut after entry {kept}"
        assert [id for _, id in cut.worker.calls] == list(dict.fromkeys(id for _, id in cut.worker.calls))
        assert {id for _, id in cut.worker.calls} == calls - stored
        assert (cut.folder / "journal.jsonl").read_bytes() == b"".join(lines)


async def test_the_same_seed_from_scratch_gives_the_same(plan: SearchPlan, tmp_path: Path) -> None:
    outcomes = []
    for name, concurrency in (("one", 1), ("two", 16)):
        lab = Lab(tmp_path / name)
        recorded = await Recorded.on(lab)
        evaluator = lab.evaluator(setup=lab.setup(concurrency=concurrency), budget=BUDGET, replay=recorded.replay)
        outcomes.append(await recorded.search(evaluator, plan))
        lab.close()
    assert outcomes[0] == outcomes[1]


async def test_another_seed_gives_other_candidates(recorded: Recorded, plan: SearchPlan) -> None:
    found = []
    for seed in (0, 1, 2):
        evaluator = recorded.lab.evaluator(journal=f"{seed}.jsonl", budget=BUDGET, replay=recorded.replay)
        outcome = await recorded.search(evaluator, replace(plan, seed=seed))
        found.append(frozenset(row[1] for row in outcome.found))
    assert len(set(found)) == 3


async def test_it_finds_what_beats_going_on_without_a_word(lab: Lab) -> None:
    """On fresh tasks of other families, at the same number of attempts granted."""
    tasks = lab.benchmark.tasks("search")
    replay = await lab.replay(tasks[:24])
    space, listening = lab.space(replay), Listening()
    plan = SearchPlan(
        start=seed_candidate(), train=tasks[:24], val=tasks[24:84], seed=0, generations=5, iterations=4, minibatch=12
    )
    archive = await GepaSearch().search(plan, lab.evaluator(replay=replay), MinedProposer(space), listening)
    best = next(f.candidate for f in listening.found_all if f.candidate.digest == archive.front()[0].candidate)
    dev, fresh = lab.evaluator(split="dev", journal="dev.jsonl"), lab.benchmark.tasks("dev")[:80]

    async def on_dev(candidate: Any) -> float:
        return value_of([one.score for one in await dev.evaluate(Request(candidate, fresh, seed=9))])

    carried, ours, ceiling = await on_dev(seed_candidate()), await on_dev(best), await on_dev(lamp_follower())
    assert ours > carried + 0.2
    assert ceiling > carried + 0.2, "the planted effect is there"
    assert listening.volumes == sorted(listening.volumes), "an archive never loses volume"


async def test_what_is_told_is_what_is_in_the_archive(recorded: Recorded, plan: SearchPlan) -> None:
    listening = Listening()
    evaluator = recorded.lab.evaluator(budget=BUDGET, replay=recorded.replay)
    archive = await GepaSearch().search(plan, evaluator, MinedProposer(recorded.space), listening)
    seed, *others = listening.found_all
    assert (seed.decision, seed.generation, seed.parents, seed.candidate) == ("seed", 0, (), plan.start)
    known = {seed.candidate.digest}
    assert len({found.name for found in listening.found_all}) == len(listening.found_all)
    for found in others:
        assert found.name.startswith(f"g{found.generation:02d}-c")
        assert 1 <= found.generation <= plan.generations
        assert set(found.parents) <= known and len(found.parents) == 1
        assert found.candidate.digest not in found.parents
        assert found.proposer == "mined" and re.search(r"\d", found.evidence)
        sizes = {"accepted": {len(plan.val)}, "duplicate": {0}}
        assert len(found.scores) in sizes.get(found.decision, {plan.minibatch, *DEFAULT.rungs(len(plan.val))})
        assert found.hypothesis
        if found.decision == "accepted":
            known.add(found.candidate.digest)
    assert {entry.candidate for entry in archive.front()} <= known
    assert len(archive) == len(known)
    assert listening.fronts[-1] == tuple(entry.candidate for entry in archive.front())


class TestTheBudget:
    async def test_too_little_for_one_evaluation_is_refused_before_anything(
        self, recorded: Recorded, plan: SearchPlan
    ) -> None:
        calls = len(recorded.lab.worker.calls)
        need = (len(plan.val) + 2 * plan.minibatch) * 3
        evaluator = recorded.lab.evaluator(budget=Amounts(attempts=need - 1), replay=recorded.replay)
        with pytest.raises(UsageError, match=f"{need - 1} attempts is too small.* {need}"):
            await recorded.search(evaluator, plan)
        assert len(recorded.lab.worker.calls) == calls
        assert (recorded.lab.folder / "journal.jsonl").read_bytes() == b""

    @pytest.mark.parametrize("attempts", [48, 70, 90, 120])
    async def test_it_stops_before_it_overspends(self, recorded: Recorded, plan: SearchPlan, attempts: int) -> None:
        listening = Listening()
        evaluator = recorded.lab.evaluator(budget=Amounts(attempts=attempts), replay=recorded.replay)
        outcome = await recorded.search(evaluator, replace(plan, generations=50), listening)
        assert 0 < (outcome.spent.attempts or 0) <= attempts
        assert listening.fronts

    async def test_money_that_is_used_up_stops_it(self, recorded: Recorded, plan: SearchPlan) -> None:
        evaluator = recorded.lab.evaluator(budget=Amounts(usd=0.01))
        listening = Listening(hook=lambda found: evaluator.budget.bill(Amounts(usd=0.02)))
        outcome = await recorded.search(evaluator, plan, listening)
        assert [row[6] for row in outcome.found] == ["seed"]

    async def test_turns_that_are_used_up_stop_it(self, recorded: Recorded, plan: SearchPlan) -> None:
        outcome = await recorded.search(recorded.lab.evaluator(budget=Amounts(turns=10)), plan)
        assert [row[6] for row in outcome.found] == ["seed"]


class TestOnRecordedTrees:
    async def test_a_search_that_the_record_supports_attempts_nothing(self, lab: Lab, plan: SearchPlan) -> None:
        lab.grant = Grant(2, 3, STEERS)
        recorded = Recorded(lab, await lab.replay([*plan.train, *plan.val]), ANY_SPACE, MemoryCorpus(), 0)
        calls, listening = len(lab.worker.calls), Listening()
        evaluator = lab.evaluator(replay=recorded.replay, budget=BUDGET)
        outcome = await recorded.search(evaluator, plan, listening)
        assert {found.decision for found in listening.found_all} >= {"seed", "accepted"}
        assert len(lab.worker.calls) == calls and outcome.spent.attempts is None
        assert evaluator.tally.attempts > 0 and evaluator.tally.scores == evaluator.tally.replayed

    async def test_what_has_no_support_and_no_attempts_is_set_aside_and_the_search_goes_on(
        self, lab: Lab, plan: SearchPlan
    ) -> None:
        """`none` alone was recorded; the budget pays for the start and one proposal."""
        lab.grant = Grant(2, 3, STEERS)
        replay = await lab.replay([*plan.train, *plan.val], CollectPlan(roots=2, depth=2, actions=STEERS[:1]))
        budget = Amounts(attempts=(len(plan.val) + 2 * plan.minibatch) * 2)
        ends = []
        for _ in range(2):
            listening = Listening()
            evaluator = lab.evaluator(replay=replay, budget=budget)
            await GepaSearch().search(plan, evaluator, Steering(), listening)
            ends.append([(f.name, f.decision, f.scores) for f in listening.found_all])
            assert (evaluator.budget.spent.attempts or 0) <= (budget.attempts or 0)
            lab.close_journals()
        assert ends[0] == ends[1]
        aside = [found for found in listening.found_all if found.decision == "unsupported"]
        assert aside
        for found in aside:
            assert any(score.set_aside for score in found.scores)
            assert all(found.candidate.digest not in front for front in listening.fronts)
            assert all(found.candidate.digest not in other.parents for other in listening.found_all)


@dataclass
class Steering:
    """Proposes one directive after the other, whatever the records say."""

    name: str = "steering"

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        if component != "steer":
            return None, Cost()
        action = STEERS[1 + seed % (len(STEERS) - 1)]
        rules = [{"when": [{"feature": "attempts", "op": ">", "value": seed}], "then": {"none": 1.0}}]
        return Proposal(text=rule_component(rules, {action: 1.0}), evidence="none", proposer=self.name), Cost()


async def test_generations_are_a_fixed_number_of_iterations(recorded: Recorded, plan: SearchPlan) -> None:
    listening = Listening()
    evaluator = recorded.lab.evaluator(replay=recorded.replay)
    await recorded.search(evaluator, replace(plan, generations=3, iterations=3), listening)
    assert 2 <= len(listening.fronts) <= 4, "the seed's own, and those in which something was found"
    assert {found.generation for found in listening.found_all} <= {0, 1, 2, 3}


def test_train_and_val_examples_never_share_an_id(lab: Lab) -> None:
    tasks = lab.benchmark.tasks("search")[:5]
    train, val = Loader([Example(t, "train") for t in tasks]), Loader([Example(t, "val") for t in tasks])
    assert set(train.all_ids()).isdisjoint(val.all_ids())
    assert len(train) == len(train.all_ids()) == 5
    fetched = val.fetch(val.all_ids()[::-1])
    assert [example.task for example in fetched] == list(tasks[::-1])
    assert {example.part for example in fetched} == {"val"}
