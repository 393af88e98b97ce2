"""The choke point: what it bills, refuses, answers from the journal, replays, and leaves out."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from controllers.baselines import control_arms, seed_candidate
from controllers.corpus import SqliteCorpus
from controllers.history import Seen
from controllers.observe import lineage
from controllers.program import controller_of, lm_component, rule_component
from controllers.retry import Breaker, RetryPolicy
from controllers.scripted_engine import ScriptedEngine, scripted_lm
from judges.records import Judgement
from optimizers.collect.collecting import CollectPlan
from optimizers.evaluator import Evaluator, Request, Scored
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from optimizers.replay.asking import Asking
from optimizers.replay.estimates import MAX_UNSUPPORTED
from optimizers.replay.tree import TreeReplay
from optimizers.replaying import Replaying
from optimizers.setup import Grant, Setup
from optimizers.vectors import mean_vector
from signatures.errors import BudgetExceeded, FirewallBreach, InfraError, Outage, ProviderError
from signatures.records import Amounts, Candidate, Cost, PolicyName, Task
from tests.worlds.lab import GRANT, STEERS, Lab, lamp_follower, steered, with_components
from tests.worlds.planted import PlantedJudge

SEED = 7


def request(tasks: Sequence[Task], candidate: Candidate | None = None, **more: object) -> Request:
    return replace(Request(candidate or seed_candidate(), tasks, seed=SEED), **more)  # type: ignore[arg-type]


def passed(seen: Seen) -> bool:
    check = seen.attempt.check("correct")
    return check is not None and bool(check.passed)


def scores(scored: Sequence[Scored]) -> list[dict[str, float | None]]:
    return [dict(one.score.values) for one in scored]


@pytest.fixture
def tasks(lab: Lab) -> tuple[Task, ...]:
    return lab.benchmark.tasks("search")[:8]


class TestTheNumbers:
    async def test_correct_is_the_judges_number_and_the_rest_is_measured(
        self, lab: Lab, tasks: tuple[Task, ...]
    ) -> None:
        scored = await lab.evaluator().evaluate(request(tasks, keep_rollouts=True))
        for task, one in zip(tasks, scored, strict=True):
            rollout = one.rollout
            assert rollout is not None and rollout.output is not None
            turns = sum(seen.attempt.cost.turns or 0 for seen in rollout.history)
            wasted = 0
            for seen in lineage(rollout.history, rollout.episode.selected_id or ""):
                wasted += sum(event.kind == "tool" and event.text != "repaired" for event in seen.trace)
            expected = (await PlantedJudge().judge(task, rollout.output)).score
            values = one.score.values
            assert values["correct"] == expected
            assert values["fast"] == pytest.approx(1 - turns / 12)
            assert values["clean"] == pytest.approx(max(0.0, 1 - wasted / 12))
            assert (one.score.source, one.score.unsupported, one.score.failure) == ("live", 0.0, None)
            assert one.score.spent.attempts == len(rollout.history) and one.score.spent.turns == turns

    async def test_judge_and_checker_disagree_on_some_tasks(self, lab: Lab) -> None:
        """Else no test of this world could tell the one from the other."""
        tasks = lab.benchmark.tasks("search")[:60]
        scored = await lab.evaluator().evaluate(request(tasks, lamp_follower(), keep_rollouts=True))
        passed = []
        for one in scored:
            assert one.rollout is not None
            chosen = next(s for s in one.rollout.history if s.attempt.id == one.rollout.episode.selected_id)
            check = chosen.attempt.check("correct")
            passed.append((check is not None and bool(check.passed), one.score.values["correct"] == 1))
        assert {(True, True), (True, False), (False, False)} == set(passed)

    async def test_how_many_run_at_once_changes_nothing(self, tmp_path: Path, tasks: tuple[Task, ...]) -> None:
        told = []
        for concurrency in (1, 3, 16):
            lab = Lab(tmp_path / str(concurrency))
            evaluator = lab.evaluator(setup=lab.setup(concurrency=concurrency))
            scored = await evaluator.evaluate(request(tasks, steered("fan")))
            told.append(([one.score.content() for one in scored], evaluator.budget.spent.attempts))
            lab.close()
        assert told[0] == told[1] == told[2]

    async def test_verdicts_land_in_the_ledger(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        scored = await lab.evaluator().evaluate(request(tasks))
        ids = [one.score.episode_id or "" for one in scored]
        held = await lab.ledger.scores("search", ids, reader="evaluator")
        assert held == {id: one.score.values["correct"] for id, one in zip(ids, scored, strict=True)}
        assert (await lab.ledger.verify()).rows == len(tasks)

    async def test_another_seed_plays_other_episodes(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        evaluator = lab.evaluator()
        first = await evaluator.evaluate(request(tasks))
        second = await evaluator.evaluate(request(tasks, seed=SEED + 1))
        assert {one.score.episode_id for one in first}.isdisjoint(one.score.episode_id for one in second)


class TestTheJournal:
    async def test_journaled_answers_call_no_worker_and_bill_the_same(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        first = lab.evaluator(budget=Amounts(attempts=100))
        before = await first.evaluate(request(tasks))
        calls = len(lab.worker.calls)
        lab.close_journals()
        again = lab.evaluator(budget=Amounts(attempts=100))
        after = await again.evaluate(request(tasks))
        assert len(lab.worker.calls) == calls
        assert [one.score for one in after] == [one.score for one in before]
        assert again.budget.spent.attempts == first.budget.spent.attempts == calls

    async def test_one_key_is_billed_once(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        evaluator = lab.evaluator(budget=Amounts(attempts=24))
        first = await evaluator.evaluate(request(tasks))
        spent = evaluator.budget.spent
        again = await evaluator.evaluate(request(tasks[:4]))
        assert [one.score for one in again] == [one.score for one in first[:4]]
        assert evaluator.budget.spent == spent
        assert spent.attempts == len(lab.worker.calls)

    async def test_a_task_named_twice_is_played_and_billed_once(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        evaluator = lab.evaluator(budget=Amounts(attempts=3))
        one, two = await evaluator.evaluate(request([tasks[0], tasks[0]]))
        assert one == two
        assert len(lab.worker.calls) == len(set(lab.worker.calls)) == evaluator.budget.spent.attempts

    async def test_rollouts_of_journaled_scores_are_recalled_not_played(
        self, tmp_path: Path, tasks: tuple[Task, ...]
    ) -> None:
        corpus = SqliteCorpus(tmp_path / "corpus.db")
        lab = Lab(tmp_path, corpus=corpus)
        before = await lab.evaluator().evaluate(request(tasks, keep_rollouts=True))
        calls = len(lab.worker.calls)
        lab.close_journals()
        after = await lab.evaluator().evaluate(request(tasks, keep_rollouts=True))
        lab.close()
        corpus.close()
        assert len(lab.worker.calls) == calls
        assert [one.rollout and one.rollout.history for one in after] == [
            one.rollout and one.rollout.history for one in before
        ]

    async def test_another_cut_of_the_budget_is_another_question(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        evaluator = lab.evaluator()
        three = await evaluator.evaluate(request(tasks))
        one = await evaluator.evaluate(request(tasks, grant=Grant(1, 3, STEERS)))
        assert (
            sum(s.score.spent.attempts or 0 for s in one)
            == len(tasks)
            < sum(s.score.spent.attempts or 0 for s in three)
        )


class TestTheBudget:
    async def test_what_cannot_be_paid_is_refused_before_anything_starts(
        self, lab: Lab, tasks: tuple[Task, ...]
    ) -> None:
        evaluator = lab.evaluator(budget=Amounts(attempts=5))
        with pytest.raises(BudgetExceeded, match="attempts"):
            await evaluator.evaluate(request(tasks[:2]))
        assert lab.worker.calls == []
        assert (lab.folder / "journal.jsonl").read_bytes() == b""
        assert (await lab.ledger.verify()).rows == 0
        assert (evaluator.budget.left("attempts"), evaluator.budget.spent.attempts) == (5, None)
        assert len(await evaluator.evaluate(request(tasks[:1]))) == 1

    async def test_nothing_stays_reserved(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        evaluator = lab.evaluator(budget=Amounts(attempts=24))
        await evaluator.evaluate(request(tasks))
        assert evaluator.budget.left("attempts") == 24 - (evaluator.budget.spent.attempts or 0)

    def test_the_most_that_tasks_can_cost(self, lab: Lab) -> None:
        evaluator = lab.evaluator()
        assert evaluator.cost_of(5) == 15
        assert evaluator.cost_of(5, Grant(1, 9, STEERS)) == 5


@dataclass
class Unsure:
    """The planted judge, unreachable for some tasks and without an opinion on others."""

    unreachable: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    revision: str = "unsure 1"
    deterministic: bool = True

    async def judge(self, task: Task, output: str) -> Judgement:
        if task.digest in self.unreachable:
            raise ConnectionError("no judge")
        if task.digest in self.silent:
            return Judgement(score=None)
        return await PlantedJudge().judge(task, output)


class TestWhatFails:
    async def test_an_infrastructure_failure_is_missing_and_not_billed(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        good = await lab.evaluator(journal="good.jsonl").evaluate(request(tasks))
        other = Lab(lab.folder / "other")
        other.worker.fails = lambda task, call: OSError("no space") if task.digest == tasks[2].digest else None
        evaluator = other.evaluator()
        scored = await evaluator.evaluate(request(tasks))
        other.close()
        failed = scored[2].score
        assert failed.failure is not None
        assert (failed.failure.error, failed.failure.where) == ("WorkerError", "worker planted")
        assert set(failed.values.values()) == {None}
        kept = [one for n, one in enumerate(good) if n != 2]
        objectives = lab.benchmark.objectives
        assert mean_vector([one.score for one in scored], objectives) == mean_vector(
            [one.score for one in kept], objectives
        )
        assert evaluator.budget.spent.attempts == sum(one.score.spent.attempts or 0 for one in kept)

    async def test_what_infrastructure_ended_before_it_was_scored_runs_again(
        self, lab: Lab, tasks: tuple[Task, ...]
    ) -> None:
        """An outage journals nothing: the same evaluation, asked again when the worker works, has every value."""
        lab.worker.fails = lambda task, call: OSError("no machine")
        with pytest.raises(Outage):
            await lab.evaluator(setup=lab.setup(concurrency=2, breaker=4)).evaluate(request(tasks))
        lab.worker.fails = lambda task, call: None
        again = lab.evaluator(setup=lab.setup(concurrency=2))
        scored = await again.evaluate(request(tasks))
        assert all(value is not None for one in scored for value in one.score.values.values())
        kept = await again.evaluate(replace(request(tasks), keep_rollouts=True))
        assert [one.rollout.episode.id for one in kept if one.rollout] == [one.score.episode_id for one in scored]

    async def test_a_judge_that_cannot_be_asked_leaves_a_failure_one_that_cannot_say_does_not(
        self, lab: Lab, tasks: tuple[Task, ...]
    ) -> None:
        lab.judge = Unsure({tasks[0].digest}, {tasks[1].digest})
        scored = await lab.evaluator().evaluate(request(tasks))
        unreachable, silent = scored[0].score, scored[1].score
        assert unreachable.failure is not None and unreachable.failure.error == "JudgeUnavailable"
        assert silent.failure is None
        for score in (unreachable, silent):
            assert score.values["correct"] is None
            assert score.values["fast"] is not None and score.spent.attempts
        assert all(one.score.values["correct"] is not None for one in scored[2:])

    async def test_a_judge_that_is_gone_stops_the_run_and_is_asked_again_later(
        self, lab: Lab, tasks: tuple[Task, ...]
    ) -> None:
        judge = lab.judge = Unsure({task.digest for task in tasks})
        with pytest.raises(Outage, match="no judge"):
            await lab.evaluator(setup=lab.setup(concurrency=1, breaker=3)).evaluate(request(tasks))
        assert (lab.folder / "journal.jsonl").read_bytes() == b""
        played = set(lab.worker.calls)
        lab.close_journals()
        judge.unreachable.clear()
        scored = await lab.evaluator().evaluate(request(tasks))
        assert all(one.score.values["correct"] is not None for one in scored)
        cut_off = len(lab.worker.calls) - len(set(lab.worker.calls))
        assert cut_off <= 1, "only what was under way when the run stopped is done again"
        assert len(set(lab.worker.calls)) > len(played)

    async def test_a_worker_that_is_gone_stops_the_run_as_itself(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        lab.worker.fails = lambda task, call: ConnectionError("down")
        evaluator = lab.evaluator(setup=lab.setup(concurrency=1, breaker=4), budget=Amounts(attempts=24))
        with pytest.raises(Outage, match="4 infrastructure failures"):
            await evaluator.evaluate(request(tasks))
        assert len(lab.worker.calls) == 4
        assert evaluator.budget.left("attempts") == 24

    async def test_nothing_measured_is_an_error_not_a_zero(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        lab.worker.fails = lambda task, call: ConnectionError("down")
        scored = await lab.evaluator().evaluate(request(tasks))
        with pytest.raises(InfraError, match=r"none of 8 evaluations has a value.*down"):
            mean_vector([one.score for one in scored], lab.benchmark.objectives)


class TestTheFirewall:
    def test_the_holdout_is_refused(self, lab: Lab) -> None:
        with pytest.raises(FirewallBreach, match="holdout"):
            lab.evaluator(split="holdout")

    async def test_replay_is_refused_outside_the_search_split(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        with pytest.raises(FirewallBreach, match="search split"):
            lab.evaluator(split="dev", replay=await lab.replay(tasks[:1]))

    async def test_attempts_that_were_not_selected_are_judged_on_search_only(
        self, lab: Lab, tasks: tuple[Task, ...]
    ) -> None:
        (one,) = await lab.evaluator().evaluate(request(tasks[:1], keep_rollouts=True))
        assert one.rollout is not None
        outputs = {seen.attempt.id: one.rollout.output or "" for seen in one.rollout.history}
        numbers = await lab.evaluator(journal="b.jsonl").verdicts(tasks[0], one.rollout.episode, outputs)
        assert set(numbers) == set(outputs) and set(numbers.values()) == {one.score.values["correct"]}
        with pytest.raises(FirewallBreach, match="search split"):
            await lab.evaluator(split="dev", journal="c.jsonl").verdicts(tasks[0], one.rollout.episode, outputs)


class TestReplay:
    async def test_a_supported_task_is_replayed_and_spends_nothing(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        lab.grant = Grant(2, 3, STEERS)
        replay = await lab.replay(tasks[:3])
        calls = len(lab.worker.calls)
        evaluator = lab.evaluator(replay=replay, budget=Amounts(attempts=0))
        scored = await evaluator.evaluate(request(tasks[:3], steered("fan")))
        assert len(lab.worker.calls) == calls
        assert evaluator.budget.spent.attempts is None
        for task, one in zip(tasks, scored, strict=False):
            exact = await replay.value(controller_of(steered("fan")), task)
            assert exact is not None and exact.supported
            assert one.score.values == exact.values
            assert (one.score.source, one.score.spent, one.score.used) == ("replay", Amounts(), exact.used)

    async def test_an_unsupported_task_is_played_and_says_how_much_was_missing(
        self, lab: Lab, tasks: tuple[Task, ...]
    ) -> None:
        """The trees are two attempts deep, the grant is three."""
        replay = await lab.replay(tasks[:6])
        evaluator = lab.evaluator(replay=replay)
        scored = await evaluator.evaluate(request(tasks))
        for task, one in zip(tasks, scored, strict=True):
            exact = await replay.value(controller_of(seed_candidate()), task)
            missing = 0.0 if exact is None else exact.unsupported
            enough = exact is not None and exact.unsupported <= MAX_UNSUPPORTED
            assert one.score.source == ("replay" if enough else "live")
            assert one.score.unsupported == pytest.approx(missing, abs=1e-9)
        assert any(one.score.unsupported > 0 for one in scored)
        assert all(one.score.source == "live" and one.score.unsupported == 0 for one in scored[6:])

    @pytest.mark.parametrize(("share", "source"), [(0.05, "replay"), (0.06, "live")])
    async def test_five_percent_that_are_not_recorded_are_allowed_and_told(
        self, lab: Lab, tasks: tuple[Task, ...], share: float, source: str
    ) -> None:
        """`core` was never recorded, and the candidate says it that often."""
        lab.grant = Grant(2, 3, STEERS)
        replay = await lab.replay(tasks, CollectPlan(roots=2, depth=2, actions=STEERS[:-1]))
        unsolved = [task for task in tasks if not any(passed(seen) for seen in replay.trees[task.digest].roots)]
        candidate = with_components(steer=rule_component([], {"none": 1 - share, STEERS[-1]: share}))
        scored = await lab.evaluator(replay=replay).evaluate(request(unsolved, candidate))
        assert len(scored) > 3
        for task, one in zip(unsolved, scored, strict=True):
            exact = await replay.value(controller_of(candidate), task)
            assert exact is not None
            assert (one.score.source, one.score.unsupported) == (source, pytest.approx(share))
            assert (one.score.values == exact.values) == (source == "replay")

    async def test_what_lacks_support_and_cannot_be_paid_for_is_set_aside_without_a_value(
        self, lab: Lab, tasks: tuple[Task, ...]
    ) -> None:
        lab.grant = Grant(2, 3, STEERS)
        replay = await lab.replay(tasks[:3])
        calls = len(lab.worker.calls)
        told = []
        for _ in range(2):
            evaluator = lab.evaluator(replay=replay, budget=Amounts(attempts=5))
            scored = await evaluator.evaluate(request(tasks[:6]))
            assert [one.score.set_aside for one in scored] == [False] * 3 + [True] * 3
            assert [one.score.unsupported for one in scored[3:]] == [1.0] * 3
            assert all(value is None for one in scored[3:] for value in one.score.values.values())
            assert all(one.score.failure is None for one in scored)
            told.append([one.score for one in scored])
            assert (evaluator.tally.scores, evaluator.tally.replayed, evaluator.tally.aside) == (6, 3, 3)
            lab.close_journals()
        assert told[0] == told[1]
        assert len(lab.worker.calls) == calls, "three tasks of two attempts each are more than five attempts"

    async def test_the_tally_counts_each_evaluation_once_by_what_it_stands_for(
        self, lab: Lab, tasks: tuple[Task, ...]
    ) -> None:
        lab.grant = Grant(2, 3, STEERS)
        evaluator = lab.evaluator(replay=await lab.replay(tasks[:3]))
        scored = await evaluator.evaluate(request(tasks[:5]))
        await evaluator.evaluate(request(tasks[2:5]))
        assert evaluator.tally.attempts == sum(one.score.used.attempts or 0 for one in scored)
        live = [one.score.used.attempts or 0 for one in scored[3:]]
        assert evaluator.budget.spent.attempts == sum(live) < evaluator.tally.attempts
        assert (evaluator.tally.scores, evaluator.tally.replayed) == (5, 3)

    async def test_without_answers_the_trees_show_moves_and_everything_is_attempted(
        self, lab: Lab, tasks: tuple[Task, ...]
    ) -> None:
        lab.grant = Grant(2, 3, STEERS)
        replay = await lab.replay(tasks[:2])
        evaluator = lab.evaluator(replay=Replaying(replay, answers=False))
        scored = await evaluator.evaluate(request(tasks[:2], keep_rollouts=True))
        assert not evaluator.replays
        assert all(one.rollout is not None and one.score.source == "live" for one in scored)
        assert evaluator.recorded_moves(tasks[0].digest) == replay.moves(tasks[0].digest) != []

    async def test_live_scores_are_what_they_are_without_a_corpus(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        with_trees = await lab.evaluator(replay=await lab.replay(tasks)).evaluate(request(tasks))
        plain = await lab.evaluator(journal="plain.jsonl").evaluate(request(tasks))
        for one, other in zip(with_trees, plain, strict=True):
            if one.score.source == "live":
                assert one.score.model_copy(update={"unsupported": 0.0}) == other.score

    async def test_another_cut_of_the_budget_is_not_replayed(self, lab: Lab, tasks: tuple[Task, ...]) -> None:
        """The trees answer for the grant they are replayed under: a placebo is no action of theirs."""
        lab.grant = Grant(2, 3, STEERS)
        arm = next(arm for arm in control_arms(2, 3, (), placebo=True) if arm.name == "placebo@2")
        grant = Grant(arm.attempts, arm.turns_per_attempt, arm.steer_legal)
        evaluator = lab.evaluator(replay=await lab.replay(tasks[:3]))
        scored = await evaluator.evaluate(request(tasks[:3], arm.candidate, condition=arm.name, grant=grant))
        assert {one.score.source for one in scored} == {"live"}

    async def test_a_replayed_score_has_no_rollout_of_its_own_and_a_live_one_has(
        self, lab: Lab, tasks: tuple[Task, ...]
    ) -> None:
        lab.grant = Grant(2, 3, STEERS)
        evaluator = lab.evaluator(replay=await lab.replay(tasks[:2]))
        scored = await evaluator.evaluate(request(tasks[:3], keep_rollouts=True))
        assert [(one.rollout is None, one.score.source) for one in scored] == [(True, "replay")] * 2 + [(False, "live")]


def answering(prompt: str) -> str:
    """`none` where it may be said, else whatever is first."""
    legal = json.loads(re.findall(r"\[\[ ## legal ## \]\]\n(\[.*?\])", prompt, re.DOTALL)[-1])
    action = "none" if "none" in legal else legal[0]
    return f"[[ ## action ## ]]\n{action}\n\n[[ ## confidence ## ]]\n0.9\n\n[[ ## completed ## ]]"


class TestModelsUnderReplay:
    @dataclass
    class World:
        """A lab whose candidate's steer policy is a model, and the model."""

        lab: Lab
        setup: Setup
        replay: TreeReplay
        engine: ScriptedEngine
        candidate: Candidate

        def evaluator(self, **more: object) -> Evaluator:
            """An evaluator whose replay asks into `asked.jsonl`."""
            asking = Asking(self.lab.folder / "asked.jsonl", retry=self.setup.retry, breaker=Breaker(10))
            self.opened.append(asking)
            return self.lab.evaluator(setup=self.setup, replay=Replaying(self.replay, asking), **more)  # type: ignore[arg-type]

        opened: list[Asking] = field(default_factory=list)

        def close(self) -> None:
            """As the end of a process would."""
            while self.opened:
                self.opened.pop().close()
            self.lab.close_journals()

    @pytest.fixture
    async def world(self, lab: Lab, tasks: tuple[Task, ...]) -> AsyncIterator[World]:
        lab.grant = Grant(2, 3, STEERS)
        lm, engine = scripted_lm(answering)
        candidate = with_components(steer=lm_component("steer", lm))
        world = self.World(lab, replace(lab.setup(), lm=lm), await lab.replay(tasks[:4]), engine, candidate)
        yield world
        world.close()

    async def test_one_call_per_input_and_its_cost_is_billed(self, world: World, tasks: tuple[Task, ...]) -> None:
        evaluator, calls = world.evaluator(), len(world.lab.worker.calls)
        scored = await evaluator.evaluate(request(tasks[:4], world.candidate))
        assert {one.score.source for one in scored} == {"replay"}
        assert len(world.lab.worker.calls) == calls
        assert 0 < len(world.engine.prompts) <= 4, "one walk of two attempts asks for one steer at most"
        assert evaluator.tally.asked == len(world.engine.prompts)
        assert evaluator.budget.spent.tokens == sum(one.score.spent.tokens or 0 for one in scored) > 0
        assert evaluator.budget.spent.attempts is None
        assert [one.score.used.tokens for one in scored] == [one.score.spent.tokens for one in scored]

    async def test_the_same_input_is_asked_once_for_all_candidates(self, world: World, tasks: tuple[Task, ...]) -> None:
        evaluator = world.evaluator()
        await evaluator.evaluate(request(tasks[:4], world.candidate))
        asked, spent = len(world.engine.prompts), evaluator.budget.spent.tokens
        # Another stop policy, which never comes to be asked before the second attempt is made.
        other = Candidate(components={**world.candidate.components, "stop": rule_component([], {"continue": 1.0})})
        scored = await evaluator.evaluate(request(tasks[:4], other))
        assert len(world.engine.prompts) - asked == evaluator.tally.asked - asked < 4
        assert evaluator.tally.saved > 0
        saved = [one.score for one in scored if one.score.saved and not one.score.asked]
        assert saved and all(not score.spent.tokens and score.used.tokens for score in saved)
        assert evaluator.budget.spent.tokens == (spent or 0) + sum(one.score.spent.tokens or 0 for one in scored)

    async def test_from_journal_and_answers_nothing_is_asked_again_and_all_is_billed_the_same(
        self, world: World, tasks: tuple[Task, ...]
    ) -> None:
        """Also where the journal lost its last entry: its answers are there, and are billed once."""
        other = Candidate(components={**world.candidate.components, "stop": rule_component([], {"continue": 1.0})})
        ends = []
        for cut in (0, 0, 1, 2):
            path = world.lab.folder / "journal.jsonl"
            if cut:
                path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-cut]))
            evaluator = world.evaluator()
            for candidate in (world.candidate, other):
                await evaluator.evaluate(request(tasks[:4], candidate))
            ends.append((len(world.engine.prompts), evaluator.tally, evaluator.budget.spent.tokens))
            world.close()
        assert ends == [ends[0]] * 4

    async def test_a_model_that_cannot_be_asked_leaves_a_failure_and_no_value(
        self, world: World, tasks: tuple[Task, ...]
    ) -> None:
        def down(prompt: str) -> str:
            raise ConnectionError("no model")

        world.engine.script = down
        scored = await world.evaluator().evaluate(request(tasks[:4], world.candidate))
        failed = [one.score for one in scored if one.score.failure is not None]
        assert failed
        assert all(set(score.values.values()) == {None} and score.source == "replay" for score in failed)
        assert {score.failure.where for score in failed if score.failure} == {"policy steer"}

    async def test_without_a_cache_a_model_is_played_live(self, world: World, tasks: tuple[Task, ...]) -> None:
        evaluator = world.lab.evaluator(setup=world.setup, replay=world.replay)
        scored = await evaluator.evaluate(request(tasks[:2], world.candidate))
        assert {one.score.source for one in scored} == {"live"}
        assert evaluator.budget.spent.tokens


