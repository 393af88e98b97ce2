"""The refactory benchmark as the whole of it is used: splits, tasks, parts, probes and the missing extra."""

from __future__ import annotations

import subprocess
import sys

import pytest

from controllers.scripted_engine import scripted_lm
from controllers.workers.chat import ChatWorker
from controllers.worlds.refactory import passed
from controllers.worlds.refactory_questions import QUESTIONS
from experiments.benchmarks.refactory import RIGHT, RefactoryBenchmark, RefactoryConfig, table_of
from experiments.testing import SPLITS, BenchmarkContract, all_tasks, checked
from judges.refactory import STEPS
from signatures.errors import UsageError
from signatures.records import AttemptContext, Steer


@pytest.fixture(scope="module")
def bench() -> RefactoryBenchmark:
    return RefactoryBenchmark()


class TestContract(BenchmarkContract):
    @pytest.fixture
    def benchmark(self, bench: RefactoryBenchmark) -> RefactoryBenchmark:
        return bench


def test_the_splits_have_the_measured_sizes(bench: RefactoryBenchmark) -> None:
    assert {split: len(bench.tasks(split)) for split in SPLITS} == {"search": 849, "dev": 263, "holdout": 333}
    assert len(RIGHT) == 11 and not RIGHT & {task.digest for task in all_tasks(bench)}


def test_splits_are_questions(bench: RefactoryBenchmark) -> None:
    questions = {split: {names[0] for names in bench.families(split).values()} for split in SPLITS}
    assert questions["dev"] == {"question 3"} and questions["holdout"] == {"question 2"}
    assert questions["search"] == {"question 1", "question 4", "question 5"}
    other = RefactoryBenchmark(RefactoryConfig(dev_questions=(5,), holdout_questions=(1, 4)))
    assert len(other.tasks("dev")) == 105
    assert set(all_tasks(other)) == set(all_tasks(bench)), "a digest does not depend on options"


@pytest.mark.parametrize(
    ("dev", "holdout", "named"),
    [
        ((3,), (3,), "splits overlap: question 3"),
        ((6,), (2,), "no question 6; it has 1, 2, 3, 4, 5"),
        ((), (2,), "need a question each"),
        ((1, 2, 3), (4, 5), "need a question each"),
    ],
)
def test_options_that_cannot_be_are_refused(dev: tuple[int, ...], holdout: tuple[int, ...], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        RefactoryBenchmark(RefactoryConfig(dev_questions=dev, holdout_questions=holdout))


async def test_a_table_of_the_visible_tests_deceives_the_checker_alone(bench: RefactoryBenchmark) -> None:
    for task in (bench.tasks("search")[0], bench.tasks("dev")[0]):
        tests = bench.world.tests(bench.world.exercise(task.digest).question)
        assert (await checked(bench, task, table_of(tests)))[0].passed
        judged = await bench.judge().judge(task, table_of(tests))
        assert judged.score == 0.0 and judged.parts["visible"]


async def test_the_student_repairs_some_of_the_programs(bench: RefactoryBenchmark) -> None:
    worker, judge = bench.worker(None, None), bench.judge()
    scores = []
    for task in bench.tasks("search")[:10]:
        result = await worker.attempt(task, AttemptContext(attempt_id="a", steer=Steer(), seed=1), None)
        scores.append((await judge.judge(task, result.output)).score)
    assert 0 < sum(score or 0.0 for score in scores) < len(scores)


async def test_chat_answers_with_a_program(bench: RefactoryBenchmark) -> None:
    task, good = next((task, output) for name, task, output, _ in bench.probes() if name == "reference")
    worker = bench.worker("chat", scripted_lm(lambda prompt: good)[0])
    assert isinstance(worker, ChatWorker)
    result = await worker.attempt(task, AttemptContext(attempt_id="a", steer=Steer(), seed=1), None)
    checks = await checked(bench, task, result.output)
    assert checks[0].passed and [check.objective for check in checks] == ["correct", "fast", "secure", "clean"]
    assert (await bench.judge().judge(task, result.output)).score == 1.0


def test_the_order_is_the_same_in_another_process_and_nothing_is_imported(bench: RefactoryBenchmark) -> None:
    program = (
        "import sys\nfrom experiments.benchmarks.refactory import RefactoryBenchmark as B\n"
        "print(*(t.digest for t in B().tasks('dev')[:20]))\n"
        "assert 'debugging_benchmark' not in sys.modules"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert other.stdout.split() == [task.digest for task in bench.tasks("dev")[:20]]


def test_the_missing_extra_is_named() -> None:
    """In a process whose packages are all there but this one."""
    program = (
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'debugging_benchmark' else real(name, package)\n"
        "from experiments.benchmarks.refactory import RefactoryBenchmark as B\n"
        "from signatures.errors import UsageError\n"
        "try:\n    B()\nexcept UsageError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert "tiller[refactory]" in done.stdout and "debugging-benchmark" in done.stdout


@pytest.mark.slow
async def test_only_the_right_ones_are_left_out(bench: RefactoryBenchmark) -> None:
    """Every distinct wrong program on all tests: `RIGHT` is what passes all, and a part deceives the visible ones."""
    right, deceiving = set[str](), 0
    for number in QUESTIONS:
        cases = list(bench.programs(number).items())
        groups = {"visible": bench.world.tests(number), **bench.hidden(number)}
        tests = {call: answer for group in groups.values() for call, answer in group.items()}
        for at in range(0, len(cases), 100):
            chunk = cases[at : at + 100]
            reports = await bench.world.run(number, [program for _, program in chunk], tuple(tests), steps=STEPS)
            for (digest, _), report in zip(chunk, reports, strict=True):
                visible = passed(report[: len(groups["visible"])], groups["visible"]) == len(groups["visible"])
                if passed(report, tests) == len(tests):
                    right.add(digest)
                else:
                    deceiving += visible
    assert right == RIGHT
    assert deceiving == 98
