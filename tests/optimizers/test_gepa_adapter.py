"""What gepa calls: scores with gaps, reflective records, proposals, acceptance, and errors that gepa would swallow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from controllers.baselines import seed_candidate
from optimizers.book import Book
from optimizers.bridge import Bridge
from optimizers.evaluator import Evaluator
from optimizers.evidence.gathered import evidence_of
from optimizers.evidence.reflection import Reflection
from optimizers.gepa_adapter import Adapter, Example
from optimizers.journal import Proposal
from optimizers.proposers import Proposer
from optimizers.proposers.mined import MinedProposer
from optimizers.search import Found
from optimizers.search.gepa_search import GepaSearch
from optimizers.space import with_default
from signatures.errors import BudgetExceeded, FirewallBreach, Outage, ProviderError, UsageError
from signatures.records import Amounts, AttemptContext, AttemptResult, Candidate, Cost, PolicyName, Task, TraceEvent
from tests.worlds.lab import Lab, Listening, small_plan, steered
from tests.worlds.planted import PlantedJudge


@dataclass
class Saying:
    """Proposes the directives in turn, or raises."""

    error: Exception | None = None
    name: str = "saying"
    asked: list[tuple[PolicyName, list[Reflection]]] = field(default_factory=list)

    async def propose(
        self, candidate: Candidate, component: PolicyName, records: Sequence[Reflection], *, seed: int
    ) -> tuple[Proposal | None, Cost]:
        self.asked.append((component, list(records)))
        if self.error is not None:
            raise self.error
        if component != "steer":
            return None, Cost()
        action = ("fan", "pump", "valve", "core")[len(self.asked) // 3 % 4]
        text = with_default(candidate, "steer", action).components["steer"]
        return Proposal(text=text, evidence=f"asked {len(self.asked)} times", proposer=self.name), Cost()


def adapter_on(lab: Lab, evaluator: Evaluator, proposer: Proposer | None = None) -> tuple[Adapter, Bridge, Listening]:
    bridge, listening = Bridge(), Listening()
    tasks = lab.benchmark.tasks("search")
    plan = replace(small_plan(tasks), val=tasks[:6])
    return Adapter(Book(plan, evaluator, listening, letter="g"), proposer or Saying(), bridge), bridge, listening


def examples(lab: Lab, part: Any, count: int = 6) -> list[Example]:
    return [Example(task, part) for task in lab.benchmark.tasks("search")[:count]]


async def searched(lab: Lab, proposer: Proposer, evaluator: Evaluator, **plan: Any) -> Listening:
    listening = Listening()
    asked = replace(small_plan(lab.benchmark.tasks("search")), **plan)
    await GepaSearch().search(asked, evaluator, proposer, listening)
    return listening


class TestEvaluate:
    async def test_scores_are_correct_and_objectives_by_name(self, lab: Lab) -> None:
        adapter, bridge, _ = adapter_on(lab, lab.evaluator())
        batch = await bridge.run(lambda: adapter.evaluate(examples(lab, "train"), dict(seed_candidate().components)))
        assert [s.task_digest for s in batch.outputs] == [e.task.digest for e in examples(lab, "train")]
        assert batch.scores == [s.values["correct"] for s in batch.outputs]
        assert batch.objective_scores == [dict(s.values) for s in batch.outputs]
        assert batch.trajectories is None

    async def test_train_and_val_play_different_episodes_of_one_task(self, lab: Lab) -> None:
        adapter, bridge, _ = adapter_on(lab, lab.evaluator())
        texts = dict(seed_candidate().components)
        first, second = await bridge.run(
            lambda: [adapter.evaluate(examples(lab, part), texts) for part in ("train", "val")]
        )
        assert {s.episode_id for s in first.outputs}.isdisjoint(s.episode_id for s in second.outputs)
        assert {s.seed for s in first.outputs}.isdisjoint(s.seed for s in second.outputs)

    async def test_a_missing_value_is_the_mean_of_the_others(self, lab: Lab) -> None:
        gone = lab.benchmark.tasks("search")[1].digest
        lab.worker.fails = lambda task, call: OSError("gone") if task.digest == gone else None
        adapter, bridge, _ = adapter_on(lab, lab.evaluator())
        batch = await bridge.run(lambda: adapter.evaluate(examples(lab, "train"), dict(steered("fan").components)))
        for name in (objective.name for objective in lab.benchmark.objectives):
            known = [score.values[name] for n, score in enumerate(batch.outputs) if n != 1]
            assert batch.objective_scores is not None
            assert batch.objective_scores[1][name] == pytest.approx(sum(known) / 5)
        assert batch.outputs[1].values["correct"] is None, "our own record keeps the gap"

    async def test_only_val_enters_the_archive(self, lab: Lab) -> None:
        adapter, bridge, listening = adapter_on(lab, lab.evaluator())
        texts = dict(seed_candidate().components)

        def library() -> int:
            adapter.evaluate(examples(lab, "train"), texts)
            before = len(adapter.book.archive) + len(listening.found_all)
            adapter.evaluate(examples(lab, "val"), texts)
            return before

        assert await bridge.run(library) == 0
        (entry,) = adapter.book.archive.front()
        assert (entry.candidate, entry.n) == (seed_candidate().digest, 6)
        assert [found.decision for found in listening.found_all] == ["seed"]

    async def test_minibatches_come_with_traces_val_without(self, lab: Lab) -> None:
        adapter, bridge, _ = adapter_on(lab, lab.evaluator())
        texts = dict(seed_candidate().components)
        pairs = [(texts, examples(lab, "train")), (texts, examples(lab, "val"))]
        train, val = await bridge.run(lambda: adapter.batch_evaluate(pairs))
        assert train.trajectories is not None and len(train.trajectories) == 6
        assert val.trajectories is None


class Talkative:
    """Calls a tool a hundred times, every ninth time in vain."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.fingerprint = inner.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        result: AttemptResult = await self.inner.attempt(task, context, start)
        calls = tuple(
            TraceEvent(
                turn=n,
                kind="tool",
                name="probe",
                arguments=f'{{"at": "{context.attempt_id[:8]}-{n}"}}',
                text=f"reading-{context.attempt_id[:8]}-{n}",
                failed=n % 9 == 0,
            )
            for n in range(100)
        )
        # The last event stays the panel, which the benchmark's features are read from.
        return result.model_copy(update={"trace": (*calls, *result.trace)})


