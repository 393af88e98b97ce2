from __future__ import annotations

import pytest

from controllers.history import Seen
from experiments.store.priming import ACTION, MOST_CHARACTERS, FactsSteer, Past, PrimedWorker
from signatures.errors import FirewallBreach
from signatures.records import Attempt, AttemptContext, AttemptResult, CheckerResult, Cost, Steer, Task, TraceEvent
from tests.worlds.shelved import WORKER, asked


def seen(id: str, value: float = 0.5, *, calls: int = 2) -> Seen:
    trace = tuple(TraceEvent(turn=n, kind="tool", name=f"work{n}", text="repaired") for n in range(calls))
    check = CheckerResult(objective="correct", value=value, unit="share", passed=False)
    attempt = Attempt(
        id=id,
        episode_id="e",
        round=0,
        index=0,
        task_digest="t",
        benchmark="planted",
        worker=WORKER,
        steer=Steer(),
        checks=(check,),
        outcome="ok",
        cost=Cost(turns=calls),
    )
    return Seen(attempt, trace)


PAST = (
    Past("The pump leaks oil.", (seen("a", 0.25),)),
    Past("The fan spins slowly.", (seen("b", 0.75), seen("c", 1.0))),
    Past("The pump is loud.", (seen("d"),)),
    Past("A proof is wanted.", (seen("e"),)),
)


async def test_the_facts_of_the_tasks_most_like_this_one_are_told() -> None:
    steer, cost = await FactsSteer(PAST).steer(asked("Why does my pump leak oil?"), (), 0)
    assert (steer.kind, steer.action, cost) == ("report", ACTION, Cost())
    assert steer.text.index("The pump leaks oil.") < steer.text.index("The pump is loud.")
    assert "correct 0.25 share" in steer.text
    assert "work0 x1" in steer.text
    assert steer.text.count("On a task like this one") == 3


async def test_without_a_past_nothing_is_told() -> None:
    assert (await FactsSteer(()).steer(asked("x"), (), 0))[0].text == ""


def test_a_long_episode_is_cut() -> None:
    long = FactsSteer([Past("The pump.", (seen("a", calls=5000),))])
    assert len(long.facts("pump")) < MOST_CHARACTERS + 400


def test_what_is_no_observation_is_a_breach() -> None:
    attempt, trace = seen("a")
    forged = Seen(attempt, (*trace, TraceEvent.model_construct(turn=0, kind="verdict", text="1.0")))
    with pytest.raises(FirewallBreach):
        FactsSteer([Past("The pump.", (forged,))])


class Echo:
    """Answers with what it was told."""

    fingerprint = WORKER

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        return AttemptResult(output=context.steer.text, trace=(TraceEvent(turn=0, kind="message", text="done"),))


@pytest.mark.parametrize("steer", ["", "Look at the valve."])
async def test_a_primed_worker_is_told_on_every_attempt_and_the_record_says_so(steer: str) -> None:
    facts = FactsSteer(PAST)
    primed, task = PrimedWorker(Echo(), facts), asked("Why does my pump leak oil?")
    result = await primed.attempt(task, AttemptContext(attempt_id="x", steer=Steer(text=steer), seed=1), None)
    assert result.output == facts.facts(task.prompt) + (f"\n\n{steer}" if steer else "")
    assert [event.text for event in result.trace] == [facts.facts(task.prompt), "done"]
    assert primed.fingerprint == PrimedWorker(Echo(), FactsSteer(PAST)).fingerprint
    assert len({str(one.fingerprint) for one in (primed, Echo(), PrimedWorker(Echo(), FactsSteer(PAST[:1])))}) == 3