@dataclass
class Suggesting:
    """Proposes its count of calls."""

    cost: Cost = field(default_factory=lambda: Cost(tokens_in=30, tokens_out=12, usd=0.5))
    name: str = "suggesting"
    calls: int = 0

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        self.calls += 1
        return Proposal(text=f"text {self.calls}", evidence="none", proposer=self.name), self.cost


class TestProposals:
    async def test_a_proposal_is_journaled_and_billed(self, lab: Lab) -> None:
        proposer = Suggesting()
        told: list[tuple[Proposal | None, Amounts]] = []
        for _ in range(2):
            evaluator = lab.evaluator(budget=Amounts(usd=10.0))
            proposal = await evaluator.propose(proposer, seed_candidate(), "steer", [], number=1)
            told.append((proposal, evaluator.budget.spent))
            lab.close_journals()
        assert proposer.calls == 1
        assert told[0] == told[1]
        assert (told[0][1].tokens, told[0][1].usd) == (42, 0.5)

    @pytest.mark.parametrize(
        "other",
        [
            lambda e, p: e.propose(p, seed_candidate(), "steer", [], number=2),
            lambda e, p: e.propose(p, seed_candidate(), "stop", [], number=1),
            lambda e, p: e.propose(p, lamp_follower(), "steer", [], number=1),
            lambda e, p: e.propose(replace(p, name="another"), seed_candidate(), "steer", [], number=1),
        ],
        ids=["number", "component", "candidate", "proposer"],
    )
    async def test_another_question_is_asked_anew(
        self, lab: Lab, other: Callable[[Evaluator, Suggesting], object]
    ) -> None:
        evaluator, proposer = lab.evaluator(), Suggesting()
        await evaluator.propose(proposer, seed_candidate(), "steer", [], number=1)
        size = (lab.folder / "journal.jsonl").stat().st_size
        await other(evaluator, proposer)  # type: ignore[misc]
        assert (lab.folder / "journal.jsonl").stat().st_size > size

    async def test_a_proposer_that_cannot_be_asked_proposes_nothing_then_and_on_resume(self, lab: Lab) -> None:
        class Down(Suggesting):
            async def propose(self, *args: object, **kwargs: object) -> tuple[Proposal | None, Cost]:
                self.calls += 1
                raise ProviderError("model x: 500", retryable=True)

        proposer = Down()
        for _ in range(2):
            setup = replace(lab.setup(), retry=RetryPolicy(tries=3, base_s=0.0))
            assert await lab.evaluator(setup=setup).propose(proposer, seed_candidate(), "steer", [], number=1) is None
            lab.close_journals()
        assert proposer.calls == 3
        assert "model x: 500" in (lab.folder / "journal.jsonl").read_text()

    def test_without_trees_there_are_no_recorded_moves(self, lab: Lab) -> None:
        assert lab.evaluator().recorded_moves("any") == []

    def test_the_grant_of_the_setup_is_used(self, lab: Lab) -> None:
        assert lab.setup().grant == GRANT


async def test_an_episode_without_any_attempt_scores_zero_whatever_it_says(lab: Lab) -> None:
    task = lab.benchmark.tasks("search")[0]
    nothing = Grant(0, 3, ("none",))
    (scored,) = await lab.evaluator().evaluate(Request(seed_candidate(), [task], seed=1, grant=nothing))
    assert set(scored.score.values.values()) == {0.0}
    assert scored.score.failure is None
    assert lab.worker.calls == []


async def test_one_question_is_billed_once_a_run(lab: Lab) -> None:
    evaluator = lab.evaluator()

    async def ask() -> tuple[Proposal | None, Cost]:
        return None, Cost(usd=0.5)

    for _ in range(3):
        assert await evaluator.ask("key", "test", ask) is None
    assert evaluator.budget.spent.usd == 0.5