class TestReflectiveRecords:
    async def test_they_hold_the_whole_episode_and_no_verdict(self, lab: Lab) -> None:
        lab.judge = PlantedJudge(canary="CANARY")
        setup = replace(lab.setup(), worker=Talkative(lab.worker.inner))
        adapter, bridge, _ = adapter_on(lab, lab.evaluator(setup=setup))
        texts = dict(steered("fan").components)

        def library() -> tuple[Any, Any]:
            batch = adapter.evaluate(examples(lab, "train"), texts, capture_traces=True)
            return batch, adapter.make_reflective_dataset(texts, batch, ["stop", "topology", "steer"])

        batch, dataset = await bridge.run(library)
        assert set(dataset) == {"stop", "topology", "steer"}
        many = [one.rollout for one in batch.trajectories if len(one.rollout.history) > 1]
        assert many
        for component, rows in dataset.items():
            (row,) = rows
            records = row["record"].moves
            assert all(record.policy == component for record in records)
            text = "\n".join(line for record in records for line in (*record.before, *record.observed))
            assert "CANARY" not in text
            for rollout in many:
                for seen in rollout.history:
                    id = seen.attempt.id[:8]
                    for n in range(100):
                        failed = " failed" if n % 9 == 0 else ""
                        assert f"tool probe{failed} turn={n}'" in text
                        assert f"reading-{id}-{n}<" in text
                    for check in seen.attempt.checks:
                        assert check.detail in text

    async def test_recorded_trees_of_the_same_tasks_speak_too(self, lab: Lab) -> None:
        tasks = lab.benchmark.tasks("search")[:3]
        replay = await lab.replay(tasks)
        adapter, bridge, _ = adapter_on(lab, lab.evaluator(replay=replay))
        texts = dict(seed_candidate().components)

        def library() -> Any:
            twice = [*examples(lab, "train", 3), examples(lab, "train", 3)[0]]
            batch = adapter.evaluate(twice, texts, capture_traces=True)
            return adapter.make_reflective_dataset(texts, batch, ["steer"])

        dataset = await bridge.run(library)
        recorded = [move for task in tasks for move in replay.moves(task.digest) if move.policy == "steer"]
        told = list(dataset["steer"][0]["record"].moves)
        assert [one for one in told if one in recorded] == recorded, "once each, though a task came twice"
        assert len(told) > len(recorded)


