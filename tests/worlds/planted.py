"""A small world with a planted effect: machines with hidden faults, and lamps that tell where to look.

A machine has seven parts in four groups. The worker works on parts at random, or first on those that a directive names;
three groups have a lamp that is lit while one of their parts is broken, so the right directive can be read off the
panel. The part `core.0` has no lamp: the checker of `correct` cannot see it, the judge can.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Final

from pydantic import Field

from controllers import Checker, Worker
from controllers.history import Seen
from controllers.loading import load_worker
from experiments.config import RunConfig
from judges import Judge
from judges.records import Judgement
from signatures.digest import canonical_json, digest_of
from signatures.errors import UsageError
from signatures.records import (
    AttemptContext,
    AttemptResult,
    CheckerResult,
    Cost,
    Directive,
    Objective,
    Probability,
    Split,
    Task,
    TraceEvent,
    WorkerFingerprint,
)

BENCHMARK: Final = "planted"
LIT_GROUPS: Final = ("fan", "pump", "valve")
PARTS: Final = ("fan.0", "fan.1", "pump.0", "pump.1", "valve.0", "valve.1", "core.0")
VISIBLE: Final = PARTS[:-1]
DIRECTIVES: Final = tuple(
    Directive(action=group, text=f"Work on the {group} before anything else.") for group in (*LIT_GROUPS, "core")
)
ATTEMPTS: Final = 3
TURNS: Final = 3
VARIANTS: Final = 6
"""Machines with the same faults."""


class PlantedConfig(RunConfig):
    """What a user may choose."""

    noise: Probability = 0.1
    "how often a repair slips"
    compliance: Probability = 1.0
    "how often a directive is followed"
    turns: int = Field(default=TURNS, ge=1)
    "turns of an attempt without a limit of its own"


@dataclass(frozen=True)
class PlantedWorker:
    """Repairs parts: those of the group that the steer names first, then any. It ends when no lamp is lit."""

    faults: Mapping[str, tuple[str, ...]]
    "task digest -> parts that are broken at the start"
    noise: float = 0.1
    compliance: float = 1.0
    turns: int = TURNS
    fingerprint: WorkerFingerprint = field(init=False)

    def __post_init__(self) -> None:
        params = {"noise": str(self.noise), "compliance": str(self.compliance)}
        object.__setattr__(self, "fingerprint", WorkerFingerprint(name="planted", params=params))

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """At most `turns_limit` parts are worked on, drawn by the seed."""
        rng = random.Random(context.seed)
        broken = set(self.faults[task.digest] if start is None else broken_in(start))
        told = [part for part in PARTS if f" {_group(part)} " in context.steer.text]
        told = told if told and rng.random() < self.compliance else []
        trace: list[TraceEvent] = []
        for turn in range(context.turns_limit or self.turns):
            part = told.pop(0) if told else rng.choice(PARTS)
            said = "healthy" if part not in broken else "slipped" if rng.random() < self.noise else "repaired"
            if said == "repaired":
                broken.discard(part)
            arguments = json.dumps({"part": part})
            event = TraceEvent(
                turn=turn, kind="tool", name="work", arguments=arguments, text=said, failed=said == "slipped"
            )
            trace.append(event)
            if not told and not lit_by(broken):
                break
        turns = len(trace)
        trace.append(TraceEvent(turn=turns, kind="message", name="panel", text=" ".join(lit_by(broken))))
        state = canonical_json({"broken": sorted(broken)})
        return AttemptResult(output=state, state=state, trace=tuple(trace), cost=Cost(turns=turns))


@dataclass(frozen=True)
class PlantedChecker:
    """Measures one objective from what an operator can see."""

    objective: str

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        """Share of visible parts that work, turns, price of the calls (a repair 2, a look 1), calls without effect."""
        said = [event.text for event in result.trace if event.kind == "tool"]
        if self.objective == "correct":
            broken = [part for part in VISIBLE if part in broken_in(result.output)]
            value, unit, passed = 1 - len(broken) / len(VISIBLE), "share", not broken
            detail = f"lit: {' '.join(lit_by(broken)) or 'nothing'}"
            return CheckerResult(objective="correct", value=value, unit=unit, passed=passed, detail=detail)
        wasted = sum(text != "repaired" for text in said)
        value, unit = {
            "fast": (len(said), "turns"),
            "cheap": (sum(1 + (text == "repaired") for text in said), "price"),
            "clean": (wasted, "calls"),
        }[self.objective]
        detail = f"{wasted} of {len(said)} calls changed nothing"
        return CheckerResult(
            objective=self.objective, value=float(value), unit=unit, passed=value <= TURNS, detail=detail
        )


@dataclass(frozen=True)
class PlantedJudge:
    """1 where every part works, the hidden one too. `canary` is written into every verdict."""

    canary: str = ""
    revision: str = "planted judge 1"
    deterministic: bool = True

    async def judge(self, task: Task, output: str) -> Judgement:
        """Score a state; what is no state scores 0."""
        try:
            broken = broken_in(output)
        except (ValueError, TypeError, KeyError):
            return Judgement(score=0.0, reason=f"no state {self.canary}")
        parts = {f"{self.canary}{part}": part not in broken for part in PARTS}
        return Judgement(score=float(not broken), reason=f"{self.canary} broken: {' '.join(broken)}", parts=parts)


class PlantedBenchmark:
    """The world as a benchmark. A family is a set of faults; splits share none, but production meets search's again."""

    id = BENCHMARK
    directives: tuple[Directive, ...] = DIRECTIVES
    reference = "none: a world of the tests"
    variants: int = VARIANTS

    def __init__(self, config: PlantedConfig | None = None) -> None:
        self.config = config or PlantedConfig()

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """`correct` is the judge's; the others are sums over the episode."""
        calls = float(ATTEMPTS * TURNS) * 4 / 3
        return (
            Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge"),
            Objective(name="fast", unit="turns", worst=calls, best=0.0, over="episode"),
            Objective(name="cheap", unit="price", worst=calls * 2, best=0.0, over="episode"),
            Objective(name="clean", unit="calls", worst=calls, best=0.0, over="lineage"),
        )

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """The tasks of a split in the order of their digests."""
        return tuple(task for task, _ in self._cases[split])

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """Task digest -> its set of faults, as one name."""
        return {task.digest: ("+".join(faults),) for task, faults in self._cases[split]}

    def worker(self, name: str | None, lm: object) -> Worker:
        """The planted worker, or the one of that name."""
        if name not in (None, BENCHMARK):
            return load_worker(name)
        faults = {task.digest: broken for cases in self._cases.values() for task, broken in cases}
        config = self.config
        return PlantedWorker(faults, noise=config.noise, compliance=config.compliance, turns=config.turns)

    def checkers(self) -> tuple[Checker, ...]:
        """One per objective."""
        return tuple(PlantedChecker(objective.name) for objective in self.objectives)

    def judge(self) -> Judge:
        """The judge that sees every part."""
        return PlantedJudge()

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """`planted.lit.<group>` for each lamp after the last attempt, and `planted.lit`, how many are lit."""
        if not history or not history[-1].trace:
            return {}
        lit = history[-1].trace[-1].text.split()
        return {"planted.lit": float(len(lit)), **{f"planted.lit.{g}": float(g in lit) for g in LIT_GROUPS}}

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """For each group: whether no part of it was worked on."""
        touched = {
            _group(json.loads(event.arguments)["part"])
            for seen in history
            for event in seen.trace
            if event.name == "work"
        }
        return {directive.action: directive.action not in touched for directive in DIRECTIVES}

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The directive's own text. Raises UsageError for an unknown action."""
        for directive in DIRECTIVES:
            if directive.action == action:
                return directive.text
        raise UsageError(f"planted has no action {action!r}")

    def probes(self) -> Sequence[tuple[str, Task, str, bool]]:
        """For two tasks: everything works, only the hidden part is broken, nothing was done, no output."""
        found: list[tuple[str, Task, str, bool]] = []
        for task, faults in self._cases["search"][:2]:
            found.append(("all works", task, canonical_json({"broken": []}), True))
            found.append(("hidden fault", task, canonical_json({"broken": ["core.0"]}), False))
            found.append(("untouched", task, canonical_json({"broken": sorted(faults)}), False))
            found.append(("no output", task, "", False))
        return found

    @cached_property
    def _cases(self) -> Mapping[Split, tuple[tuple[Task, tuple[str, ...]], ...]]:
        families = [faults for size in (2, 3, 4) for faults in combinations(PARTS, size)]
        families.sort(key=lambda faults: digest_of("family", faults))
        splits: tuple[Split, ...] = ("search", "dev", "holdout")
        found: dict[Split, list[tuple[Task, tuple[str, ...]]]] = {split: [] for split in (*splits, "production")}
        for number, faults in enumerate(families):
            split = splits[number % 3]
            found[split] += [(_machine(faults, variant), faults) for variant in range(self.variants)]
            if split == "search":
                # Other machines with faults of the kind that the search saw.
                later = range(self.variants, 2 * self.variants)
                found["production"] += [(_machine(faults, variant), faults) for variant in later]
        return {split: tuple(sorted(cases, key=lambda case: case[0].digest)) for split, cases in found.items()}


