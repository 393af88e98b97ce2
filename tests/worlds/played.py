"""Episodes really played in the planted world by a controller that draws: what an episode log is made from."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

from controllers.corpus import MemoryCorpus
from controllers.loop import run_episode
from controllers.program import controller_of, rule_component
from controllers.retry import Breaker
from controllers.spec import EpisodeSpec, Parts, Rollout
from controllers.steers import steer_table
from optimizers.logs.tabled import Tables
from signatures.records import Amounts, Candidate, Task
from tests.worlds.lab import NO_WAIT, STEERS
from tests.worlds.planted import TURNS, CountingWorker, PlantedBenchmark, PlantedJudge

BENCHMARK = PlantedBenchmark()
OBJECTIVES = BENCHMARK.objectives
TASKS = BENCHMARK.tasks("search")[:40]
BEHAVIOUR = Candidate(
    components={
        "stop": rule_component(
            [{"when": [{"feature": "passed", "op": ">", "value": 0.5}], "then": {"done": 3.0, "continue": 1.0}}],
            {"continue": 3.0, "done": 1.0},
        ),
        "topology": rule_component(
            [
                {
                    "when": [{"feature": "stalled", "op": ">", "value": 0.5}],
                    "then": {"fanout_1": 2.0, "refine_best": 1.0},
                }
            ],
            {"refine_last": 4.0, "fanout_1": 2.0, "fanout_2": 1.0, "refine_best": 1.0},
        ),
        "steer": rule_component(
            [{"when": [{"feature": "planted.lit.fan", "op": ">", "value": 0.5}], "then": {"fan": 3.0, "none": 1.0}}],
            dict.fromkeys(STEERS, 1.0),
        ),
    }
)
"""Draws every move somewhere, and different ones in different states."""


class Played(NamedTuple):
    """A corpus of played episodes, and everything they were."""

    corpus: MemoryCorpus
    tables: Tables
    outcomes: Mapping[str, float | None]
    rollouts: Mapping[str, Rollout]
    "by episode id, in the order played"


class Plan(NamedTuple):
    """What is played: `repeats` episodes on each of the first `tasks` tasks."""

    tasks: int = 40
    repeats: int = 5
    floor: float = 0.05
    attempts: int | None = 3
    turns: int | None = 3 * TURNS
    each: int | None = TURNS
    steers: tuple[str, ...] = STEERS
    usd: float | None = None


PLAN = Plan()


def parts_of(candidate: Candidate, corpus: MemoryCorpus, worker: CountingWorker | None = None) -> Parts:
    """The planted world's parts on this corpus."""
    return Parts(
        controller=controller_of(candidate),
        worker=worker or CountingWorker(BENCHMARK.worker(None, None)),
        checkers=BENCHMARK.checkers(),
        steers=steer_table(BENCHMARK.directives, BENCHMARK),
        observer=BENCHMARK,
        corpus=corpus,
        retry=NO_WAIT,
        breaker=Breaker(1000),
    )


async def play(
    plan: Plan, candidate: Candidate = BEHAVIOUR, *, corpus: MemoryCorpus | None = None, parts: Parts | None = None
) -> Played:
    """Play the plan, judge what was selected, and put all of it into tables."""
    from optimizers.features import tables_of

    corpus = corpus or MemoryCorpus()
    parts = parts or parts_of(candidate, corpus)
    rollouts: dict[str, Rollout] = {}
    outcomes: dict[str, float | None] = {}
    for task in TASKS[: plan.tasks]:
        for seed in range(plan.repeats):
            rollout = await run_episode(spec_of(plan, task, seed, candidate), parts)
            rollouts[rollout.episode.id] = rollout
            if rollout.output is not None:
                outcomes[rollout.episode.id] = (await PlantedJudge().judge(task, rollout.output)).score
    return Played(corpus, await tables_of(corpus), outcomes, rollouts)


def spec_of(plan: Plan, task: Task, seed: int, candidate: Candidate) -> EpisodeSpec:
    """One episode of the plan."""
    return EpisodeSpec(
        task=task,
        split="search",
        condition="collect",
        candidate=candidate.digest,
        seed=seed,
        granted=Amounts(attempts=plan.attempts, turns=plan.turns, usd=plan.usd),
        turns_per_attempt=plan.each,
        steer_legal=plan.steers,
        floor=plan.floor,
    )


@cache
def played(plan: Plan = PLAN, candidate_text: str | None = None) -> Played:
    """As `play`, once for all tests that ask for the same; `candidate_text` is a candidate as JSON."""
    candidate = BEHAVIOUR if candidate_text is None else Candidate.model_validate_json(candidate_text)
    with ThreadPoolExecutor(1) as own:  # a loop of its own, so that a test with a loop may ask too
        return own.submit(asyncio.run, play(plan, candidate)).result()