class TestProposing:
    async def test_a_component_that_stays_is_left_out(self, lab: Lab) -> None:
        adapter, bridge, _ = adapter_on(lab, lab.evaluator())
        texts = dict(seed_candidate().components)
        dataset: dict[str, Any] = {name: [{"record": evidence_of([])}] for name in ("stop", "steer")}
        new = await bridge.run(lambda: adapter.propose_new_texts(texts, dataset, ["stop", "steer"]))
        assert new == {"steer": steered("fan").components["steer"]}

    async def test_a_proposal_of_what_stands_already_is_no_proposal(self, lab: Lab) -> None:
        listening = await searched(lab, Saying(), lab.evaluator(), start=steered("fan"), generations=1)
        assert all(found.candidate.digest not in found.parents for found in listening.found_all)

    async def test_evidence_and_proposer_are_told_with_the_child(self, lab: Lab) -> None:
        listening = await searched(lab, Saying(), lab.evaluator(), generations=3)
        assert len(listening.found_all) > 1
        for found in listening.found_all[1:]:
            assert found.proposer == "saying" and found.evidence.startswith("asked ")


class TestGaps:
    async def test_a_search_with_missing_values_ends_and_counts_none_as_zero(self, lab: Lab) -> None:
        tasks = lab.benchmark.tasks("search")
        gone = {tasks[1].digest, tasks[8].digest, tasks[11].digest}
        lab.worker.fails = lambda task, call: OSError("gone") if task.digest in gone else None
        listening = await searched(lab, Saying(), lab.evaluator(setup=lab.setup(breaker=1000)), generations=3)
        seed = listening.found_all[0]
        assert sum(score.values["correct"] is None for score in seed.scores) == 2
        assert len(listening.found_all) > 1

    async def test_a_minibatch_without_any_value_leaves_the_child_to_its_race(self, lab: Lab) -> None:
        train = {task.digest for task in lab.benchmark.tasks("search")[:6]}
        lab.worker.fails = lambda task, call: OSError("gone") if task.digest in train else None
        listening = await searched(lab, Saying(), lab.evaluator(setup=lab.setup(breaker=1000)), generations=2)
        looked = [found for found in listening.found_all if found.decision != "duplicate"]
        assert len(looked) > 1
        assert all(score.task_digest not in train for found in looked for score in found.scores)

    @pytest.mark.parametrize("gone", ["parent", "child", "nobody"])
    async def test_a_side_without_values_speaks_neither_for_nor_against_the_child(self, lab: Lab, gone: str) -> None:
        """Where both have them, a child that changed nothing is dropped as before."""
        adapter, bridge, listening = adapter_on(lab, lab.evaluator())
        parent = dict(seed_candidate().components)
        dataset: dict[str, Any] = {"steer": [{"record": evidence_of([])}]}

        def library() -> None:
            adapter.evaluate(examples(lab, "val"), parent)
            child = {**parent, **adapter.propose_new_texts(parent, dataset, ["steer"])}
            batch = adapter.evaluate(examples(lab, "train", 3), parent).outputs
            empty = [score.model_copy(update={"values": dict.fromkeys(score.values)}) for score in batch]
            after, before = (SimpleNamespace(outputs=empty if gone == side else batch) for side in ("child", "parent"))
            adapter.should_accept(SimpleNamespace(candidate=child, eval_after=after, eval_before=before), None)

        await bridge.run(library)
        _, found = listening.found_all
        ended_on: Any = "train" if gone == "nobody" else "val"
        assert {score.seed for score in found.scores} == {adapter.book.plan.seed_on(ended_on)}


