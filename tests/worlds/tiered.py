"""The planted world with a controller whose steers a model draws: its trees, its episodes, its answers."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from controllers.baselines import seed_candidate
from controllers.corpus import SqliteCorpus
from controllers.executor import AsyncExecutor
from controllers.loop import run_episode
from controllers.program import controller_of, lm_component
from controllers.scripted_engine import AsyncScriptedEngine, ScriptedEngine
from controllers.steers import steer_table
from experiments.collect.config import CollectConfig
from experiments.collect_run import run as collect
from experiments.tiers.config import DemoteConfig
from optimizers.setup import Grant, Setup
from signatures.records import Candidate, Split
from tests.worlds.gated import WordyBenchmark
from tests.worlds.lab import STEERS
from tests.worlds.model import answer

if TYPE_CHECKING:
    import dspy

MODEL = "openai/scripted"
BENCHMARK = "tests.worlds.gated:WordyBenchmark"
TURNS = 3


def model() -> tuple[dspy.LM, ScriptedEngine]:
    """The model that reads the lamps, in this process, under the name of a served one."""
    import dspy

    engine = ScriptedEngine(answer)
    lm = dspy.LM(MODEL, engine=engine, async_engine=AsyncScriptedEngine(engine), cache=False, num_retries=0)
    return lm, engine


def steered_by(lm: dspy.LM) -> Candidate:
    """The seed candidate, but a model draws the steer."""
    return Candidate(components={**seed_candidate().components, "steer": lm_component("steer", lm)})


def grow(root: Path, *, tasks: int, attempts: int = 2) -> Path:
    """A corpus of trees alone; its path."""
    collect(
        CollectConfig(
            benchmark=BENCHMARK,
            root=str(root),
            plan="branching",
            tasks=tasks,
            attempts=attempts,
            turns=TURNS,
            depth=attempts,
        ),
        quiet=True,
    )
    return root / "corpus-planted.db"


def play(path: Path, candidate: Candidate, lm: dspy.LM | None, *, tasks: int, split: Split = "search") -> None:
    """Play one episode of the candidate on each of the first tasks, into the corpus."""
    benchmark = WordyBenchmark()

    async def played() -> None:
        with closing(SqliteCorpus(path)) as corpus:
            setup = Setup(
                worker=benchmark.worker(None, None),
                checkers=benchmark.checkers(),
                judge=benchmark.judge(),
                objectives=benchmark.objectives,
                steers=steer_table(benchmark.directives, benchmark),
                observer=benchmark,
                corpus=corpus,
                grant=Grant(3, TURNS, STEERS),
                revision="tiered",
                lm=lm,
                executor=AsyncExecutor(8),
            )
            specs = [
                setup.spec(task, candidate, condition="played", split=split, seed=7)
                for task in benchmark.tasks("search" if split == "production" else split)[:tasks]
            ]
            parts = replace(setup.parts(candidate))
            await setup.executor.map(lambda spec: run_episode(spec, parts), specs)

    asyncio.run(played())


def saved_controller(folder: Path, candidate: Candidate, lm: dspy.LM) -> str:
    """The controller as a file; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.json"
    path.write_text(controller_of(candidate, lm).dumps() + "\n", encoding="utf-8")
    return str(path)


def demote_config(root: Path, controller: str, **changed: JsonValue) -> DemoteConfig:
    """A demotion on this world."""
    given: dict[str, JsonValue] = {
        "controller": controller,
        "benchmark": BENCHMARK,
        "root": str(root),
        "attempts": 2,
        "turns": TURNS,
        "walks": 4,
        "tracking": False,
    }
    return DemoteConfig.model_validate({**given, **changed})
