"""The telecom benchmark as the whole of it is used: splits, tasks, parts, probes and the missing extra."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from controllers.history import Seen
from controllers.observe import observe
from controllers.scripted_engine import scripted_lm
from controllers.workers.chat import ChatConfig, ChatWorker
from experiments import Benchmark
from experiments.benchmarks.telecom import SYSTEM, TelecomBenchmark, TelecomConfig
from experiments.config import merge
from experiments.testing import SPLITS, BenchmarkContract, all_tasks
from judges.probes import run_probes
from signatures.errors import UsageError
from signatures.records import (
    Amounts,
    Attempt,
    AttemptContext,
    AttemptResult,
    Steer,
    Task,
    WorkerFingerprint,
)

DEV, HOLDOUT = {"wifi_calling", "vpn"}, {"apn"}


@pytest.fixture(scope="module")
def bench() -> TelecomBenchmark:
    return TelecomBenchmark()


class TestContract(BenchmarkContract):
    @pytest.fixture
    def benchmark(self, bench: TelecomBenchmark) -> Benchmark:
        return bench


def test_it_is_a_benchmark(bench: TelecomBenchmark) -> None:
    benchmark: Benchmark = bench
    assert benchmark.id == "telecom" and len(benchmark.directives) == 8
    assert [objective.name for objective in benchmark.objectives] == ["correct", "fast", "secure", "cheap", "clean"]
    assert [checker.objective for checker in benchmark.checkers()] == [o.name for o in benchmark.objectives]
    assert "2506.07982" in benchmark.reference


def test_the_splits_have_the_measured_sizes(bench: TelecomBenchmark) -> None:
    assert [len(bench.tasks(split)) for split in SPLITS] == [558, 575, 458]
    assert [len(bench.hidden(split)) for split in SPLITS] == [282, 266, 212]


def test_splits_are_disjoint_by_layer(bench: TelecomBenchmark) -> None:
    for split in SPLITS:
        for layers in bench.families(split).values():
            assert bool(DEV & set(layers)) == (split == "dev")
            assert bool(HOLDOUT & set(layers)) == (split == "holdout")


def test_tasks_say_nothing_but_the_ticket(bench: TelecomBenchmark) -> None:
    prompts = {task.prompt for task in all_tasks(bench)}
    assert len(prompts) == 5
    for task in bench.tasks("search"):
        assert task.benchmark == "telecom" and len(task.digest) == 24 and int(task.digest, 16) >= 0
    fault_words = ("airplane", "SIM", "APN", "VPN", "permissions", "saver", "roaming", "overdue bill is", "suspended")
    assert not [word for word in fault_words for prompt in prompts if word in prompt]


def test_the_order_is_by_digest_and_the_same_in_another_process(bench: TelecomBenchmark) -> None:
    digests = [task.digest for task in bench.tasks("search")]
    assert digests == sorted(digests)
    program = (
        "from experiments.benchmarks.telecom import TelecomBenchmark as B\n"
        "print(*(t.digest for t in B().tasks('search')[:20]))"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert other.stdout.split() == digests[:20]
    assert other.stderr == ""


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"dev_layers": ("apn", "vpn")}, "splits overlap: apn"),
        ({"dev_layers": ("wifi",)}, "no layer 'wifi'; it has radio, sim"),
        ({"holdout_layers": ("bills",)}, "no layer 'bills'"),
        ({"min_faults": 4, "max_faults": 3}, "min_faults 4 is more than max_faults 3"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        TelecomBenchmark(TelecomConfig.model_validate(wrong))


def test_options_come_from_a_file_and_move_the_splits(tmp_path: Path, bench: TelecomBenchmark) -> None:
    file = tmp_path / "telecom.toml"
    file.write_text('dev_layers = ["usage"]\nholdout_layers = ["mode"]\nmax_faults = 3\n', encoding="utf-8")
    other = TelecomBenchmark(merge(TelecomConfig, file, ["compliance=0.5"]))
    assert other.worker(None, None).fingerprint.params["compliance"] == "0.5"
    for split in SPLITS:
        assert other.tasks(split)
        assert all(("usage" in layers) == (split == "dev") for layers in other.families(split).values())
        assert all(("mode" in layers) == (split == "holdout") for layers in other.families(split).values())
    assert set(all_tasks(other)) & set(all_tasks(bench)), "a digest does not depend on options"
    with pytest.raises(UsageError, match="noise"):
        merge(TelecomConfig, overrides=["noise=2"])


def test_there_are_no_production_tasks(bench: TelecomBenchmark) -> None:
    for ask in (bench.tasks, bench.families, bench.hidden):
        with pytest.raises(UsageError, match="no production tasks"):
            ask("production")


async def test_probes_hold_on_the_real_judge(bench: TelecomBenchmark) -> None:
    probes = bench.probes()
    good = [task.digest for _, task, _, must_pass in probes if must_pass]
    assert len(set(good)) == 6
    assert {name for name, *_ in probes} == {"gold actions", "untouched state", "no output", "refuelled 1 GB"}
    report = await run_probes(bench.judge(), probes)
    assert report.judge == bench.judge().revision


async def test_the_smaller_refuelling_is_one_that_no_checker_sees(bench: TelecomBenchmark) -> None:
    checker = bench.checkers()[0]
    fooled = [
        await checker.check(task, AttemptResult(output=output))
        for name, task, output, _ in bench.probes()
        if name == "refuelled 1 GB"
    ]
    assert fooled and all(found.passed for found in fooled)


async def test_a_noiseless_technician_with_time_solves_what_it_is_given(bench: TelecomBenchmark) -> None:
    worker = TelecomBenchmark(TelecomConfig(noise=0.0)).worker(None, None)
    judge = bench.judge()
    for split in SPLITS:
        for task in bench.tasks(split)[:25]:
            result = await worker.attempt(task, context(turns=60), None)
            assert (await judge.judge(task, result.output)).score == 1.0


async def test_every_beginning_fails_and_shows_its_symptom(bench: TelecomBenchmark) -> None:
    judge, checker = bench.judge(), bench.checkers()[0]
    for task in [task for split in SPLITS for task in bench.tasks(split)[:40]]:
        output = bench.world.beginning(task.digest)
        assert (await judge.judge(task, output)).score == 0.0
        assert (await checker.check(task, AttemptResult(output=output))).passed is False


async def test_nothing_the_worker_records_names_the_task_or_its_faults(bench: TelecomBenchmark) -> None:
    worker = bench.worker("telecom", None)
    for task in bench.tasks("search")[:10]:
        result = await worker.attempt(task, context(), None)
        record = json.dumps([event.model_dump() for event in result.trace]) + result.output
        assert not [
            word for word in ("PERSONA", "_issue", "assert_", task.digest, "unseat", "break_") if word in record
        ]


async def test_scales_leave_room_at_both_ends(bench: TelecomBenchmark) -> None:
    """Means of three fresh attempts, which is as much as an episode may spend."""
    worker, checkers = bench.worker(None, None), bench.checkers()
    tasks = bench.tasks("search")[:40]
    totals = dict.fromkeys((o.name for o in bench.objectives), 0.0)
    for task in tasks:
        for seed in range(3):
            result = await worker.attempt(task, context(seed), None)
            for checker in checkers:
                totals[checker.objective] += (await checker.check(task, result)).value or 0.0
    scaled = {o.name: o.scaled(totals[o.name] / len(tasks)) for o in bench.objectives[1:]}
    assert all(0.1 < value < 0.99 for value in scaled.values()), scaled


async def test_features_and_directives_follow_the_record(bench: TelecomBenchmark) -> None:
    task = bench.tasks("search")[0]
    result = await bench.worker(None, None).attempt(task, context(), None)
    history = [Seen(attempt_of(task, result), result.trace)]
    found = observe(history, bench, granted=Amounts(attempts=3), left=Amounts(attempts=2))
    assert found["untried"] == sum(bench.untried(history).values()) > 0
    assert 0 < found["telecom.untried_layers"] < 12
    assert bench.directive_text("untried", history) != bench.directive_text("untried", [])
    assert set(bench.untried(history)) <= {directive.action for directive in bench.directives}


def test_other_workers_are_found_by_name(bench: TelecomBenchmark) -> None:
    assert bench.worker("scripted", None).fingerprint.name == "scripted"
    with pytest.raises(UsageError, match="telecon"):
        bench.worker("telecon", None)


async def test_a_chat_model_plays_the_same_tasks(bench: TelecomBenchmark) -> None:
    """It repeats what a careful technician did; what it is shown names neither the task nor its faults."""
    task = bench.tasks("search")[0]
    careful = TelecomBenchmark(TelecomConfig(noise=0.0)).worker(None, None)
    done = await careful.attempt(task, context(turns=60), None)
    said = [json.dumps({"tool": e.name, "arguments": json.loads(e.arguments)}) for e in done.trace]
    replies = iter([*said, json.dumps({"answer": "It works again."})])
    lm, engine = scripted_lm(lambda prompt: next(replies))
    worker = ChatWorker(lm, world=bench.world, config=ChatConfig(system=SYSTEM))
    result = await worker.attempt(task, context(turns=60), None)
    assert (result.outcome, result.output) == ("ok", done.output)
    assert (await bench.judge().judge(task, result.output)).score == 1.0
    checks = {c.objective: (await c.check(task, result)).value for c in bench.checkers()}
    assert checks == {c.objective: (await c.check(task, done)).value for c in bench.checkers()}
    history = [[Seen(attempt_of(task, r), r.trace)] for r in (result, done)]
    assert bench.features(history[0]) == bench.features(history[1])
    shown = "\n".join(engine.prompts)
    assert not [word for word in ("PERSONA", "_issue", "assert_", task.digest, "unseat", "break_") if word in shown]


def test_without_tau2_one_line_says_what_to_run() -> None:
    program = (
        "import sys; sys.modules['tau2'] = None\n"
        "from experiments.benchmarks.telecom import TelecomBenchmark\n"
        "from signatures.errors import UsageError\n"
        "try:\n    TelecomBenchmark()\nexcept UsageError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "`uv sync --group telecom`" in done.stdout and "pip install 'tiller[telecom]'" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_importing_and_making_it_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom experiments.benchmarks.telecom import TelecomBenchmark\nTelecomBenchmark().objectives\n"
        "print(*sorted({'tau2', 'pandas', 'litellm', 'mlflow', 'dspy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "" and done.stderr == ""


def context(seed: int = 0, turns: int | None = None) -> AttemptContext:
    return AttemptContext(attempt_id="a", steer=Steer(), seed=seed, turns_limit=turns)


def attempt_of(task: Task, result: AttemptResult) -> Attempt:
    return Attempt(
        id="a",
        episode_id="e",
        round=0,
        index=0,
        task_digest=task.digest,
        benchmark=task.benchmark,
        worker=WorkerFingerprint(name="telecom"),
        steer=Steer(),
        outcome="ok",
        cost=result.cost,
    )