class TestErrors:
    """gepa logs and swallows what a proposal raises: it must come out of the search as itself, and end it."""

    @pytest.mark.parametrize(
        "error",
        [
            UsageError("model x needs a key"),
            FirewallBreach("only observations may be shown"),
            ValueError("a fault in the proposer"),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_what_a_proposer_raises(self, lab: Lab, error: Exception) -> None:
        proposer = Saying(error)
        calls: list[int] = []
        with pytest.raises(type(error)) as caught:
            await searched(lab, proposer, lab.evaluator())
        calls.append(len(lab.worker.calls))
        assert caught.value is error
        assert len(proposer.asked) == 1, "a model is not asked again for what failed"
        await asyncio.sleep(0)
        assert len(lab.worker.calls) == calls[0]

    async def test_a_provider_that_is_down_stops_the_search_when_it_failed_too_often_in_a_row(self, lab: Lab) -> None:
        proposer = Saying(ProviderError("model x: 500"))
        with pytest.raises(Outage, match="3 infrastructure failures in a row; the last: model x: 500"):
            await searched(lab, proposer, lab.evaluator(setup=lab.setup(breaker=3)), generations=9)
        assert len(proposer.asked) == 3

    async def test_an_outage_in_a_minibatch(self, lab: Lab) -> None:
        train = {task.digest for task in lab.benchmark.tasks("search")[:6]}
        lab.worker.fails = lambda task, call: OSError("gone") if task.digest in train else None
        with pytest.raises(Outage, match="2 infrastructure failures in a row"):
            await searched(lab, Saying(), lab.evaluator(setup=lab.setup(concurrency=1, breaker=2)))

    async def test_an_outage_at_the_seed(self, lab: Lab) -> None:
        lab.worker.fails = lambda task, call: OSError("gone")
        with pytest.raises(Outage):
            await searched(lab, Saying(), lab.evaluator(setup=lab.setup(breaker=3)))

    async def test_a_budget_that_somebody_else_used_up(self, lab: Lab) -> None:
        evaluator = lab.evaluator(budget=Amounts(attempts=200))
        listening = Listening()

        class Thief(Saying):
            async def propose(self, *args: Any, **kwargs: Any) -> tuple[Proposal | None, Cost]:
                answer = await super().propose(*args, **kwargs)
                if answer[0] is not None:
                    evaluator.budget.reserve(Amounts(attempts=int(evaluator.budget.left("attempts") or 0)))
                return answer

        with pytest.raises(BudgetExceeded, match="attempts"):
            await GepaSearch().search(small_plan(lab.benchmark.tasks("search")), evaluator, Thief(), listening)
        assert [found.decision for found in listening.found_all] == ["seed"]

    async def test_a_fault_while_reflecting(self, lab: Lab) -> None:
        """gepa only logs an error there; the adapter keeps it, and after it nothing more is asked."""

        @dataclass
        class Breaking:
            broken: bool = False

            def features(self, history: Any) -> dict[str, float]:
                if self.broken:
                    raise FirewallBreach("an observation of unknown origin")
                return {}

            def untried(self, history: Any) -> dict[str, bool]:
                return {}

            def directive_text(self, action: str, history: Any) -> str:
                return action

        observer, proposer = Breaking(), Saying()
        adapter, bridge, _ = adapter_on(lab, lab.evaluator(setup=replace(lab.setup(), observer=observer)), proposer)
        texts = dict(seed_candidate().components)

        def library() -> None:
            batch = adapter.evaluate(examples(lab, "train"), texts, capture_traces=True)
            observer.broken = True
            with pytest.raises(FirewallBreach):
                adapter.make_reflective_dataset(texts, batch, ["stop", "steer"])
            with pytest.raises(FirewallBreach):
                adapter.evaluate(examples(lab, "train"), texts)

        await bridge.run(library)
        assert isinstance(adapter.kept.error, FirewallBreach) and proposer.asked == []

    async def test_a_listener_that_fails(self, lab: Lab) -> None:
        def refuse(found: Found) -> None:
            raise OSError("disk full")

        listening = Listening(hook=refuse)
        with pytest.raises(OSError, match="disk full"):
            await GepaSearch().search(small_plan(lab.benchmark.tasks("search")), lab.evaluator(), Saying(), listening)


async def test_a_cancelled_search_stops_at_once_and_leaves_no_thread(lab: Lab) -> None:
    stuck, let_go = asyncio.Event(), asyncio.Event()
    inner = lab.worker.inner

    class Stuck:
        fingerprint = inner.fingerprint

        async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
            if len(lab.worker.calls) > 40:
                stuck.set()
                try:
                    await asyncio.sleep(3600)
                finally:
                    let_go.set()
            return await inner.attempt(task, context, start)

    lab.worker.inner = Stuck()
    replay = await lab.replay([])
    search = asyncio.create_task(searched(lab, MinedProposer(lab.space(replay)), lab.evaluator(), generations=50))
    await stuck.wait()
    search.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await search
    calls = len(lab.worker.calls)
    assert let_go.is_set()
    await asyncio.sleep(0.05)
    assert len(lab.worker.calls) == calls
