"""The steer's tier makes the attempt; what it cost and left is that worker's own."""

from __future__ import annotations

import pytest

from controllers import Worker
from controllers.loop import run_episode
from controllers.observe import NoObserver
from controllers.programs import builtin
from controllers.steers import FixedSteer
from controllers.testing_workers import WorkerContract, a_context
from controllers.workers.scripted import CoinConfig, ScriptedWorker, coin
from controllers.workers.tiered import TieredWorker
from signatures.errors import UsageError
from signatures.records import AttemptResult, Cost, Directive, Steer, Task, TraceEvent
from tests.controllers.parts import Climber, a_spec, parts_of, with_steer

TASK = Task(digest="d", benchmark="b", prompt="p")


def paid(name: str, usd: float) -> ScriptedWorker:
    trace = (TraceEvent(turn=0, kind="message", text=name),)
    return ScriptedWorker(
        lambda task, context, start: AttemptResult(output=name, state=name, trace=trace, cost=Cost(turns=1, usd=usd)),
        name=name,
    )


class TestContract(WorkerContract):
    @pytest.fixture
    def worker(self) -> Worker:
        return TieredWorker({"cheap": ScriptedWorker(coin(CoinConfig(turns=6))), "strong": ScriptedWorker()})

    @pytest.fixture
    def task(self) -> Task:
        return TASK


async def test_the_steer_chooses_and_the_first_is_the_default() -> None:
    worker = TieredWorker({"cheap": paid("cheap", 0.01), "strong": paid("strong", 1.0)})
    plain = await worker.attempt(TASK, a_context(), None)
    strong = a_context().model_copy(update={"steer": Steer(kind="fixed", action="up", tier="strong")})
    escalated = await worker.attempt(TASK, strong, None)
    assert (plain.output, plain.cost.usd, plain.trace[0].text) == ("cheap", 0.01, "cheap")
    assert (escalated.output, escalated.cost.usd, escalated.trace[0].text) == ("strong", 1.0, "strong")


async def test_a_tier_that_there_is_not_is_one_clear_line() -> None:
    context = a_context().model_copy(update={"steer": Steer(action="up", tier="huge")})
    with pytest.raises(UsageError, match="gives tier 'huge'; there are cheap"):
        await TieredWorker({"cheap": paid("cheap", 0.0)}).attempt(TASK, context, None)
    with pytest.raises(UsageError, match="at least one"):
        TieredWorker({})


def test_the_fingerprint_names_all_in_their_order() -> None:
    one, other = paid("a", 0.0), paid("b", 0.0)
    prints = [TieredWorker(w).fingerprint for w in ({"x": one, "y": other}, {"y": other, "x": one}, {"x": one})]
    assert len({str(p) for p in prints}) == 3


async def test_a_cascade_escalates_where_the_checker_fails_and_not_before() -> None:
    """The cheap climber takes one step, the strong one two: the state is carried from tier to tier."""

    class Strong(Climber):
        async def attempt(self, task: Task, context: object, start: str | None) -> AttemptResult:
            return await super().attempt(task, context, str(int(start or 0) + 1))  # type: ignore[arg-type]

    cheap, strong = Climber(), Strong()
    worker = TieredWorker({"cheap": cheap, "strong": strong})
    parts = parts_of(worker, candidate=builtin.cascade("escalate"))
    directive = Directive(action="escalate", text="Go on.", tier="strong", tools=("map",))
    parts = with_steer(parts, "escalate", FixedSteer(directive, NoObserver()))
    rollout = await run_episode(a_spec(attempts=5, steers=("none", "escalate")), parts)
    assert rollout.output == "at 3"
    assert [len(cheap.contexts), len(strong.contexts)] == [1, 1]
    assert strong.contexts[0].steer == Steer(
        kind="fixed", action="escalate", text="escalate", tier="strong", tools=("map",)
    )
    assert rollout.history[1].attempt.steer.tier == "strong"
