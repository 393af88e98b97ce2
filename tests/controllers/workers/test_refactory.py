from __future__ import annotations

import json

import pytest

from controllers.testing_workers import WorkerContract
from controllers.workers.refactory import RefactoryWorker
from controllers.worlds.refactory import Exercise, Loaded, RefactoryWorld, passed
from controllers.worlds.refactory_edits import KINDS
from signatures.records import AttemptContext, AttemptResult, Steer, Task

TESTS = {"search(7, [])": "0", "search(3, [1, 5])": "1", "search(5, [1, 5])": "1", "search(9, [1, 5])": "2"}
WRONG = """
def search(x, seq):
    for i in range(len(seq)):
        if x < seq[i]:
            return i
    return len(seq)
"""
FAR = "def search(x, seq):\n    return None\n"
RIGHT = WRONG.replace("x <", "x <=")
TASKS = {name: Task(digest=name, benchmark="refactory", prompt="Write search.") for name in ("near", "far", "right")}
PROGRAMS = {"near": WRONG, "far": FAR, "right": RIGHT}


@pytest.fixture(scope="module")
def world() -> RefactoryWorld:
    exercises = {name: Exercise(1, program) for name, program in PROGRAMS.items()}
    return RefactoryWorld(exercises, {1: Loaded("", TESTS)})


def student(world: RefactoryWorld, *, noise: float = 0.0, compliance: float = 1.0, turns: int = 12) -> RefactoryWorker:
    return RefactoryWorker(world, lambda question: (), noise=noise, compliance=compliance, turns=turns)


def context(seed: int = 0, steer: str = "", turns: int | None = None) -> AttemptContext:
    return AttemptContext(attempt_id="a", steer=Steer(text=steer), seed=seed, turns_limit=turns)


def changes(result: AttemptResult) -> list[list[str]]:
    return [json.loads(event.arguments)["changes"] for event in result.trace]


class TestContract(WorkerContract):
    @pytest.fixture
    def worker(self, world: RefactoryWorld) -> RefactoryWorker:
        return student(world, noise=0.15, compliance=0.8)

    @pytest.fixture
    def task(self) -> Task:
        return TASKS["near"]


def test_the_fingerprint_carries_its_parameters(world: RefactoryWorld) -> None:
    fingerprint = student(world, noise=0.1, compliance=0.5, turns=7).fingerprint
    assert fingerprint.name == "refactory"
    assert fingerprint.params == {"noise": "0.1", "compliance": "0.5", "turns": "7"}


async def test_told_where_to_look_it_repairs_what_is_one_change_away(world: RefactoryWorld) -> None:
    found = [
        await student(world).attempt(TASKS["near"], context(seed, "Check the conditions."), None) for seed in range(4)
    ]
    reports = await world.run(1, [one.output for one in found], tuple(TESTS))
    solved = [passed(report, TESTS) == len(TESTS) for report in reports]
    assert sum(solved) >= 2
    for one, good in zip(found, solved, strict=True):
        assert one.output == one.state and one.cost.turns == len(one.trace) <= 12
        assert ("4 of 4" in one.trace[-1].text) == good, "it stops at the first that passes all"
        assert changes(one)[0] == [] and all(kinds[0] == "conditions" for kinds in changes(one)[1:])


async def test_without_a_steer_it_tries_several_kinds_and_half_of_them_by_what_it_saw(world: RefactoryWorld) -> None:
    found = await student(world, turns=40).attempt(TASKS["far"], context(1), None)
    firsts = [kinds[0] for kinds in changes(found)[1:]]
    assert len(set(firsts)) >= 4 and set(firsts) <= set(KINDS)
    assert firsts.count("empty") + firsts.count("returns") >= len(firsts) / 3, "None and an empty input make it think"


async def test_who_does_not_comply_does_not_hear(world: RefactoryWorld) -> None:
    deaf = await student(world, compliance=0.0, turns=30).attempt(TASKS["far"], context(1, "Check the order."), None)
    assert {kinds[0] for kinds in changes(deaf)[1:]} != {"order"}


async def test_it_goes_on_from_a_state_and_keeps_what_is_no_worse(world: RefactoryWorld) -> None:
    found = await student(world).attempt(TASKS["far"], context(2), WRONG)
    [before, after] = await world.run(1, [WRONG, found.output], tuple(TESTS))
    assert passed(after, TESTS) >= passed(before, TESTS)
    done = await student(world).attempt(TASKS["far"], context(2), RIGHT)
    assert done.output == RIGHT and len(done.trace) == 1, "a start that passes all is handed back"


async def test_the_given_program_is_wrong_whatever_the_tests_say(world: RefactoryWorld) -> None:
    found = await student(world).attempt(TASKS["right"], context(3), None)
    assert found.output != RIGHT and len(found.trace) > 1 and "4 of 4" in found.trace[0].text


async def test_who_overlooks_everything_ends_with_what_was_given(world: RefactoryWorld) -> None:
    found = await student(world, noise=1.0).attempt(TASKS["far"], context(4), WRONG)
    assert found.output == WRONG and found.cost.turns == 12


async def test_a_start_that_is_no_python_is_only_tested(world: RefactoryWorld) -> None:
    found = await student(world).attempt(TASKS["near"], context(5), "def search(:")
    assert found.output == "def search(:" and [event.failed for event in found.trace] == [True]


async def test_pieces_of_another_student_are_put_in(world: RefactoryWorld) -> None:
    other = "def search(a, b):\n    c = a\n    return 77\n"
    worker = RefactoryWorker(world, lambda question: (other,), noise=0.0, compliance=1.0)
    found = await worker.attempt(TASKS["near"], context(6, "Rewrite a line."), None)
    assert any("return 77" in event.arguments for event in found.trace)


async def test_no_turns_are_no_work(world: RefactoryWorld) -> None:
    found = await student(world).attempt(TASKS["near"], context(7, turns=0), None)
    assert (found.output, found.trace) == (WRONG, ())
