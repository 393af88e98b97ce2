"""Contract suite for benchmarks: subclass it, give the fixture `benchmark`, and pytest runs it on your adapter."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Final

from controllers.history import Seen
from controllers.observe import observe
from controllers.testing import refused
from experiments import Benchmark
from judges.probes import run_probes
from judges.stability import rejudge
from signatures.digest import DIGEST_CHARS, digest_text
from signatures.errors import UsageError
from signatures.records import (
    Amounts,
    Attempt,
    AttemptResult,
    CheckerResult,
    Cost,
    Split,
    Steer,
    Task,
    TraceEvent,
    WorkerFingerprint,
)

SPLITS: Final[tuple[Split, ...]] = ("search", "dev", "holdout")
WORDS: Final = ("correct", "fast", "secure", "cheap", "clean")
RESERVED: Final = frozenset(("none", "placebo", "rule", "report", "text"))
"""Words that a steer's action has without any table."""
MOST_ACTIONS: Final = 8
PREFIX: Final = 20


class BenchmarkContract:
    """Subclass it in a test as `class TestMine(BenchmarkContract)` with a fixture `benchmark` that returns yours.

    No test changes the benchmark: the fixture may hand on one that a fixture of module scope has made.
    """

    def test_tasks_are_opaque_and_its_own(self, benchmark: Benchmark) -> None:
        """Digests are hexadecimal, unique over all splits and not in a prompt; asking again gives the same tasks."""
        tasks = all_tasks(benchmark)
        assert len({task.digest for task in tasks}) == len(tasks), "two tasks have one digest"
        for task in tasks:
            assert task.benchmark == benchmark.id, f"task {task.digest} is of {task.benchmark!r}"
            assert len(task.digest) == DIGEST_CHARS and not set(task.digest) - set("0123456789abcdef"), task.digest
            assert task.prompt.strip() and task.digest not in task.prompt, f"the prompt of {task.digest}"
        assert tasks == all_tasks(benchmark), "asked again, the tasks are others"

    def test_splits_hold_out_families(self, benchmark: Benchmark) -> None:
        """Every split has tasks; every task of a held-out split has a family that no task of another split has.

        Where a task has one family, that is: splits are disjoint by family.
        """
        families = {split: benchmark.families(split) for split in SPLITS}
        named = {split: {name for names in families[split].values() for name in names} for split in SPLITS}
        for split in SPLITS:
            digests = {task.digest for task in benchmark.tasks(split)}
            assert digests, f"{split} has no task"
            assert set(families[split]) == digests, f"{split}: families are given for other tasks than there are"
            assert all(families[split].values()), f"{split}: a task without a family"
        for split in SPLITS[1:]:
            elsewhere = {name for other in SPLITS if other != split for name in named[other]}
            leaked = [digest for digest, names in families[split].items() if set(names) <= elsewhere]
            assert not leaked, f"{split}: {len(leaked)} tasks have no family of their own split, {leaked[0]} for one"

    def test_a_prefix_is_a_sample(self, benchmark: Benchmark) -> None:
        """Tasks are in order of digest; the first twenty are of more than one family where the split has several."""
        for split in SPLITS:
            digests = [task.digest for task in benchmark.tasks(split)]
            assert digests == sorted(digests), f"{split} is not in order of digest"
            families = benchmark.families(split)
            if len(set(families.values())) > 1:
                assert len({families[digest] for digest in digests[:PREFIX]}) > 1, f"{split}: one family comes first"

    def test_production_is_no_split(self, benchmark: Benchmark) -> None:
        """Production brings its own tasks."""
        for ask in (benchmark.tasks, benchmark.families):
            with refused(UsageError):
                ask("production")

    def test_objectives_have_a_checker_each(self, benchmark: Benchmark) -> None:
        """`correct` is first and the judge's; names are of the five words, and the checkers have them in order."""
        names = [objective.name for objective in benchmark.objectives]
        assert names[0] == "correct" and benchmark.objectives[0].over == "judge", names
        assert len(set(names)) == len(names) and set(names) <= set(WORDS), names
        assert [checker.objective for checker in benchmark.checkers()] == names, "one checker for each objective"

    def test_the_table_of_actions_is_small(self, benchmark: Benchmark) -> None:
        """At most eight actions with a text each, none of which has a name that steers have without a table."""
        actions = [directive.action for directive in benchmark.directives]
        assert 0 < len(actions) <= MOST_ACTIONS and len(set(actions)) == len(actions), actions
        assert not RESERVED & set(actions), actions
        assert all(directive.text.strip() for directive in benchmark.directives), "a directive without a text"

    def test_workers_are_asked_for_by_name(self, benchmark: Benchmark) -> None:
        """`chat` without a model and an unknown name are the caller's mistakes."""
        for name in ("chat", "no_such_worker"):
            with refused(UsageError):
                benchmark.worker(name, None)

    def test_it_says_what_it_compares_with(self, benchmark: Benchmark) -> None:
        """The reference is one line."""
        assert benchmark.reference.strip() and "\n" not in benchmark.reference

    def test_probes_hold(self, benchmark: Benchmark) -> None:
        """The judge passes what is good and fails what is bad, and a claim of success changes neither."""
        report = asyncio.run(run_probes(benchmark.judge(), benchmark.probes()))
        assert report.judge == benchmark.judge().revision, "another instance of the judge has another revision"

    def test_the_checker_of_correct_knows_good_from_bad(self, benchmark: Benchmark) -> None:
        """It passes every good probe and fails one bad probe or more."""
        probes = benchmark.probes()
        found = [(name, good, asyncio.run(checked(benchmark, task, out))[0]) for name, task, out, good in probes]
        missed = [f"{name}: {check.detail}" for name, good, check in found if good and check.passed is not True]
        assert not missed, f"good outputs that the checker does not pass: {missed}"
        assert any(check.passed is False for _, good, check in found if not good), "it fails none of the bad outputs"

    def test_judging_again_is_stable(self, benchmark: Benchmark) -> None:
        """A judge that claims to be deterministic says the same of a good and of a bad output again."""
        by_worth = {good: (task, output) for _, task, output, good in benchmark.probes()}
        stability = asyncio.run(rejudge(benchmark.judge(), list(by_worth.values()), times=2))
        assert stability.n == len(by_worth) == 2, f"only {stability.n} of {len(by_worth)} outputs could be judged twice"

    def test_no_prompt_holds_the_answer(self, benchmark: Benchmark) -> None:
        """A good output is not in its own prompt."""
        for name, task, output, good in benchmark.probes():
            assert not (good and output.strip() in task.prompt), f"{name}: the prompt holds it"

    def test_what_is_seen_is_told_in_its_own_words(self, benchmark: Benchmark) -> None:
        """Features, untried actions and directive texts: of no attempt, and of one that failed or passed."""
        actions = {directive.action for directive in benchmark.directives}
        probes = benchmark.probes()[:4]
        for history in ((), *((asyncio.run(attempted(benchmark, task, out)),) for _, task, out, _ in probes)):
            own = benchmark.features(history)
            strange = [f for f, v in own.items() if not f.startswith(f"{benchmark.id}.") or not math.isfinite(v)]
            assert not strange, f"features: {strange}"
            assert set(benchmark.untried(history)) <= actions, "something untried is no action of the table"
            assert own.items() <= _observed(benchmark, history).items(), "a feature of its own hides a common one"
            texts = {action: benchmark.directive_text(action, history) for action in sorted(actions)}
            assert all(text.strip() for text in texts.values()), texts


