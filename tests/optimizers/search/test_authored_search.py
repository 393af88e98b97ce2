"""Authored search on the planted world: by the grammar, by a scripted model, live and replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from controllers.baselines import seed_candidate
from controllers.program import PROGRAM, program_candidate
from controllers.programs.language import canonical
from controllers.scripted_engine import ScriptedEngine, scripted_lm
from optimizers.authors import Losses
from optimizers.authors.grammar import GrammarAuthor
from optimizers.authors.lm import LMAuthor
from optimizers.engines import engine_of
from optimizers.evaluator import Request
from optimizers.journal import Proposal
from optimizers.meter import Limits
from optimizers.proposers.mined import MinedProposer
from optimizers.replaying import Replaying
from optimizers.search import Found, Kit, SearchPlan
from optimizers.search.authored_search import EMPTY, AuthoredSearch, Options, source_in
from optimizers.setup import Grant
from optimizers.space import Space
from optimizers.testing_engines import EngineContract, Maker
from signatures.errors import UsageError
from signatures.records import Amounts, Candidate, Cost
from tests.optimizers.authors.test_lm import HOSTILE, PROSE, answer
from tests.worlds.lab import STEERS, Lab, Listening, small_plan, value_of

FOLLOWER = """\
async def strategy(ctx):
    shot = await ctx.shot()
    for _ in range(4):
        if shot.features.get("planted.lit.fan", 0.0) > 0.5:
            shot = await ctx.shot(start="last", steer="fan")
        elif shot.features.get("planted.lit.pump", 0.0) > 0.5:
            shot = await ctx.shot(start="last", steer="pump")
        elif shot.features.get("planted.lit.valve", 0.0) > 0.5:
            shot = await ctx.shot(start="last", steer="valve")
        else:
            shot = await ctx.shot(start="last", steer="core")
