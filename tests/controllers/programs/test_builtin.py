"""The built-in programs do what the control arms made of rules do, exactly, replayed and live."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controllers.baselines import Arm, control_arms
from controllers.isolation import works
from controllers.loop import run_episode
from controllers.program import controller_of
from controllers.programs import builtin
from controllers.programs.language import check
from controllers.spec import Rollout
from optimizers.replay import Asked, Evidence
from optimizers.replay.estimates import Refusal, require
from optimizers.replay.exact_tree import ExactTree
from optimizers.replay.fresh_draws import FreshDraws
from optimizers.replay.tree import TreeReplay
from optimizers.setup import Grant
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Candidate, Task
from tests.controllers.parts import Climber, a_spec, parts_of
from tests.worlds.lab import Lab
from tests.worlds.planted import DIRECTIVES, TURNS

pytestmark = pytest.mark.skipif(not works("rlimits"), reason="needs Linux")
K = 3
ACTIONS = tuple(directive.action for directive in DIRECTIVES)
ARMS = {arm.name: arm for arm in control_arms(K, TURNS, ACTIONS, placebo=False)}
SAME = {
    f"random@{K}": builtin.sample(),
    f"continue@{K}": builtin.refine(),
    f"refine@{K}/fan": builtin.refine("fan"),
    f"refine@{K}/core": builtin.refine("core"),
}


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.close()


def granted(arm: Arm) -> Grant:
    return Grant(arm.attempts, arm.turns_per_attempt, arm.steer_legal)


async def value(replay: TreeReplay, arm: Arm, candidate: Candidate, lab: Lab) -> list[object]:
    own = TreeReplay(replay.trees, lab.benchmark, lab.benchmark.objectives, granted(arm))
    tasks = [task for task in lab.benchmark.tasks("search") if task.digest in replay.trees]
    return [await own.value(controller_of(candidate), task) for task in tasks]


async def test_replayed_on_recorded_trees_they_are_worth_what_the_arms_of_rules_are(lab: Lab) -> None:
    replay = await lab.replay(lab.benchmark.tasks("search")[:4])
    for name, program in SAME.items():
        arm = ARMS[name]
        assert await value(replay, arm, program, lab) == await value(replay, arm, arm.candidate, lab), name


async def test_sample_has_the_closed_form_of_random(lab: Lab) -> None:
    tasks = lab.benchmark.tasks("search")[:3]
    trees = (await lab.replay(tasks)).trees
    arm = ARMS[f"random@{K}"]
    # Turns without a limit, so that the attempts drawn are all that the episode depends on.
    replay = TreeReplay(trees, lab.benchmark, lab.benchmark.objectives, Grant(K, None, ("none",)))
    evidence = Evidence(trees=replay, tasks=tasks)
    rules = Asked(("a",), (controller_of(arm.candidate),))
    program = Asked(("a",), (controller_of(builtin.sample()),))
    closed = require((await FreshDraws(K, lab.benchmark.objectives).estimate(evidence, rules))[0])
    walked = require((await ExactTree().estimate(evidence, program))[0])
    for objective, bound in closed.values.items():
        assert walked.values[objective].value == pytest.approx(bound.value, abs=1e-9)
    (refused,) = await FreshDraws(K, lab.benchmark.objectives).estimate(evidence, program)
    assert isinstance(refused, Refusal)
    assert "holds for random@3 alone" in refused.reason


def played(rollout: Rollout) -> list[object]:
    """What was done and drawn, without ids, which name the controller."""
    place = {seen.attempt.id: seen.attempt.index for seen in rollout.history}
    return [
        (place.get(seen.attempt.parent_id or ""), seen.attempt.steer, seen.attempt.output_digest, seen.trace)
        for seen in rollout.history
    ]


async def test_live_they_make_the_same_attempts_with_the_same_draws(lab: Lab) -> None:
    setup = lab.setup()
    for name, program in SAME.items():
        arm = ARMS[name]
        for task in lab.benchmark.tasks("search")[:4]:
            rollouts = []
            for candidate in (program, arm.candidate):
                spec = setup.spec(task, candidate, condition="test", split="search", seed=3, grant=granted(arm))
                rollouts.append(await run_episode(spec, setup.parts(candidate)))
            one, other = rollouts
            assert played(one) == played(other)
            assert one.output == other.output
            assert one.episode.spent.turns == other.episode.spent.turns


async def test_adaptive_refine_abandons_what_does_not_help() -> None:
    class Stuck(Climber):
        """One step from the ground is all it can climb."""

        async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
            return await super().attempt(task, context, None)

    parts = parts_of(Stuck(), candidate=builtin.adaptive_refine(patience=2))
    rollout = await run_episode(a_spec(attempts=7), parts)
    parents = [seen.attempt.parent_id for seen in rollout.history]
    ids = [seen.attempt.id for seen in rollout.history]
    assert parents == [None, ids[0], ids[1], None, ids[3], ids[4], None]
    climbing = await run_episode(a_spec(attempts=7), parts_of(Climber(), candidate=builtin.adaptive_refine(patience=2)))
    assert [seen.attempt.parent_id is None for seen in climbing.history] == [True, False, False]


async def test_sample_then_refine_goes_on_from_the_best() -> None:
    class Uneven(Climber):
        """The second of the fresh ones starts a step higher."""

        async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
            higher = start is None and len(self.contexts) == 1
            return await super().attempt(task, context, "1" if higher else start)

    rollout = await run_episode(a_spec(attempts=4), parts_of(Uneven(), candidate=builtin.sample_then_refine(fresh=2)))
    ids = [seen.attempt.id for seen in rollout.history]
    assert [seen.attempt.round for seen in rollout.history] == [0, 0, 1]
    assert [seen.attempt.parent_id for seen in rollout.history] == [None, None, ids[1]]
    short = await run_episode(a_spec(attempts=1), parts_of(Uneven(), candidate=builtin.sample_then_refine(fresh=4)))
    assert len(short.history) == 1


@pytest.mark.parametrize("name", ["", "a b", "fan'", "x\n", "f(", "__import__('os')", 7, "a" * 101])
def test_a_name_that_is_none_is_no_part_of_a_program(name: str) -> None:
    for make in (builtin.refine, builtin.adaptive_refine, builtin.cascade):
        with pytest.raises(UsageError, match="an action is a name"):
            make(name)


@pytest.mark.parametrize("count", [0, -1, 65, True, 2.0, "2"])
def test_a_count_that_is_none_is_no_part_of_a_program(count: int) -> None:
    with pytest.raises(UsageError, match="patience is a whole number from 1 to 64"):
        builtin.adaptive_refine(patience=count)
    with pytest.raises(UsageError, match="fresh is a whole number from 1 to 4"):
        builtin.sample_then_refine(fresh=count)
    with pytest.raises(UsageError, match="cheap is a whole number from 1 to 64"):
        builtin.cascade("up", cheap=count)


def test_each_is_in_the_language_and_a_candidate_of_its_own() -> None:
    made = [
        builtin.sample(),
        builtin.refine(),
        builtin.refine("apn.x_1"),
        builtin.adaptive_refine(),
        builtin.adaptive_refine(patience=2),
        builtin.sample_then_refine(),
        builtin.cascade("up"),
    ]
    for candidate in made:
        check(json.loads(candidate.components["program"])["source"])
    assert len({candidate.digest for candidate in made}) == len(made)