def all_tasks(benchmark: Benchmark) -> tuple[Task, ...]:
    """The tasks of the three splits, one after the other."""
    return tuple(task for split in SPLITS for task in benchmark.tasks(split))


async def checked(benchmark: Benchmark, task: Task, output: str) -> tuple[CheckerResult, ...]:
    """What each checker says of an output, in the order of the objectives."""
    result = AttemptResult(output=output, cost=Cost(turns=1, tokens_in=100, tokens_out=100))
    return tuple([await checker.check(task, result) for checker in benchmark.checkers()])


async def attempted(benchmark: Benchmark, task: Task, output: str) -> Seen:
    """A first attempt that said `output` in one message, with what the checkers found."""
    attempt = Attempt(
        id=digest_text(f"{task.digest} {output}"),
        episode_id="contract",
        round=0,
        index=0,
        task_digest=task.digest,
        benchmark=task.benchmark,
        worker=WorkerFingerprint(name="contract"),
        steer=Steer(),
        output_digest=digest_text(output),
        checks=await checked(benchmark, task, output),
        outcome="ok",
        cost=Cost(turns=1),
    )
    return Seen(attempt, (TraceEvent(turn=0, kind="message", name="assistant", text=output),))


def _observed(benchmark: Benchmark, history: Sequence[Seen]) -> Mapping[str, float]:
    return observe(history, benchmark, granted=Amounts(attempts=3), left=Amounts(attempts=3 - len(history)))
