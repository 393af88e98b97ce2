"""Several domains as one: every part is the domain's own, and only what all share may be learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.transfer.domains import domains_of
from experiments.transfer.pool import PoolBenchmark
from optimizers.space import Space
from signatures.digest import canonical_json
from signatures.errors import UsageError
from signatures.records import AttemptContext, Steer
from tests.worlds.transferred import small_transfer

CONTEXT = AttemptContext(attempt_id="a", steer=Steer(), seed=5, turns_limit=3)


@pytest.fixture
def pool(tmp_path: Path) -> PoolBenchmark:
    return PoolBenchmark(domains_of(small_transfer(tmp_path)))


def test_a_pool_offers_what_all_have(pool: PoolBenchmark) -> None:
    assert pool.legal == ("none", "fan", "rule")
    assert [one.action for one in pool.directives] == ["fan"]
    assert [one.name for one in pool.objectives] == ["correct"]
    assert {one.objective for one in pool.checkers()} == {"correct", "fast", "cheap", "clean"}
    assert len(pool.tasks("search")) == 12
    assert pool.tasks("dev") == ()
    space = Space({"correct": (0.5,), "planted.lit": (0.5,), "untried.fan": (0.5,), "untried.pump": (0.5,)}, {})
    assert set(pool.shared(space).thresholds) == {"correct", "untried.fan"}


async def test_each_task_keeps_its_own_parts(pool: PoolBenchmark) -> None:
    worker, judge = pool.worker(None, None), pool.judge()
    for domain in pool.domains:
        task = domain.train[0]
        ours, theirs = await worker.attempt(task, CONTEXT, None), await domain.ready.worker.attempt(task, CONTEXT, None)
        assert ours == theirs
        assert (await judge.judge(task, canonical_json({"broken": []}))).score == 1.0
        for checker in pool.checkers():
            (own,) = (one for one in domain.ready.benchmark.checkers() if one.objective == checker.objective)
            assert await checker.check(task, ours) == await own.check(task, ours)
        steer, _ = await pool.steers()["rule"].steer(task, [], 0)
        assert steer.text == domain.ready.benchmark.directives[0].text


def test_domains_that_share_a_training_task_are_no_pool(pool: PoolBenchmark) -> None:
    first = pool.domains[0]
    with pytest.raises(UsageError, match="share a training task"):
        PoolBenchmark([first, replace(first, name="again")])


def test_before_the_first_attempt_nobody_knows_whose_words_they_are(pool: PoolBenchmark) -> None:
    assert pool.features([]) == {}
    assert pool.untried([]) == {}
    with pytest.raises(UsageError, match="there are none"):
        pool.directive_text("fan", [])
