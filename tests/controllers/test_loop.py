from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.corpus.memory import MemoryCorpus
from controllers.loop import run_episode
from controllers.program import lm_component
from controllers.scripted_engine import ScriptedEngine, scripted_lm
from controllers.spec import Parts, Rollout
from signatures.errors import FirewallBreach, StoreError, UsageError
from signatures.records import Amounts, Attempt, Candidate, Cost, Decision, Episode
from tests.controllers.parts import (
    FANOUT_3,
    Climber,
    Height,
    Killed,
    a_spec,
    action_text,
    climbing,
    fails_at,
    last_first,
    parts_of,
    rules,
)

BRANCHING = climbing(
    stop=rules({"continue": 4.0, "done": 1.0}),
    topology=rules({"fanout_1": 1.0, "fanout_2": 1.0, "refine_last": 2.0, "refine_best": 1.0}),
    steer=rules({"up": 1.0, "placebo": 1.0}),
)
STEERS = ("up", "placebo", "report")


async def contents(corpus: MemoryCorpus) -> list[str]:
    """What two equal runs agree on, in order of arrival."""
    return [record.content_digest() async for record in corpus.arrivals()]


async def recorded(parts: Parts) -> list[Attempt]:
    return [one async for one in parts.corpus.scan(Attempt)]


# Moves.


async def test_refining_carries_the_state_until_the_checker_passes() -> None:
    worker = Climber()
    rollout = await run_episode(a_spec(attempts=5), parts_of(worker))
    assert worker.starts == [None, "1", "2"]
    first, second, third = (one.attempt for one in rollout.history)
    assert (first.parent_id, second.parent_id, third.parent_id) == (None, first.id, second.id)
    assert (first.start_digest, second.start_digest) == (None, first.state_digest)
    assert (first.round, third.round, third.index) == (0, 2, 2)
    assert rollout.episode.selected_id == third.id
    assert rollout.output == "at 3"
    assert rollout.episode.spent == Amounts(attempts=3, turns=9)
    assert len(rollout.history[0].trace) == 3


async def test_fanning_out_starts_afresh() -> None:
    worker = Climber()
    rollout = await run_episode(a_spec(), parts_of(worker, candidate=FANOUT_3))
    assert worker.starts == [None] * 3
    assert len({context.seed for context in worker.contexts}) == 3
    assert [one.attempt.parent_id for one in rollout.history] == [None] * 3
    assert [one.attempt.round for one in rollout.history] == [0] * 3


async def test_results_of_a_fanout_are_in_index_order_whatever_ends_first() -> None:
    orderly, reversed_ = Climber(), Climber(before=last_first(3))
    rollouts = [await run_episode(a_spec(), parts_of(worker, candidate=FANOUT_3)) for worker in (orderly, reversed_)]
    assert [one.attempt.index for one in rollouts[1].history] == [0, 1, 2]
    assert rollouts[0].episode.content_digest() == rollouts[1].episode.content_digest()
    assert [one.attempt for one in rollouts[0].history] == [one.attempt for one in rollouts[1].history]


async def test_money_adds_up_alike_whatever_ends_first() -> None:
    """0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ in the last bit: bills are written in index order."""
    costs = [Cost(turns=1, usd=usd) for usd in (0.1, 0.2, 0.3)]
    assert sum(c.usd or 0 for c in costs) != sum(c.usd or 0 for c in reversed(costs))
    spent = [
        (await run_episode(a_spec(), parts_of(Climber(costs=costs, before=before), candidate=FANOUT_3))).episode.spent
        for before in (None, last_first(3))
    ]
    assert spent[0] == spent[1]


async def test_the_best_is_refined_and_kept() -> None:
    class Fading(Height):
        """The second attempt looks worse than the first."""

        async def check(self, task, result):  # type: ignore[no-untyped-def]
            found = await super().check(task, result)
            return found.model_copy(update={"value": 0.1}) if result.state == "2" else found

    candidate = climbing(
        topology=rules({"refine_best": 1.0}, when=[_at("attempts", 0, "fanout_1"), _at("attempts", 1, "refine_last")])
    )
    worker = Climber()
    rollout = await run_episode(a_spec(), parts_of(worker, candidate=candidate, checkers=[Fading(9)]))
    assert worker.starts == [None, "1", "1"]
    assert rollout.episode.selected_id == rollout.history[0].attempt.id
    assert rollout.output == "at 1"


def _at(feature: str, value: float, action: str) -> dict[str, object]:
    return {"when": [{"feature": feature, "op": "<=", "value": value}], "then": {action: 1.0}}


