"""Inside an arm's episodes: rescue, break and ceiling against the judge, and selections tested a second time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

from controllers.baselines import control_arms
from experiments.gate.arms.contrasts import Measured, measure
from experiments.gate.arms.within import Within, look_within
from experiments.gate.arms.workbench import opened, ready_for
from experiments.wiring import Wired
from judges.ledger import VerdictLedger
from judges.records import Judgement
from signatures.records import AttemptResult, CheckerResult, Task
from tests.experiments.gate.arms.test_contrasts import gate_config
from tests.worlds.planted import PlantedChecker, PlantedJudge, broken_in

RANDOM = control_arms(3, 3, [], placebo=False)[0]
GO_ON = control_arms(3, 3, [], placebo=False)[1]


@dataclass
class Fickle:
    """A checker of `correct` that prefers what it disliked when it looked before."""

    inner: PlantedChecker = field(default_factory=lambda: PlantedChecker("correct"))
    seen: set[str] = field(default_factory=set)

    @property
    def objective(self) -> str:
        return "correct"

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        found = await self.inner.check(task, result)
        key = f"{task.digest} {result.output} {result.trace}"
        if key not in self.seen:
            self.seen.add(key)
            return found
        return found.model_copy(update={"value": 1 - (found.value or 0.0)})


@dataclass
class Backwards:
    """A judge that likes what is broken."""

    inner: PlantedJudge = field(default_factory=PlantedJudge)
    revision: str = "backwards 1"
    deterministic: bool = True

    async def judge(self, task: Task, output: str) -> Judgement:
        return Judgement(score=min(1.0, len(broken_in(output)) / 2), reason="")


def looked(tmp_path: Path, change: dict[str, object], arm: object = GO_ON, n: int = 24) -> tuple[Within, Measured]:
    world = ready_for(gate_config(tmp_path, tasks=n, options={"noise": 0.0}))

    async def look(parts: Wired) -> tuple[Within, Measured]:
        found = await measure(parts, arm, world.splits.dev, seeds=(1, 2), namespace="arms", step=lambda: None)
        with VerdictLedger(tmp_path / "ceiling.db") as ledger:
            within = await look_within(parts, found, world.splits.dev, ledger, retest=5, step=lambda: None)
        return within, found

    with opened(world, tmp_path / "run") as parts:
        return asyncio.run(look(replace(parts, setup=replace(parts.setup, **change))))


def test_what_the_selector_chose_is_what_the_evaluator_scored(tmp_path: Path) -> None:
    within, found = looked(tmp_path, {})
    right = sum(score.values["correct"] == 1 for score in found.scores[0])
    assert within.episodes == 24
    assert within.selected_right == right == within.first_right + within.rescued - within.broken
    assert within.oracle is not None
    assert within.oracle >= right / 24
    assert within.rescued > 0
    assert within.rescue_rate == within.rescued / (24 - within.first_right)


def test_a_checker_that_says_the_same_twice_flips_nothing(tmp_path: Path) -> None:
    within, _ = looked(tmp_path, {})
    assert 0 < within.retested <= 5
    assert (within.flipped, within.flip_rate) == (0, 0.0)


def test_a_fickle_checker_flips_selections(tmp_path: Path) -> None:
    others = tuple(PlantedChecker(name) for name in ("fast", "cheap", "clean"))
    within, _ = looked(tmp_path, {"checkers": (Fickle(), *others)})
    assert within.flipped > 0
    assert within.flip_rate == within.flipped / within.retested


def test_a_judge_against_the_checker_shows_breaks_and_a_ceiling_above(tmp_path: Path) -> None:
    within, _ = looked(tmp_path, {"judge": Backwards()})
    assert within.broken > 0
    assert within.break_rate == within.broken / within.first_right
    assert within.oracle is not None
    assert within.oracle > within.selected_right / within.episodes


def test_nothing_is_attempted_or_judged_again(tmp_path: Path) -> None:
    first = looked(tmp_path, {}, RANDOM)
    size = (tmp_path / "ceiling.db").stat().st_size
    assert looked(tmp_path, {}, RANDOM) == first
    assert (tmp_path / "ceiling.db").stat().st_size == size
