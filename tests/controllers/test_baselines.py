from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from controllers.baselines import Arm, control_arms, exploring_candidate, recorded_arms, seed_candidate
from controllers.loop import run_episode
from controllers.program import controller_of
from controllers.spec import Rollout
from signatures.records import Amounts, Decision
from tests.controllers.parts import DIRECTIVES, Climber, Height, a_spec, a_task, parts_of

K, TURNS = 3, 4
ARMS = {arm.name: arm for arm in control_arms(K, TURNS, ("look", "rule"), placebo=True)}


async def played(arm: Arm, worker: Climber, *, top: int = 99, seed: int = 1) -> Rollout:
    """One episode of an arm under the budget of that arm."""
    each = arm.turns_per_attempt
    spec = a_spec(task=a_task(), steers=arm.steer_legal, each=each, seed=seed).model_copy(
        update={"granted": Amounts(attempts=arm.attempts, turns=None if each is None else arm.attempts * each)}
    )
    return await run_episode(spec, parts_of(worker, candidate=arm.candidate, checkers=[Height(top)]))


def test_all_arms_are_there_and_each_is_another_controller() -> None:
    assert list(ARMS) == ["random@3", "continue@3", "placebo@3", "refine@3/look", "refine@3/rule", "long@1"]
    digests = {name: arm.candidate.digest for name, arm in ARMS.items()}
    assert digests.pop("long@1") == digests["random@3"]  # one fresh attempt; only the cut of the budget differs
    assert len(set(digests.values())) == len(digests)


def test_the_arms_are_matched_in_turns() -> None:
    assert {arm.attempts * (arm.turns_per_attempt or 0) for arm in ARMS.values()} == {K * TURNS}


def test_arms_that_a_benchmark_cannot_have_are_left_out() -> None:
    assert [arm.name for arm in control_arms(2, None, (), placebo=False)] == ["random@2", "continue@2"]


@pytest.mark.parametrize(
    ("name", "starts", "kinds"),
    [
        ("random@3", [None, None, None], ["none"] * 3),
        ("continue@3", [None, "1", "2"], ["none"] * 3),
        ("placebo@3", [None, "1", "2"], ["none", "placebo", "placebo"]),
        ("refine@3/look", [None, "1", "2"], ["none", "fixed", "fixed"]),
        ("refine@3/rule", [None, "1", "2"], ["none", "rule", "rule"]),
        ("long@1", [None], ["none"]),
    ],
)
async def test_an_arm_does_what_its_row_says(name: str, starts: list[str | None], kinds: list[str]) -> None:
    worker = Climber(turns=99)
    rollout = await played(ARMS[name], worker)
    assert worker.starts == starts
    assert [one.attempt.steer.kind for one in rollout.history] == kinds
    assert [context.turns_limit for context in worker.contexts] == [K * TURNS // len(starts)] * len(starts)
    assert rollout.episode.spent.turns == K * TURNS


async def test_a_placebo_has_the_words_of_the_table_at_random() -> None:
    texts = set()
    for seed in range(8):
        rollout = await played(ARMS["placebo@3"], Climber(turns=99), seed=seed)
        texts |= {one.attempt.steer.text for one in rollout.history[1:]}
    assert texts == {d.text for d in DIRECTIVES}


@pytest.mark.parametrize("name", ["random@3", "continue@3"])
async def test_every_arm_stops_when_the_checker_passes(name: str) -> None:
    worker = Climber(turns=99)
    await played(ARMS[name], worker, top=1)
    assert len(worker.contexts) == 1


def test_a_search_starts_at_continue() -> None:
    assert seed_candidate() == ARMS["continue@3"].candidate
    assert controller_of(seed_candidate()).digest == seed_candidate().digest


async def test_the_explorer_goes_on_until_the_checker_passes_and_draws_whatever_is_legal() -> None:
    actions = ("none", *(directive.action for directive in DIRECTIVES))
    drawn: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(60):
        spec = a_spec(task=a_task(), steers=actions, each=TURNS, seed=seed).model_copy(
            update={"granted": Amounts(attempts=K, turns=K * TURNS), "floor": 0.05}
        )
        parts = parts_of(Climber(turns=99), candidate=exploring_candidate(actions), checkers=[Height(99)])
        await run_episode(spec, parts)
        async for decision in parts.corpus.scan(Decision):
            drawn[decision.policy][decision.action] += 1
            assert decision.propensity >= 0.05
            assert min(decision.probabilities.values()) >= 0.05 - 1e-12
            if decision.policy == "steer":
                assert decision.probabilities == pytest.approx(dict.fromkeys(actions, 1 / len(actions)))
    assert set(drawn["steer"]) == set(actions)
    assert set(drawn["stop"]) == {"continue", "done"}
    assert drawn["stop"]["continue"] > 10 * drawn["stop"]["done"]
    refined = sum(n for action, n in drawn["topology"].items() if action.startswith("refine"))
    fresh_later = drawn["topology"].total() - refined - 60
    assert refined > 2 * fresh_later > 0


async def test_the_explorer_stops_when_the_checker_passes() -> None:
    worker = Climber(turns=99)
    spec = a_spec(task=a_task(), steers=("none",), each=TURNS).model_copy(update={"granted": Amounts(attempts=K)})
    await run_episode(spec, parts_of(worker, candidate=exploring_candidate(("none",)), checkers=[Height(1)]))
    assert len(worker.contexts) == 1


def test_the_arms_that_trees_can_tell() -> None:
    arms = recorded_arms(2, 3, ("fan", "pump"))
    assert [arm.name for arm in arms] == ["random@2", "continue@2", "placebo@2", "refine@2/fan", "refine@2/pump"]
    assert {arm.attempts for arm in arms} == {2}
    assert {arm.turns_per_attempt for arm in arms} == {3}
    assert [arm.name for arm in recorded_arms(2, 3, ())] == ["random@2", "continue@2"]