async def test_stopping_ends_the_episode_with_budget_left() -> None:
    candidate = climbing(stop=rules({"done": 1.0}))
    rollout = await run_episode(a_spec(attempts=9), parts_of(Climber(), candidate=candidate))
    assert len(rollout.history) == 1
    assert rollout.episode.spent.attempts == 1
    assert len(rollout.episode.decision_ids) == 2


async def test_an_episode_without_a_budget_makes_nothing() -> None:
    rollout = await run_episode(a_spec(attempts=0), parts_of(Climber()))
    assert (rollout.history, rollout.output, rollout.episode.selected_id) == ((), None, None)
    assert rollout.episode.failure is None


async def test_a_worker_that_keeps_no_state_is_refined_from_nothing() -> None:
    class Forgetful(Climber):
        async def attempt(self, task, context, start):  # type: ignore[no-untyped-def]
            return (await super().attempt(task, context, start)).model_copy(update={"state": None})

    worker = Forgetful()
    rollout = await run_episode(a_spec(), parts_of(worker))
    assert worker.starts == [None] * 3
    assert rollout.history[1].attempt.parent_id == rollout.history[0].attempt.id
    assert rollout.history[1].attempt.start_digest is None


# One run is a function of its inputs and its seed.


async def test_two_runs_give_the_same_records() -> None:
    corpora = [MemoryCorpus(), MemoryCorpus()]
    spec = a_spec(attempts=6, steers=STEERS)
    for corpus in corpora:
        await run_episode(spec, parts_of(Climber(), candidate=BRANCHING, corpus=corpus, checkers=[Height(9)]))
    one, other = [await contents(corpus) for corpus in corpora]
    assert one == other
    assert len(one) > 6


async def test_another_seed_gives_other_ids() -> None:
    rollouts = [await run_episode(a_spec(seed=seed), parts_of(Climber())) for seed in (1, 2)]
    ids = [set(one.episode.attempt_ids) | set(one.episode.decision_ids) | {one.episode.id} for one in rollouts]
    assert not ids[0] & ids[1]


async def test_the_same_episode_again_is_a_recall() -> None:
    worker = Climber()
    parts = parts_of(worker)
    first = await run_episode(a_spec(), parts)
    second = await run_episode(a_spec(), parts)
    assert second == first
    assert len(worker.contexts) == 3
    assert len(await recorded(parts)) == 3


async def test_a_wall_clock_changes_no_id() -> None:
    class Clocked(Climber):
        wall_s = 0.5

        async def attempt(self, task, context, start):  # type: ignore[no-untyped-def]
            result = await super().attempt(task, context, start)
            return result.model_copy(update={"cost": Cost(turns=3, wall_s=self.wall_s)})

    corpora = []
    for wall_s in (0.5, 7.0):
        worker = Clocked()
        worker.wall_s = wall_s
        corpora.append(MemoryCorpus())
        await run_episode(a_spec(), parts_of(worker, corpus=corpora[-1]))
    assert await contents(corpora[0]) == await contents(corpora[1])


# Budgets.


@settings(max_examples=60, deadline=None)
@given(
    turns=st.integers(1, 20),
    each=st.none() | st.integers(1, 6),
    uses=st.integers(0, 8),
    seed=st.integers(0, 99),
    suspends=st.booleans(),
)
def test_turns_are_never_overdrawn(turns: int, each: int | None, uses: int, seed: int, suspends: bool) -> None:
    async def later(call: int) -> None:
        for _ in range(call % 3):
            await asyncio.sleep(0)

    worker = Climber(turns=uses, before=later if suspends else None)
    spec = a_spec(attempts=5, turns=turns, each=each, seed=seed, steers=STEERS)
    rollout = asyncio.run(run_episode(spec, parts_of(worker, candidate=BRANCHING, checkers=[Height(99)])))
    assert (rollout.episode.spent.turns or 0) <= turns
    assert (rollout.episode.spent.attempts or 0) <= 5
    limits = [context.turns_limit for context in worker.contexts]
    assert all(limit is not None and 1 <= limit <= (each or turns) for limit in limits)


@pytest.mark.parametrize("before", [None, last_first(2)], ids=["at once", "last first"])
async def test_turns_are_granted_before_launch(before: Callable[[int], Awaitable[None]] | None) -> None:
    """What one attempt of a fanout leaves over does not go to another that happens to start later."""
    worker = Climber(turns=3, before=before)
    candidate = climbing(stop=rules({"done": 1.0}), topology=rules({"fanout_2": 1.0}))
    rollout = await run_episode(a_spec(turns=9, each=5), parts_of(worker, candidate=candidate))
    assert [context.turns_limit for context in worker.contexts] == [5, 4]
    assert rollout.episode.spent.turns == 6


