"""Time that a decision takes: by rules in process, and on top of a model's own time.

    python bench/decision_latency.py [DECISIONS] [ASKED]

times DECISIONS (30000) decisions of the rule tier, each the policy (12 rules over 30 features), the sampler with its
floor and the `Decision` record, as production makes them; beside it, turn about in the same run, an empty
`dspy.Module` of three called as a module; and whole turns, with the features observed from a history of three
attempts; and a bare loop, whose p99 is the machine's own noise. Then ASKED (300) decisions of language-model policies,
whose engine answers after 20 ms: three after each attempt of episodes of three attempts, 17 observations an attempt.
What is added to the time that the engine takes; the same for the first decision after each attempt alone, which sees 17
observations that were not seen before; beside it, turn about and on the same rendered inputs, what the call of
`dspy.Predict` within it adds, and what `dspy.Predict` with dspy's own chat adapter would. Wall time and, since a busy
machine interrupts, CPU time of the thread (less the engine's). Aims: wall p99 under 100 us for a rule, wall p50 under
2 ms added to a model. Prints a table and, as its last line, the same as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from controllers import deciding
from controllers.adapter import quick_chat
from controllers.corpus import MemoryCorpus
from controllers.history import Seen
from controllers.moves import STOP
from controllers.observe import NoObserver
from controllers.policies import View
from controllers.policies.lm import LMPolicy
from controllers.program import NAMES, Controller, policy_of, rule_component
from controllers.progress import Progress
from controllers.prompts import render
from controllers.scripted_engine import ScriptedEngine, scripted_lm
from controllers.spec import EpisodeSpec, Parts
from controllers.steers import steer_table
from signatures.records import (
    Amounts,
    Attempt,
    AttemptContext,
    AttemptResult,
    CheckerResult,
    Cost,
    Directive,
    PolicyName,
    Steer,
    Task,
    TraceEvent,
    WorkerFingerprint,
)

if TYPE_CHECKING:
    import dspy
    from dspy._vendor.lm15.types import StreamEvent
    from dspy.lm15 import Request, Response

FEATURES = 30
RULES = 12
VIEWS = 512
ENGINE_S = 0.020
AIM_RULE_US = 100.0
AIM_LM_US = 2000.0
BATCH = 300
TASK = Task(digest="t" * 24, benchmark="bench", prompt="The phone has no service. Find out why and mend it.")
DIRECTIVES = tuple(Directive(action=f"look{n}", text=f"Look at part {n} first.") for n in range(4))
STEERS = ("none", *(directive.action for directive in DIRECTIVES))
LEGAL: Mapping[PolicyName, tuple[str, ...]] = MappingProxyType(
    {"stop": STOP, "topology": ("refine_last", "fanout_1", "fanout_2"), "steer": STEERS}
)
ANSWER = "[[ ## action ## ]]\ncontinue\n\n[[ ## confidence ## ]]\n0.8\n\n[[ ## completed ## ]]"


class Took(NamedTuple):
    """Microseconds of one call."""

    wall_us: float
    cpu_us: float
    "of this thread"


class NoWorker:
    """Nothing is attempted here."""

    fingerprint = WorkerFingerprint(name="none")

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        raise NotImplementedError


class SlowEngine:
    """Answers after a fixed time, and keeps what the last answer took by its own clocks."""

    def __init__(self, sync: ScriptedEngine) -> None:
        self.sync = sync
        self.took = Took(0.0, 0.0)

    async def complete(self, request: Request) -> Response:
        cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
        await asyncio.sleep(ENGINE_S)
        answer = self.sync.complete(request)
        wall, cpu = time.perf_counter_ns() - wall, time.thread_time_ns() - cpu
        self.took = Took(wall / 1000, cpu / 1000)
        return answer

    async def stream(self, request: Request) -> AsyncIterator[StreamEvent]:
        for event in self.sync.stream(request):
            yield event

    async def aclose(self) -> None:
        """Nothing to close."""


def history(attempts: int, mark: int = 0) -> list[Seen]:
    """Attempts of twelve calls each, checked on five objectives, each going on from the one before.

    With another mark every call said something else.
    """
    found: list[Seen] = []
    for number in range(attempts):
        events = tuple(
            TraceEvent(
                turn=n, kind="tool", name=f"tool{n % 5}", arguments=json.dumps({"n": n}), text=f"{mark} done " * 15
            )
            for n in range(12)
        )
        checks = tuple(
            CheckerResult(
                objective=name, value=0.2 * number, unit="share", passed=False, detail=f"{mark} parts are broken"
            )
            for name in ("correct", "fast", "cheap", "secure", "clean")
        )
        attempt = Attempt(
            id=f"a{mark}-{number}",
            episode_id="e",
            round=number,
            index=number,
            parent_id=f"a{mark}-{number - 1}" if number else None,
            task_digest=TASK.digest,
            benchmark=TASK.benchmark,
            worker=NoWorker.fingerprint,
            steer=Steer(),
            checks=checks,
            outcome="ok",
            cost=Cost(turns=12),
        )
        found.append(Seen(attempt, events))
    return found


def rules(actions: Sequence[str], rng: random.Random) -> str:
    """A decision list of which now one rule holds and now another, and for some states none."""
    found: list[dict[str, object]] = []
    for _ in range(RULES):
        names = rng.sample(range(FEATURES), 3)
        when = [{"feature": f"f{n}", "op": rng.choice(("<=", ">")), "value": rng.random()} for n in names]
        found.append({"when": when, "then": {rng.choice(actions): 1.0}})
    return rule_component(found, {actions[0]: 1.0})


def parts_of(rng: random.Random) -> Parts:
    """A controller of three decision lists."""
    stop, topology, steer = (policy_of(name, rules(LEGAL[name], rng), None) for name in NAMES)
    controller = Controller(stop=stop, topology=topology, steer=steer)
    steers = steer_table(DIRECTIVES, NoObserver())
    return Parts(controller, NoWorker(), (), steers, NoObserver(), MemoryCorpus())


def progress_of(number: int, seen: Sequence[Seen] = ()) -> Progress:
    """An episode under way, with six attempts granted."""
    spec = EpisodeSpec(
        task=TASK,
        split="production",
        condition="production",
        seed=number,
        granted=Amounts(attempts=6, turns=72),
        turns_per_attempt=12,
        steer_legal=STEERS,
        floor=0.05,
    )
    progress = Progress(spec, f"{number:024d}")
    progress.history.extend(seen)
    return progress


def views(rng: random.Random, seen: Sequence[Seen]) -> list[tuple[PolicyName, View]]:
    """States as they are recorded: which policy is asked, 30 features, the legal actions."""
    found: list[tuple[PolicyName, View]] = []
    for n in range(VIEWS):
        name = NAMES[n % 3]
        features = {f"f{k}": rng.random() for k in range(FEATURES)}
        found.append((name, View(TASK, features, LEGAL[name], tuple(seen))))
    return found


async def timed(call: Callable[[], Awaitable[object]]) -> Took:
    """What one call takes."""
    cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
    await call()
    wall, cpu = time.perf_counter_ns() - wall, time.thread_time_ns() - cpu
    return Took(wall / 1000, cpu / 1000)


def empty_module() -> dspy.Module:
    """A module of three that do nothing, each called as a module: what dspy itself takes."""
    import dspy

    class Nothing(dspy.Module):
        async def aforward(self) -> None:
            return None

    class Three(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stop, self.topology, self.steer = Nothing(), Nothing(), Nothing()

        async def aforward(self) -> None:
            for part in (self.stop, self.topology, self.steer):
                await part.acall()

    return Three()


async def looped() -> None:
    """Arithmetic that takes about as long as a decision: its p99 shows how much the machine interrupts."""
    total = 0
    for n in range(1200):
        total += n


async def rule_tier(decisions: int) -> dict[str, list[Took]]:
    """Each decision, each call of the empty module, and each whole turn."""
    rng = random.Random(7)
    seen, parts, module = history(3), parts_of(rng), empty_module()
    states = views(rng, seen)
    names = ("a rule's decision", "a turn of up to three", "empty dspy.Module", "a bare loop")
    found: dict[str, list[Took]] = {name: [] for name in names}
    decision, turn, empty, bare = found.values()
    for start in range(0, decisions, BATCH):
        for number in range(start, min(start + BATCH, decisions)):
            # The step of the loop itself, which is not public: what it does is what production pays.
            name, view = states[number % VIEWS]
            decision.append(await timed(partial(deciding._draw, name, view, progress_of(number), parts)))
        for number in range(start, start + BATCH // 6):
            empty.append(await timed(module.acall))
            bare.append(await timed(looped))
            turn.append(await timed(partial(deciding.decide, progress_of(number, seen), parts)))
    return found


async def lm_tier(asked: int) -> dict[str, list[Took]]:
    """What each decision takes beyond the engine, and what its call of dspy does, with our adapter and with dspy's."""
    import dspy

    _, sync = scripted_lm(lambda prompt: ANSWER)
    engine = SlowEngine(sync)
    lm = dspy.LM("scripted", engine=sync, async_engine=engine, cache=False, num_retries=0)
    parts = parts_of(random.Random(7))
    policies = [LMPolicy(name, lm) for name in NAMES]
    parts.controller.policies.update({policy.name: policy for policy in policies})
    names = (
        "added to a model's call",
        "the first after an attempt",
        "of it by dspy.Predict",
        "dspy.Predict as it comes",
    )
    found: dict[str, list[Took]] = {name: [] for name in names}
    added, first, within, without = found.values()

    async def beyond(call: Callable[[], Awaitable[object]]) -> Took:
        whole = await timed(call)
        return Took(whole.wall_us - engine.took.wall_us, whole.cpu_us - engine.took.cpu_us)

    for number in range(-9, asked):  # the first episode imports, and is not counted
        if number % 9 == 0:
            episode = history(3, number)
        seen, policy = tuple(episode[: number % 9 // 3 + 1]), policies[number % 3]
        view = View(TASK, {f"f{k}": random.Random(number).random() for k in range(FEATURES)}, LEGAL[policy.name], seen)
        # The decision comes before what it is compared with, which finds the observations already made.
        took = await beyond(partial(deciding._draw, policy.name, view, progress_of(number, seen), parts))
        observations = render([item for one in seen for item in one.observations()])
        inputs = {"task": TASK.prompt, "features": dict(view.features), "observations": observations}
        adapters = (quick_chat(), dspy.ChatAdapter(use_json_adapter_fallback=False))
        ours, theirs = [
            await beyond(partial(predicted, policy, {**inputs, "legal": list(view.legal)}, one)) for one in adapters
        ]
        if number >= 0:
            for rows, row in ((added, took), (within, ours), (without, theirs)):
                rows.append(row)
            if number % 3 == 0:
                first.append(took)
    return found


async def predicted(policy: LMPolicy, inputs: dict[str, object], adapter: dspy.Adapter) -> object:
    """The model's answer with nothing of ours around it."""
    import dspy

    with dspy.context(adapter=adapter):
        return await policy.predict.acall(lm=policy.lm, **inputs)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """p50 and p99 by the nearest rank."""
    ordered = sorted(values)
    return {f"p{q}": round(ordered[min(len(ordered) - 1, len(ordered) * q // 100)], 1) for q in (50, 99)}


def positive(text: str) -> int:
    """A number of decisions. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"not a number of decisions above 0: {text}")
    return int(text)


def main() -> None:
    """Time both tiers and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("decisions", nargs="?", type=positive, default=30_000, help="decisions of the rule tier")
    parser.add_argument("asked", nargs="?", type=positive, default=300, help="decisions of the model tier")
    options = parser.parse_args()
    decisions, asked = options.decisions, options.asked
    found = {**asyncio.run(rule_tier(decisions)), **asyncio.run(lm_tier(asked))}
    clocks = {
        name: {"wall": quantiles([t.wall_us for t in took]), "cpu": quantiles([t.cpu_us for t in took])}
        for name, took in found.items()
    }
    print(f"{'microseconds':28}{'n':>8}{'wall p50':>12}{'wall p99':>12}{'cpu p50':>12}{'cpu p99':>12}")
    for name, row in clocks.items():
        cells = [row[clock][q] for clock in ("wall", "cpu") for q in ("p50", "p99")]
        print(f"{name:28}{len(found[name]):>8}" + "".join(f"{cell:>12.1f}" for cell in cells))
    rule, added = clocks["a rule's decision"]["wall"]["p99"], clocks["added to a model's call"]["wall"]["p50"]
    met = {"rule p99 < 100 us": rule < AIM_RULE_US, "added p50 < 2 ms": added < AIM_LM_US}
    print("; ".join(f"{aim}: {'met' if so else 'missed'}" for aim, so in met.items()))
    sizes = {"features": FEATURES, "rules": RULES, "engine_ms": ENGINE_S * 1000, "decisions": decisions, "asked": asked}
    print(json.dumps({**sizes, "rows_us": clocks, "met": met}))


if __name__ == "__main__":
    main()
