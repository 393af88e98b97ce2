"""Episodes that others played in the planted world, for a search to learn from: production's, another benchmark's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from controllers.corpus import SqliteCorpus
from controllers.history import Seen
from controllers.loop import run_episode
from controllers.program import controller_of, rule_component
from controllers.retry import Breaker, RetryPolicy
from controllers.spec import EpisodeSpec, Parts, Rollout
from controllers.steers import Steerer, steer_table
from signatures.records import Amounts, Candidate, Directive, Split, Task
from tests.worlds.planted import ATTEMPTS, DIRECTIVES, LIT_GROUPS, TURNS, CountingWorker, PlantedBenchmark

OTHER = "machines"
"""Another benchmark: planted's machines, with a table of actions and features of its own."""


@dataclass(frozen=True)
class Play:
    """Who plays, and where it is kept."""

    split: Split = "production"
    benchmark: str = "planted"
    actions: tuple[str, ...] = ("none", *(directive.action for directive in DIRECTIVES))
    floor: float = 0.05
    each: int = 1
    "episodes per task, each with a seed of its own"
    condition: str = "production"


def behaviour(actions: Sequence[str]) -> Candidate:
    """Goes on from the last attempt until the checker passes, with a directive drawn at random."""
    stop = rule_component(
        [{"when": [{"feature": "passed", "op": ">", "value": 0.5}], "then": {"done": 1.0}}], {"continue": 1.0}
    )
    return Candidate(
        components={
            "stop": stop,
            "topology": rule_component([], {"refine_last": 1.0}),
            "steer": rule_component([], dict.fromkeys(actions, 1.0)),
        }
    )


class Machines(PlantedBenchmark):
    """Names its lamps otherwise."""

    id = OTHER

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """`machines.lit.<group>`."""
        return {name.replace("planted", OTHER): value for name, value in super().features(history).items()}


def play(
    corpus: Path, tasks: Sequence[Task], plan: Play | None = None, worker: CountingWorker | None = None
) -> list[Rollout]:
    """Play each task `plan.each` times into the corpus at that path, made where it is missing."""
    plan = plan or Play()
    world = PlantedBenchmark() if plan.benchmark == "planted" else Machines()
    candidate = behaviour(plan.actions)

    async def played() -> list[Rollout]:
        with closing(SqliteCorpus(corpus)) as opened:
            parts = Parts(
                controller=controller_of(candidate),
                worker=worker or world.worker(None, None),
                checkers=world.checkers(),
                steers=_steers(plan, world),
                observer=world,
                corpus=opened,
                retry=RetryPolicy(tries=1),
                breaker=Breaker(1_000),
            )
            specs = [
                EpisodeSpec(
                    task=task.model_copy(update={"benchmark": plan.benchmark}),
                    split=plan.split,
                    condition=plan.condition,
                    candidate=candidate.digest,
                    seed=seed,
                    granted=Amounts(attempts=ATTEMPTS, turns=ATTEMPTS * TURNS),
                    turns_per_attempt=TURNS,
                    steer_legal=plan.actions,
                    floor=plan.floor,
                    revision="played",
                )
                for task in tasks
                for seed in range(plan.each)
            ]
            return [await run_episode(spec, parts) for spec in specs]

    return asyncio.run(played())


def _steers(plan: Play, world: PlantedBenchmark) -> Mapping[str, Steerer]:
    known = {directive.action: directive for directive in DIRECTIVES}
    extra = [
        Directive(action=action, text=f"Work on the {LIT_GROUPS[0]} before anything else.") for action in plan.actions
    ]
    table = tuple(known.get(one.action, one) for one in extra if one.action != "none")
    return steer_table(table, _Told(world, {one.action: one.text for one in table}))


@dataclass(frozen=True)
class _Told:
    """The world as an observer that has a text for the actions of a play."""

    world: PlantedBenchmark
    texts: Mapping[str, str]

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        """The world's."""
        return self.world.features(history)

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        """The world's."""
        return self.world.untried(history)

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        """The text that the play gives it."""
        return self.texts[action]