async def test_what_is_left_over_can_be_spent_later() -> None:
    worker = Climber(turns=3)
    rollout = await run_episode(a_spec(attempts=4, turns=8, each=4), parts_of(worker, checkers=[Height(99)]))
    assert [context.turns_limit for context in worker.contexts] == [4, 4, 2]
    assert rollout.episode.spent.turns == 8


async def test_one_long_attempt_is_granted_all_turns() -> None:
    worker = Climber(turns=99)
    rollout = await run_episode(a_spec(attempts=1, turns=12, each=12), parts_of(worker, checkers=[Height(99)]))
    assert [context.turns_limit for context in worker.contexts] == [12]
    assert rollout.episode.spent == Amounts(attempts=1, turns=12)
    assert rollout.episode.decision_ids == ()


async def test_a_worker_that_overruns_is_billed_and_ends_the_episode() -> None:
    worker = Climber(costs=[Cost(turns=20)])
    rollout = await run_episode(a_spec(turns=12, each=4), parts_of(worker))
    assert len(worker.contexts) == 1
    assert rollout.episode.spent.turns == 20


# Failures.


async def test_a_failed_attempt_censors_the_episode_and_costs_nothing() -> None:
    worker = Climber(before=fails_at(1, error=RuntimeError("no such program")))
    parts = parts_of(worker)
    rollout = await run_episode(a_spec(attempts=5), parts)
    assert rollout.episode.selected_id is None
    assert rollout.output is None
    failure = rollout.episode.failure
    assert failure is not None
    assert (failure.error, failure.where) == ("WorkerError", "worker climber")
    assert rollout.episode.spent == Amounts(attempts=1, turns=3)
    failed = rollout.history[-1].attempt
    assert (failed.outcome, failed.failure, failed.cost, failed.checks) == ("infra_error", failure, Cost(), ())
    assert len(worker.contexts) == 2


async def test_the_other_attempts_of_a_fanout_are_kept_when_one_fails() -> None:
    parts = parts_of(Climber(before=fails_at(1, error=RuntimeError("gone"))), candidate=FANOUT_3)
    rollout = await run_episode(a_spec(), parts)
    assert [one.attempt.outcome for one in rollout.history] == ["ok", "infra_error", "ok"]
    assert rollout.episode.spent == Amounts(attempts=2, turns=6)
    assert rollout.episode.selected_id is None
    assert len(await recorded(parts)) == 3


async def test_a_censored_episode_stays_censored_and_a_repeat_is_another() -> None:
    worker = Climber(before=fails_at(0, error=RuntimeError("gone")))
    parts = parts_of(worker)
    first = await run_episode(a_spec(), parts)
    assert await run_episode(a_spec(), parts) == first
    assert len(worker.contexts) == 1
    again = await run_episode(a_spec().model_copy(update={"repeat": 1}), parts)
    assert again.episode.failure is None
    assert again.episode.id != first.episode.id


@pytest.mark.parametrize("error", [FirewallBreach("a verdict"), UsageError("no such task"), Killed()])
async def test_what_is_no_failure_of_the_attempt_stops_the_others_and_comes_out_bare(error: BaseException) -> None:
    ended: list[int] = []

    async def before(call: int) -> None:
        if call == 1:
            raise error
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(call)

    with pytest.raises(type(error)) as caught:
        await run_episode(a_spec(), parts_of(Climber(before=before), candidate=FANOUT_3))
    assert caught.value is error
    assert sorted(ended) == [0, 2]


async def test_a_corpus_that_cannot_store_stops_the_episode() -> None:
    parts = parts_of(Climber())
    parts.corpus.close()  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="closed"):
        await run_episode(a_spec(), parts)


# Resuming.


class Dying(MemoryCorpus):
    """Is killed at its n-th append, before or after the records were kept."""

    def __init__(self, at: int, *, after: bool) -> None:
        super().__init__()
        self.at: int | None = at
        self.after = after

    async def append(self, *records: Attempt | Decision | Episode, blobs: Iterable[bytes] = ()) -> None:
        self.at = None if self.at is None else self.at - 1
        dies = self.at == -1
        if dies and not self.after:
            raise Killed
        await super().append(*records, blobs=blobs)
        if dies:
            raise Killed


LONG = a_spec(attempts=6, turns=20, each=4, steers=STEERS, seed=5)


async def uninterrupted() -> tuple[Rollout, list[str]]:
    corpus = MemoryCorpus()
    rollout = await run_episode(LONG, parts_of(Climber(), candidate=BRANCHING, corpus=corpus, checkers=[Height(99)]))
    return rollout, await contents(corpus)