"""
ALONE = Options(builtins=False)
GRANT = Grant(2, 4, STEERS)
"""As deep as the trees are, so that all of it is replayed."""
BARE = Space(thresholds={}, actions={"stop": ("continue", "done"), "topology": ("refine_last",), "steer": ("none",)})


class TestContract(EngineContract):
    """By the grammar, with the built-in programs."""

    @pytest.fixture
    def engine(self) -> Maker:
        """As `engine_of` finds it."""
        return lambda kit: engine_of("authored_search", kit)


@dataclass
class Trees:
    """A lab with recorded trees of the tasks of a plan."""

    lab: Lab
    replay: Replaying
    plan: SearchPlan

    @classmethod
    async def of(cls, lab: Lab, plan: SearchPlan) -> Trees:
        lab.grant = GRANT
        return cls(lab, Replaying(await lab.replay([*plan.train, *plan.val])), plan)

    @property
    def grammar(self) -> GrammarAuthor:
        return GrammarAuthor(self.lab.space(self.replay.trees))

    async def search(self, engine: AuthoredSearch, *, journal: str = "journal.jsonl", **changed: int) -> Listening:
        """What a search of the plan found."""
        listening, plan = Listening(), replace(self.plan, **changed)
        evaluator = self.lab.evaluator(replay=self.replay, journal=journal)
        proposer = MinedProposer(self.lab.space(self.replay.trees))
        archive = await engine.search(plan, evaluator, proposer, listening)
        assert archive is evaluator.archive
        return listening


@pytest.fixture
async def trees(lab: Lab) -> Trees:
    return await Trees.of(lab, small_plan(lab.benchmark.tasks("search")))


@pytest.mark.slow
async def test_a_program_better_than_the_seed_is_found_from_most_seeds(lab: Lab) -> None:
    """On fresh tasks of other families, at a budget of twelve programs."""
    tasks = lab.benchmark.tasks("search")
    plan = SearchPlan(
        start=seed_candidate(), train=tasks[:12], val=tasks[12:32], seed=0, generations=3, iterations=4, minibatch=4
    )
    trees = await Trees.of(lab, plan)
    dev, fresh = lab.evaluator(split="dev", journal="dev.jsonl"), lab.benchmark.tasks("dev")[:40]

    async def on_dev(candidate: Candidate) -> float:
        return value_of([one.score for one in await dev.evaluate(Request(candidate, fresh, seed=9))])

    carried, gains = await on_dev(seed_candidate()), []
    for seed in range(5):
        listening = await trees.search(AuthoredSearch([trees.grammar], ALONE), journal=f"{seed}.jsonl", seed=seed)
        best = next(one for one in listening.found_all if one.candidate.digest == listening.fronts[-1][0])
        gains.append(await on_dev(best.candidate) - carried)
    assert sum(gain > 0.05 for gain in gains) >= 4, gains


async def test_it_begins_with_the_built_in_programs_and_every_idea_states_a_hypothesis(trees: Trees) -> None:
    listening = await trees.search(AuthoredSearch([trees.grammar], steers=trees.lab.grant.steer_legal))
    seed, *others = listening.found_all
    assert (seed.decision, seed.candidate) == ("seed", trees.plan.start)
    assert [one.proposer for one in others[:4]] == ["builtin"] * 4
    assert {one.proposer for one in others[4:]} == {"grammar"}
    assert len(others) == trees.plan.generations * trees.plan.iterations
    for found in others:
        assert set(found.candidate.components) == {PROGRAM} and found.hypothesis
        source = source_in(found.candidate.components[PROGRAM])
        assert source == canonical(source)
    accepted = {one.candidate.digest for one in listening.found_all if one.decision in ("seed", "accepted")}
    assert all(set(one.parents) <= accepted for one in others)
    assert set(listening.fronts[-1]) <= accepted


async def test_the_escalating_program_is_tried_where_its_steer_is_named(trees: Trees) -> None:
    found = await trees.search(AuthoredSearch([trees.grammar], Options(escalate="core")))
    assert any("cascade" in one.hypothesis for one in found.found_all)


async def test_the_same_seed_gives_the_same_and_another_one_does_not(trees: Trees) -> None:
    def told(found: Sequence[Found]) -> list[tuple[object, ...]]:
        return [(one.name, one.candidate.digest, one.decision, one.hypothesis) for one in found]

    engine = AuthoredSearch([trees.grammar], ALONE)
    once = told((await trees.search(engine, journal="one.jsonl")).found_all)
    assert told((await trees.search(engine, journal="two.jsonl")).found_all) == once
    assert told((await trees.search(engine, journal="three.jsonl", seed=7)).found_all) != once


async def test_it_goes_on_from_its_journal_without_asking_or_attempting_again(trees: Trees) -> None:
    lm, asked = scripted_lm(lambda prompt: answer(FOLLOWER))
    author = LMAuthor(lm, trees.lab.space(trees.replay.trees))
    before = await trees.search(AuthoredSearch([author, trees.grammar], ALONE))
    prompts, calls = len(asked.prompts), len(trees.lab.worker.calls)
    trees.lab.close_journals()
    after = await trees.search(AuthoredSearch([author, trees.grammar], ALONE))
    assert after.found_all == before.found_all and prompts > 0
    assert (len(asked.prompts), len(trees.lab.worker.calls)) == (prompts, calls)


def modelled(trees: Trees, text: str) -> tuple[AuthoredSearch, ScriptedEngine]:
    """The engine as the kit of a run with a model makes it."""
    lm, asked = scripted_lm(lambda prompt: text)
    kit = Kit(
        space=trees.lab.space(trees.replay.trees),
        lm=lm,
        replay=trees.replay,
        steer_legal=trees.lab.grant.steer_legal,
        options={"builtins": False},
    )
    engine = engine_of("authored_search", kit)
    assert isinstance(engine, AuthoredSearch)
    return engine, asked


class TestWithAModel:
    async def test_a_good_program_is_accepted_with_the_models_hypothesis(self, trees: Trees) -> None:
        engine, asked = modelled(trees, answer(FOLLOWER))
        listening = await trees.search(engine)
        good = next(one for one in listening.found_all if one.decision == "accepted")
        assert good.candidate == program_candidate(FOLLOWER)
        assert (good.hypothesis, good.evidence) == ("The lamp tells where to look.", "record 3")
        assert value_of(good.scores) > value_of(listening.found_all[0].scores)
        again = [one.decision for one in listening.found_all[2:]]
        assert again == ["duplicate"] * len(again), "the same again is not evaluated"
        assert "two ways on from one place" in asked.prompts[0], "contrasting episodes are told"

    @pytest.mark.parametrize("program", [*HOSTILE.values(), PROSE, ""])
    async def test_what_is_not_in_the_language_is_never_a_candidate(self, trees: Trees, program: str) -> None:
        engine, asked = modelled(trees, answer(program))
        listening = await trees.search(engine)
        assert [one.decision for one in listening.found_all] == ["seed"]
        assert len(asked.prompts) == 2 * EMPTY, "each time shown once more with the error"

    async def test_a_program_that_fails_while_it_runs_is_rejected(self, trees: Trees) -> None:
        faulty = 'async def strategy(ctx):\n    shot = await ctx.shot()\n    n = shot.features["nothing"]\n'
        engine, _ = modelled(trees, answer(faulty))
        listening = await trees.search(engine)
        assert {one.decision for one in listening.found_all[1:]} <= {"rejected", "duplicate"}
        assert any(score.fault for score in listening.found_all[1].scores)

    async def test_a_program_that_consults_names_the_model(self, trees: Trees) -> None:
        source = (
            'async def strategy(ctx):\n    word = await ctx.consult("steer", ["none"])\n    shot = await ctx.shot()\n'
        )
        engine, _ = modelled(trees, answer(source))
        assert '"model":"scripted"' in engine.candidate(source).components[PROGRAM]
        assert '"model"' not in engine.candidate(FOLLOWER).components[PROGRAM]


@dataclass
class Watching:
    """An author that proposes nothing and keeps what it was shown."""

    shown: list[Losses]
    name: str = "watching"
    reads: bool = False

    async def write(self, parent: str, losses: Losses, *, seed: int) -> tuple[Proposal | None, Cost]:
        self.shown.append(losses)
        return None, Cost()


async def test_without_a_record_it_reflects_on_what_the_parent_did(lab: Lab) -> None:
    """Live: nothing is recorded, so the losses are those of the parent on a minibatch of the train tasks."""
    plan, author = small_plan(lab.benchmark.tasks("search")), Watching([])
    evaluator = lab.evaluator(budget=Amounts(attempts=900))
    listening = Listening()
    await AuthoredSearch([author]).search(plan, evaluator, MinedProposer(BARE), listening)
    assert any(losses.moves for losses in author.shown)
    assert all(move.observed for losses in author.shown for move in losses.moves)


async def test_a_limit_ends_it(trees: Trees) -> None:
    evaluator = trees.lab.evaluator(replay=trees.replay, limits=Limits(compute=100))
    listening = Listening()
    engine = AuthoredSearch([trees.grammar])
    await engine.search(trees.plan, evaluator, MinedProposer(trees.grammar.space), listening)
    assert len(listening.found_all) > 1
    assert evaluator.meter.spent().compute <= 100


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"author": "lm"}, "--lm MODEL"),
        ({"author": "poet"}, "author"),
        ({"authors": "lm"}, "has no option authors; it has .*author, builtins"),
        ({"reflect_on": 0}, "reflect_on"),
    ],
)
def test_options_that_cannot_be_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        engine_of("authored_search", Kit(space=BARE, options=options))
