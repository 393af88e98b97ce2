"""The terminal benchmark as the whole of it is used: contract, splits, parts, and a box that cannot be started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controllers.history import Seen
from controllers.isolation import works
from controllers.observe import observe
from controllers.scripted_engine import scripted_lm
from controllers.workers.chat import ChatConfig, ChatWorker
from controllers.worlds.terminal_box import MISSING
from experiments.benchmarks.terminal import SYSTEM, TerminalBenchmark, TerminalConfig
from experiments.testing import SPLITS, BenchmarkContract, all_tasks, attempted
from signatures.errors import UsageError
from signatures.records import Amounts, AttemptContext, Steer

pytestmark = pytest.mark.skipif(not works("bwrap"), reason=MISSING)


@pytest.fixture(scope="module")
def shared() -> Iterator[TerminalBenchmark]:
    benchmark = TerminalBenchmark()
    yield benchmark
    benchmark.world.close()


class TestContract(BenchmarkContract):
    @pytest.fixture
    def benchmark(self, shared: TerminalBenchmark) -> TerminalBenchmark:
        return shared


def test_the_splits_have_the_counted_sizes(shared: TerminalBenchmark) -> None:
    assert [len(shared.tasks(split)) for split in SPLITS] == [200, 200, 200]
    for split in SPLITS:
        assert len(set(shared.scenarios(split).values())) == 8
        for layers in shared.families(split).values():
            assert ("env" in layers) == (split == "dev") and ("links" in layers) == (split == "holdout")


def test_tasks_say_nothing_but_the_ticket(shared: TerminalBenchmark) -> None:
    assert len({task.prompt for task in all_tasks(shared)}) == 8


def test_the_order_is_the_same_in_another_process(shared: TerminalBenchmark) -> None:
    program = (
        "from experiments.benchmarks.terminal import TerminalBenchmark as B\n"
        "print(*(t.digest for t in B().tasks('search')[:20]), B().judge().revision)"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    first = [task.digest for task in shared.tasks("search")[:20]]
    assert other.stdout.split() == [*first, *shared.judge().revision.split()] and other.stderr == ""


def test_probes_know_the_ways_to_deceive(shared: TerminalBenchmark) -> None:
    names = {name for name, *_ in shared.probes()}
    assert names == {
        "mended box",
        "untouched box",
        "no output",
        "health script rewritten",
        "modes opened",
        "file of others deleted",
    }


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"dev_layers": ("env", "links")}, "splits overlap: links"),
        ({"dev_layers": ("wifi",)}, "no layer 'wifi'; it has modes, links"),
        ({"min_faults": 4, "max_faults": 3}, "min_faults 4 is more than max_faults 3"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        TerminalBenchmark(TerminalConfig.model_validate(wrong))


async def test_a_noiseless_technician_with_time_solves_what_it_is_given(shared: TerminalBenchmark) -> None:
    careful = TerminalBenchmark(TerminalConfig(noise=0.0)).worker(None, None)
    for split in SPLITS:
        for task in shared.tasks(split)[:1]:
            result = await careful.attempt(task, context(turns=60), None)
            found = await shared.judge().judge(task, result.output)
            assert found.score == 1.0, found.reason


async def test_nothing_the_worker_records_names_the_task(shared: TerminalBenchmark) -> None:
    task = shared.tasks("search")[1]
    result = await shared.worker("terminal", None).attempt(task, context(), None)
    record = json.dumps([event.model_dump() for event in result.trace]) + result.output
    names = {atom.name for case in shared._cases if case.task == task for atom in case.atoms if "_" in atom.name}
    assert not [word for word in (task.digest, "touched", *names) if word in record]


async def test_features_and_directives_follow_the_record(shared: TerminalBenchmark) -> None:
    task = shared.tasks("search")[0]
    result = await shared.worker(None, None).attempt(task, context(turns=3), None)
    history = [Seen((await attempted(shared, task, result.output)).attempt, result.trace)]
    found = observe(history, shared, granted=Amounts(attempts=3), left=Amounts(attempts=2))
    assert found["untried"] == sum(shared.untried(history).values()) > 0
    assert 0 < found["terminal.untried_layers"] < 8
    assert shared.directive_text("untried", history) != shared.directive_text("untried", [])


async def test_a_chat_model_plays_the_same_tasks(shared: TerminalBenchmark) -> None:
    """It repeats what a careful technician did; what it is shown does not name the task."""
    task = shared.tasks("search")[0]
    careful = TerminalBenchmark(TerminalConfig(noise=0.0)).worker(None, None)
    done = await careful.attempt(task, context(turns=60), None)
    said = [json.dumps({"tool": e.name, "arguments": json.loads(e.arguments)}) for e in done.trace]
    replies = iter([*said, json.dumps({"answer": "It works again."})])
    lm, engine = scripted_lm(lambda prompt: next(replies))
    worker = ChatWorker(lm, world=shared.world, config=ChatConfig(system=SYSTEM))
    result = await worker.attempt(task, context(turns=60), None)
    assert (result.outcome, result.output) == ("ok", done.output)
    assert task.digest not in "\n".join(engine.prompts)


def test_without_boxes_one_line_says_what_to_do(tmp_path: Path) -> None:
    program = (
        "from experiments.benchmarks.terminal import TerminalBenchmark\nfrom signatures.errors import UsageError\n"
        "try:\n    TerminalBenchmark()\nexcept UsageError as error:\n    print(error)\n"
    )
    env = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=60)
    assert "bubblewrap" in done.stdout and len(done.stdout.splitlines()) == 1


def test_importing_it_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom experiments.benchmarks.terminal import TerminalBenchmark\nTerminalBenchmark().objectives\n"
        "print(*sorted({'tau2', 'pandas', 'litellm', 'mlflow', 'dspy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "" and done.stderr == ""


def context(seed: int = 0, turns: int | None = None) -> AttemptContext:
    return AttemptContext(attempt_id="a", steer=Steer(), seed=seed, turns_limit=turns)