@pytest.mark.parametrize("call", range(6))
async def test_an_episode_killed_in_an_attempt_goes_on_where_the_corpus_ends(call: int) -> None:
    whole, expected = await uninterrupted()
    assert len(whole.history) == 6
    worker = Climber(before=fails_at(call, error=Killed()))
    corpus = MemoryCorpus()
    parts = parts_of(worker, candidate=BRANCHING, corpus=corpus, checkers=[Height(99)])
    with pytest.raises(Killed):
        await run_episode(LONG, parts)
    acknowledged = {one.id for one in await recorded(parts)}
    before = len(worker.contexts)
    resumed = await run_episode(LONG, parts)
    assert resumed == whole
    assert await contents(corpus) == expected
    rerun = [context.attempt_id for context in worker.contexts[before:]]
    assert not acknowledged & set(rerun)
    assert len(rerun) == len(set(rerun)) == 6 - len(acknowledged)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(4))
async def test_an_episode_killed_while_it_is_recorded_ends_alike_and_bills_nothing_twice(at: int, after: bool) -> None:
    whole, expected = await uninterrupted()
    worker = Climber()
    corpus = Dying(at, after=after)
    parts = parts_of(worker, candidate=BRANCHING, corpus=corpus, checkers=[Height(99)])
    with pytest.raises(Killed):
        await run_episode(LONG, parts)
    acknowledged = len(await recorded(parts))
    called = len(worker.contexts)
    resumed = await run_episode(LONG, parts)
    assert resumed.episode.spent == whole.episode.spent
    assert resumed == whole
    assert await contents(corpus) == expected
    assert len(worker.contexts) - called == 6 - acknowledged


# Language models in the loop.


def talking(lm: dspy.LM) -> Candidate:
    """Stop and topology by rule, steer by a model that chooses between two actions."""
    return climbing(steer=lm_component("steer", lm))


def babble() -> tuple[dspy.LM, ScriptedEngine]:
    """A model that never writes the same analysis twice, and always chooses to analyse."""
    count = iter(range(1000))

    def script(prompt: str) -> str:
        if "[[ ## legal ## ]]" in prompt:
            return action_text("text", 1.0)
        return f"[[ ## steer ## ]]\nanalysis number {next(count)}"

    return scripted_lm(script)


async def test_a_models_decisions_and_analyses_are_billed() -> None:
    lm, engine = babble()
    parts = parts_of(Climber(), candidate=talking(lm), lm=lm)
    rollout = await run_episode(a_spec(steers=("text", "none")), parts)
    assert [one.attempt.steer.text for one in rollout.history] == ["", "analysis number 0", "analysis number 1"]
    assert len(engine.prompts) == 4
    words = sum(len(prompt.split()) for prompt in engine.prompts) + 2 * len(action_text("text", 1.0).split()) + 2 * 8
    assert rollout.episode.spent.tokens == words
    analysed = rollout.history[1].attempt
    assert (analysed.steer.kind, analysed.steer.action) == ("analyst", "text")
    assert analysed.steer_cost.tokens_out == 8
    assert analysed.cost.tokens_out is None


@pytest.mark.parametrize("call", [1, 2])
async def test_a_recorded_analysis_is_not_made_or_billed_again(call: int) -> None:
    """A model would write another text, and so another attempt."""
    lm, engine = babble()
    worker = Climber(before=fails_at(call, error=Killed()))
    parts = parts_of(worker, candidate=talking(lm), lm=lm)
    spec = a_spec(steers=("text", "none"))
    with pytest.raises(Killed):
        await run_episode(spec, parts)
    kept = [(one.id, one.steer.text) for one in await recorded(parts)]
    asked = len(engine.prompts)
    rollout = await run_episode(spec, parts)
    assert [(one.attempt.id, one.attempt.steer.text) for one in rollout.history[: len(kept)]] == kept
    assert len(engine.prompts) - asked == 2 * (3 - len(kept))  # one decision and one analysis for each new attempt
    decisions = [one async for one in parts.corpus.scan(Decision)]
    made = [d.cost for d in decisions] + [one.attempt.steer_cost for one in rollout.history]
    assert rollout.episode.spent.tokens == sum((c.tokens_in or 0) + (c.tokens_out or 0) for c in made)


async def test_tokens_that_run_out_end_the_episode() -> None:
    lm, _ = babble()
    spec = a_spec(steers=("text", "none")).model_copy(update={"granted": Amounts(attempts=9, tokens=10)})
    rollout = await run_episode(spec, parts_of(Climber(), candidate=talking(lm), lm=lm, checkers=[Height(99)]))
    assert len(rollout.history) == 2
    assert (rollout.episode.spent.tokens or 0) > 10