@dataclass
class CountingWorker:
    """Passes attempts on to `inner` and counts them; raises what `fails` returns for a task, if anything."""

    inner: Worker
    fails: Callable[[Task, int], Exception | None] = lambda task, call: None
    calls: list[tuple[str, str]] = field(default_factory=list)
    "(task digest, attempt id) of each call"

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The inner worker's: counting changes nothing."""
        return self.inner.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One attempt of the inner worker."""
        self.calls.append((task.digest, context.attempt_id))
        error = self.fails(task, len(self.calls))
        if error is not None:
            raise error
        return await self.inner.attempt(task, context, start)


def broken_in(state: str) -> list[str]:
    """The broken parts of a state. Raises ValueError, KeyError and TypeError on what is no state."""
    return list(json.loads(state)["broken"])


def lit_by(broken: Sequence[str] | set[str]) -> list[str]:
    """The lamps that are lit while these parts are broken."""
    return [group for group in LIT_GROUPS if any(_group(part) == group for part in broken)]


def _machine(faults: tuple[str, ...], variant: int) -> Task:
    digest = digest_of(BENCHMARK, faults, variant)
    prompt = f"Machine {digest[:6]} does not run. Find what is broken and repair it."
    return Task(digest=digest, benchmark=BENCHMARK, prompt=prompt)


def _group(part: str) -> str:
    return part.split(".")[0]
