"""The contract of benchmarks passes a sound one and finds each way in which one can be unsound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from controllers import Checker, Worker
from controllers.history import Seen
from controllers.loading import load_worker
from experiments import Benchmark
from experiments.testing import SPLITS, BenchmarkContract, attempted
from judges import Judge
from judges.testing import ScriptedJudge
from signatures.digest import digest_of
from signatures.errors import EvidenceError, UsageError
from signatures.records import AttemptResult, CheckerResult, Directive, Objective, Split, Task

if TYPE_CHECKING:
    import dspy

CORRECT = Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge")
FAMILIES: Mapping[Split, tuple[str, ...]] = {"search": ("red", "blue"), "dev": ("green",), "holdout": ("grey",)}


def task_of(name: str, benchmark: str = "toy") -> Task:
    return Task(digest=digest_of(name), benchmark=benchmark, prompt=f"Say the colour of {name}.")


@dataclass(frozen=True)
class SaysColour:
    """Passes what names a colour; `strict` says which outputs it passes."""

    objective: str = "correct"
    strict: Callable[[str], bool] = lambda output: output == "It is bright."

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        passed = self.strict(result.output)
        return CheckerResult(objective=self.objective, value=float(passed), unit="share", passed=passed, detail="seen")


@dataclass(frozen=True)
class Toy:
    """A small benchmark, each part of which a test may spoil."""

    id: str = "toy"
    objectives: tuple[Objective, ...] = (CORRECT,)
    directives: tuple[Directive, ...] = (Directive(action="look", text="Look."),)
    reference: str = "nobody measured it"
    named: Mapping[Split, tuple[str, ...]] = field(default_factory=lambda: FAMILIES)
    listed: Callable[[Sequence[Task]], Sequence[Task]] = lambda tasks: sorted(tasks, key=lambda task: task.digest)
    checker: Checker = SaysColour()
    bad_output: str = "It is dull."
    feature: str = "toy.seen"
    untried_action: str = "look"
    production: bool = False

    def tasks(self, split: Split) -> tuple[Task, ...]:
        if split == "production" and not self.production:
            raise UsageError("none")
        names = [f"{name} {n}" for name in self.named.get(split, ()) for n in range(15)]
        return tuple(self.listed([task_of(name, self.id) for name in names]))

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        if split == "production" and not self.production:
            raise UsageError("none")
        return {task_of(f"{name} {n}").digest: (name,) for name in self.named.get(split, ()) for n in range(15)}

    def worker(self, name: str | None, lm: dspy.LM | None) -> Worker:
        if name == "chat":
            raise UsageError("worker chat needs a model")
        return load_worker(name or "scripted")

    def checkers(self) -> tuple[Checker, ...]:
        return (self.checker,)

    def judge(self) -> Judge:
        return ScriptedJudge({task.digest: "It is bright." for split in SPLITS for task in self.tasks(split)})

    def features(self, history: Sequence[Seen]) -> Mapping[str, float]:
        return {self.feature: float(len(history))}

    def untried(self, history: Sequence[Seen]) -> Mapping[str, bool]:
        return {self.untried_action: not history}

    def directive_text(self, action: str, history: Sequence[Seen]) -> str:
        return {one.action: one.text for one in self.directives}[action]

    def probes(self) -> Sequence[tuple[str, Task, str, bool]]:
        task = self.tasks("search")[0]
        return [("right", task, "It is bright.", True), ("wrong", task, self.bad_output, False)]


class TestSound(BenchmarkContract):
    @pytest.fixture
    def benchmark(self) -> Benchmark:
        return Toy()


CONTRACT = BenchmarkContract()


def by_family(tasks: Sequence[Task]) -> Sequence[Task]:
    return sorted(tasks, key=lambda task: task.prompt)


@pytest.mark.parametrize(
    ("spoilt", "test"),
    [
        (replace(Toy(), listed=lambda tasks: [*tasks, *tasks]), CONTRACT.test_tasks_are_opaque_and_its_own),
        (
            replace(Toy(), listed=lambda ts: [t.model_copy(update={"digest": "red 1"}) for t in ts]),
            CONTRACT.test_tasks_are_opaque_and_its_own,
        ),
        (
            replace(Toy(), listed=lambda ts: [t.model_copy(update={"benchmark": "other"}) for t in ts]),
            CONTRACT.test_tasks_are_opaque_and_its_own,
        ),
        (replace(Toy(), named={**FAMILIES, "dev": ("red",)}), CONTRACT.test_splits_hold_out_families),
        (replace(Toy(), named={**FAMILIES, "dev": ("grey",)}), CONTRACT.test_splits_hold_out_families),
        (replace(Toy(), named={**FAMILIES, "holdout": ()}), CONTRACT.test_splits_hold_out_families),
        (replace(Toy(), listed=lambda tasks: tasks[1:]), CONTRACT.test_splits_hold_out_families),
        (replace(Toy(), listed=by_family), CONTRACT.test_a_prefix_is_a_sample),
        (replace(Toy(), objectives=(CORRECT, CORRECT)), CONTRACT.test_objectives_have_a_checker_each),
        (
            replace(Toy(), objectives=(CORRECT.model_copy(update={"over": "episode"}),)),
            CONTRACT.test_objectives_have_a_checker_each,
        ),
        (replace(Toy(), checker=SaysColour("fast")), CONTRACT.test_objectives_have_a_checker_each),
        (replace(Toy(), directives=()), CONTRACT.test_the_table_of_actions_is_small),
        (
            replace(Toy(), directives=(Directive(action="none", text="Look."),)),
            CONTRACT.test_the_table_of_actions_is_small,
        ),
        (
            replace(Toy(), directives=tuple(Directive(action=f"a{n}", text="Look.") for n in range(9))),
            CONTRACT.test_the_table_of_actions_is_small,
        ),
        (replace(Toy(), production=True), CONTRACT.test_production_is_no_split),
        (replace(Toy(), reference=""), CONTRACT.test_it_says_what_it_compares_with),
        (
            replace(Toy(), checker=SaysColour(strict=lambda output: False)),
            CONTRACT.test_the_checker_of_correct_knows_good_from_bad,
        ),
        (
            replace(Toy(), checker=SaysColour(strict=lambda output: True)),
            CONTRACT.test_the_checker_of_correct_knows_good_from_bad,
        ),
        (replace(Toy(), feature="seen"), CONTRACT.test_what_is_seen_is_told_in_its_own_words),
        (replace(Toy(), untried_action="jump"), CONTRACT.test_what_is_seen_is_told_in_its_own_words),
        (
            replace(Toy(), directives=(Directive(action="look", text=" "),)),
            CONTRACT.test_what_is_seen_is_told_in_its_own_words,
        ),
    ],
)
def test_what_is_unsound_is_found(spoilt: Toy, test: Callable[[Benchmark], None]) -> None:
    with pytest.raises(AssertionError):
        test(spoilt)


def test_a_probe_that_the_judge_sees_otherwise_is_found() -> None:
    with pytest.raises(EvidenceError, match="known-bad wrong"):
        CONTRACT.test_probes_hold(replace(Toy(), bad_output="It is bright."))


async def test_an_attempt_for_tests_has_what_the_checkers_said() -> None:
    task = Toy().tasks("dev")[0]
    seen = await attempted(Toy(), task, "It is bright.")
    check = seen.attempt.check("correct")
    assert check is not None and check.passed and seen.trace[0].text == "It is bright."
