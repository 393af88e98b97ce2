"""MIPROv2 as an engine: what it finds, what it is told, how it ends and how it is resumed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controllers.program import lm_component
from controllers.scripted_engine import ScriptedEngine, scripted_lm
from optimizers.book import Book
from optimizers.evaluator import Evaluator
from optimizers.meter import Limits
from optimizers.proposers.mined import MinedProposer
from optimizers.records import TaskScore
from optimizers.replay.asking import Asking
from optimizers.replaying import Replaying
from optimizers.search import Found, Kit, SearchPlan
from optimizers.search.mipro_search import MiproSearch, Options, asking, engine, worth
from optimizers.setup import Grant
from optimizers.space import Space
from optimizers.testing_engines import Case as ContractCase
from optimizers.testing_engines import EngineContract, Maker
from optimizers.testing_world import PlantedObserver, PlantedWorker, Problem
from signatures.digest import digest_text
from signatures.errors import Outage, UsageError
from signatures.records import Amounts
from tests.worlds.lab import STEERS, Lab, Listening, small_plan, value_of, with_components
from tests.worlds.planted import LIT_GROUPS, PlantedJudge

if TYPE_CHECKING:
    import dspy

HINT = "the lamp is lit"
SPACE = Space(thresholds={}, actions={})


def script(prompt: str) -> str:
    """A model that reads the panel once its instructions mention it, and that writes such instructions now and then."""
    if "`proposed_instruction`" in prompt:
        number = int(digest_text(prompt), 16)
        hint = f"choose the directive of which {HINT}" if number % 2 else "choose well"
        return f"[[ ## proposed_instruction ## ]]\nIdea {number % 1000}, {hint}."
    if "`action`" not in prompt:
        return f"machines, {digest_text(prompt)[:6]}"
    features = json.loads(re.findall(r"\[\[ ## features ## ]]\n(\{.*?\})\n", prompt)[-1])
    lit = [group for group in LIT_GROUPS if features.get(f"planted.lit.{group}")]
    action = (lit or ["core"])[0] if HINT in prompt else "none"
    return f"[[ ## action ## ]]\n{action}\n\n[[ ## confidence ## ]]\n1.0"


@dataclass
class Case:
    """One lab with a scripted model that decides and writes."""

    lab: Lab
    script: Callable[[str], str] = script
    options: Options = field(default_factory=lambda: Options(candidates=3))
    lm: dspy.LM = field(init=False)
    engine: ScriptedEngine = field(init=False)
    plan: SearchPlan = field(init=False)
    limits: Limits | None = None

    def __post_init__(self) -> None:
        self.lm, self.engine = scripted_lm(lambda prompt: self.script(prompt))
        self.lab.grant = Grant(2, 3, STEERS)
        start = with_components(steer=lm_component("steer", self.lm))
        tasks = self.lab.benchmark.tasks("search")
        plan = small_plan(tasks, generations=2, iterations=3)
        self.plan = replace(plan, start=start, train=tasks[:3], val=tasks[6:12])

    def evaluator(self, journal: str = "journal.jsonl", *, budget: Amounts | None = None) -> Evaluator:
        setup = replace(self.lab.setup(breaker=3), lm=self.lm)
        return self.lab.evaluator(setup=setup, journal=journal, budget=budget, limits=self.limits)

    async def search(self, evaluator: Evaluator, listening: Listening | None = None) -> Listening:
        listening = listening or Listening()
        made = MiproSearch(self.lm, STEERS, self.options)
        archive = await made.search(self.plan, evaluator, MinedProposer(SPACE), listening)
        assert archive is evaluator.archive
        assert listening.fronts[-1] == tuple(entry.candidate for entry in archive.front())
        return listening

    def asked(self) -> int:
        """Questions to the model that writes instructions, since the last look."""
        prompts, self.engine.prompts = list(self.engine.prompts), []
        return sum("`action`" not in prompt or "`proposed_instruction`" in prompt for prompt in prompts)


@pytest.fixture
def case(lab: Lab) -> Case:
    return Case(lab)


async def test_it_finds_instructions_that_help_and_states_what_each_candidate_is_for(case: Case) -> None:
    case.plan = replace(case.plan, val=case.lab.benchmark.tasks("search")[6:16])
    listening = await case.search(case.evaluator())
    seed, *others = listening.found_all
    assert (seed.decision, seed.candidate, seed.generation) == ("seed", case.plan.start, 0)
    assert len(others) == 6 and len({found.candidate.digest for found in others}) == 6
    known = {seed.candidate.digest}
    for found in others:
        assert found.name.startswith("m0") and found.proposer == "scripted"
        assert re.search(r"steer with instruction \d( and demo set \d)? \(of round \d\)$", found.hypothesis)
        assert set(found.parents) <= known and len(found.parents) == 1
        assert asking(found.candidate, case.evaluator()) == ["steer"]
        known |= {found.candidate.digest} if found.decision == "accepted" else set()
    best = max((f for f in others if f.decision == "accepted"), key=lambda found: value_of(found.scores))
    assert HINT in best.candidate.components["steer"]
    assert value_of(best.scores) >= value_of(seed.scores) + 0.1
    assert any("is shown" in found.evidence for found in others)


async def test_it_is_a_function_of_its_seed(case: Case) -> None:
    first = await case.search(case.evaluator("a.jsonl"))
    second = await case.search(case.evaluator("b.jsonl"))
    assert first.found_all == second.found_all
    case.plan = replace(case.plan, seed=1)
    third = await case.search(case.evaluator("c.jsonl"))
    assert [f.candidate for f in third.found_all] != [f.candidate for f in first.found_all]


async def test_from_its_journal_it_ends_the_same_and_nothing_is_asked_again(case: Case) -> None:
    evaluator = case.evaluator()
    first = await case.search(evaluator)
    assert case.asked() >= 5
    case.lab.close_journals()
    lines = (case.lab.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    proposals = [b'"proposal"' in line for line in lines]
    for kept in (*range(0, len(lines), 8), len(lines)):
        (case.lab.folder / f"{kept}.jsonl").write_bytes(b"".join(lines[:kept]))
        again = case.evaluator(f"{kept}.jsonl")
        second = await case.search(again)
        assert (second.found_all, second.fronts) == (first.found_all, first.fronts)
        assert again.meter.spent()[:4] == evaluator.meter.spent()[:4]
        assert case.asked() == sum(proposals[kept:])
        case.lab.close_journals()


async def test_on_recorded_trees_a_model_is_asked_for_the_replay(case: Case) -> None:
    trees = await case.lab.replay(case.plan.val)
    with Asking() as known:
        evaluator = case.lab.evaluator(
            setup=replace(case.lab.setup(), lm=case.lm),
            replay=Replaying(trees, asking=known),
            budget=Amounts(attempts=60),
        )
        listening = await case.search(evaluator)
    assert evaluator.tally.replayed > 0
    assert {found.decision for found in listening.found_all[1:]} >= {"accepted"}


async def test_minibatches_are_dspys_own_and_what_was_never_seen_whole_is_told_as_rejected(case: Case) -> None:
    case.options = Options(candidates=4, minibatch=3, full_every=2, trials=6)
    listening = await case.search(case.evaluator())
    _, *others = listening.found_all
    sizes = {len(found.scores) for found in others if found.decision == "rejected"}
    assert 3 in sizes
    for found in others:
        assert len(found.scores) == 3 or len(found.scores) == len(case.plan.val)
        assert found.decision == "rejected" or len(found.scores) == len(case.plan.val)
    assert len({found.candidate.digest for found in others}) == len(others)


async def test_a_limit_of_tokens_ends_it_within_one_batch(case: Case) -> None:
    whole = case.evaluator("whole.jsonl")
    await case.search(whole)
    most = whole.meter.spent().tokens
    dearest = max(len(prompt.split()) for prompt in case.engine.prompts) + 100
    for share in (0.3, 0.6):
        case.limits = Limits(tokens=int(most * share))
        evaluator = case.evaluator(f"{share}.jsonl")
        listening = await case.search(evaluator)
        assert evaluator.meter.over() is not None
        batch = len(case.plan.val) * case.lab.grant.attempts * dearest
        assert 0.8 * share * most <= evaluator.meter.spent().tokens <= share * most + batch
        assert len(listening.found_all) < 7


@pytest.mark.parametrize("beside", [0, 5, 6])
async def test_demos_are_mined_by_playing_only_where_a_candidate_can_be_paid_for_too(case: Case, beside: int) -> None:
    """Three train tasks may take six attempts, six val tasks twelve."""
    with_start = case.evaluator("start.jsonl")
    await Book(case.plan, with_start, Listening(), letter="m").start()
    budget = Amounts(attempts=with_start.meter.spent().attempts + 12 + beside)
    case.lab.worker.calls.clear()
    listening = await case.search(case.evaluator(budget=budget))
    train = {task.digest for task in case.plan.train}
    assert any(digest in train for digest, _ in case.lab.worker.calls) is (beside == 6)
    assert len(listening.found_all) > 1, "what was left was for a candidate"


async def test_writing_instructions_is_billed(case: Case) -> None:
    evaluator = case.evaluator()
    await case.search(evaluator)
    asked = [p for p in case.engine.prompts if "`action`" not in p or "`proposed_instruction`" in p]
    decided = [p for p in case.engine.prompts if p not in asked]
    words = sum(len(prompt.split()) + len(script(prompt).split()) for prompt in (*asked, *decided))
    assert evaluator.meter.spent().tokens == words


async def test_an_outage_of_the_worker_comes_out_as_itself(case: Case) -> None:
    case.lab.worker.fails = lambda task, call: OSError("gone") if call > 30 else None
    with pytest.raises(Outage, match="gone"):
        await case.search(case.evaluator())


async def test_a_model_that_cannot_write_leaves_the_search_to_demos(case: Case) -> None:
    def mute(prompt: str) -> str:
        if "`proposed_instruction`" in prompt:
            raise OSError("no answer")
        return script(prompt)

    case.script, case.options = mute, Options(candidates=2)
    listening = await case.search(case.evaluator())
    others = [found for found in listening.found_all if found.decision != "seed"]
    assert others and all("instruction 0" in found.hypothesis for found in others)


async def test_a_model_that_is_gone_comes_out_as_an_outage(case: Case) -> None:
    def gone(prompt: str) -> str:
        if "`action`" not in prompt or "`proposed_instruction`" in prompt:
            raise OSError("no answer")
        return script(prompt)

    case.script, case.options = gone, Options(candidates=6)
    with pytest.raises(Outage):
        await case.search(case.evaluator())


async def test_where_nothing_new_comes_it_ends(case: Case) -> None:
    case.options = Options(candidates=2, demos=0)
    case.script = lambda prompt: "the same" if "`action`" not in prompt else script(prompt)
    case.plan = replace(case.plan, generations=50)
    listening = await case.search(case.evaluator())
    assert 1 <= len(listening.found_all) <= 3


async def test_a_halted_plan_ends_it(case: Case) -> None:
    told = Listening()
    case.plan = replace(case.plan, halted=lambda: len(told.found_all) >= 3)
    assert len((await case.search(case.evaluator(), told)).found_all) == 3


async def test_a_cancelled_search_leaves_no_thread_behind(case: Case) -> None:
    started = asyncio.Event()
    told = Listening(hook=lambda found: started.set() if found.decision != "seed" else None)
    running = asyncio.create_task(case.search(case.evaluator(), told))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    count = len(told.found_all)
    await asyncio.sleep(0.05)
    assert len(told.found_all) == count


async def test_no_verdict_is_in_a_prompt_a_candidate_or_what_was_journaled_of_proposals(case: Case) -> None:
    case.lab.judge = PlantedJudge(canary="canary7f3")
    listening = await case.search(case.evaluator())
    assert len(case.engine.prompts) > 50
    assert not any("canary7f3" in prompt for prompt in case.engine.prompts)
    journal = (case.lab.folder / "journal.jsonl").read_text("utf-8")
    assert '"proposal"' in journal and "canary7f3" not in journal
    for found in listening.found_all:
        assert "canary7f3" not in found.candidate.model_dump_json() + found.evidence + found.hypothesis
    case.lab.close()
    assert any(b"canary7f3" in path.read_bytes() for path in case.lab.folder.glob("verdicts.db*"))


async def test_a_start_of_rules_and_a_kit_without_a_model_are_refused(case: Case) -> None:
    case.plan = replace(case.plan, start=with_components())
    with pytest.raises(UsageError, match="the start has none"):
        await case.search(case.evaluator())
    kit = Kit(space=SPACE, steer_legal=STEERS)
    with pytest.raises(UsageError, match="name one with --lm"):
        engine(kit)
    with pytest.raises(UsageError, match="mipro_search has no option minibatches"):
        engine(replace(kit, lm=case.lm, options={"minibatches": 3}))
    made = engine(replace(kit, lm=case.lm, options={"minibatch": 3, "candidates": 5}))
    assert isinstance(made, MiproSearch) and made.options == Options(minibatch=3, candidates=5)


def words(prompt: str) -> str:
    """The same model in the world of the contract, where a feature shows the word that helps."""
    if "`action`" not in prompt or "`proposed_instruction`" in prompt:
        return script(prompt)
    features = json.loads(re.findall(r"\[\[ ## features ## ]]\n(\{.*?\})\n", prompt)[-1])
    word = "left" if features.get("planted.left") else "right"
    return f"[[ ## action ## ]]\n{word if HINT in prompt else 'none'}\n\n[[ ## confidence ## ]]\n1.0"


class TestContract(EngineContract):
    """On the contract's own world, its start asking a scripted model."""

    owns_its_loop = True

    @pytest.fixture
    def engine(self) -> Maker:
        return lambda kit: engine(replace(kit, options={"candidates": 3}))

    def problem(
        self,
        *,
        worker: PlantedWorker | None = None,
        observer: PlantedObserver | None = None,
        concurrency: int = 4,
    ) -> Problem:
        model, _ = scripted_lm(words)
        made = super().problem(worker=worker, observer=observer, concurrency=concurrency)
        return replace(made, lm=model)

    async def test_the_same_seed_and_answers_give_the_same(self, engine: Maker, tmp_path: Path) -> None:
        """But for the times that asking the model took."""
        first = await ContractCase(engine, tmp_path / "a", self.problem()).search(self.problem().plan())
        second = await ContractCase(engine, tmp_path / "b", self.problem(concurrency=1)).search(self.problem().plan())
        assert unmeasured(first.told.found_all) == unmeasured(second.told.found_all)
        assert first.front == second.front and first.told.fronts == second.told.fronts
        assert first.spent._replace(wall_s=0) == second.spent._replace(wall_s=0)

    async def test_it_resumes_from_a_journal_cut_at_every_line(self, engine: Maker, tmp_path: Path) -> None:
        """In a process with an empty corpus, so that what is not in the journal is attempted and asked anew."""
        plan = self.problem().plan(generations=1, iterations=3)
        whole = await ContractCase(engine, tmp_path / "whole", self.problem()).search(plan)
        lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
        for kept in range(0, len(lines) + 1, 4):
            folder = tmp_path / f"cut{kept}"
            folder.mkdir()
            torn = lines[kept][: len(lines[kept]) // 2] if kept < len(lines) else b""
            (folder / "journal.jsonl").write_bytes(b"".join(lines[:kept]) + torn)
            again = await ContractCase(engine, folder, self.problem()).search(plan)
            assert again.front == whole.front
            assert unmeasured(again.told.found_all) == unmeasured(whole.told.found_all), f"cut after line {kept}"


def unmeasured(found: Sequence[Found]) -> list[Found]:
    """What was found, without the times that no two executions share."""

    def bare(score: TaskScore) -> TaskScore:
        spent, used = (amounts.model_copy(update={"wall_s": None}) for amounts in (score.spent, score.used))
        return score.model_copy(update={"spent": spent, "used": used})

    return [replace(one, scores=tuple(bare(score) for score in one.scores)) for one in found]


def scored(task: str, value: float | None) -> TaskScore:
    return TaskScore(
        candidate="c",
        condition="candidate",
        task_digest=task,
        seed=0,
        split="search",
        values={"x": value},
        source="live",
    )


def test_what_a_candidate_is_worth_does_not_depend_on_which_tasks_it_was_measured_on() -> None:
    base = {name: scored(name, value) for name, value in (("a", 0.0), ("b", 0.5), ("c", 1.0), ("d", None))}
    assert worth([scored("a", 0.25)], base, "x") == pytest.approx(0.75)
    assert worth([scored("c", 1.0)], base, "x") == pytest.approx(0.5)
    every = [scored("a", 0.2), scored("b", 0.6), scored("c", 0.1)]
    assert worth(every, base, "x") == pytest.approx(0.3)
    missing = [*every, scored("d", 0.0), scored("b", None)]
    assert worth(missing[:1] + missing[3:], base, "x") == pytest.approx(0.7), "a missing value is no zero"
    assert worth([scored("d", 1.0), scored("a", None)], base, "x") is None
