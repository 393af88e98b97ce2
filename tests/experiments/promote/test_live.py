"""What the parent makes of live tasks: it runs the worker, and derives the episodes that must be on record."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from controllers.corpus import SqliteCorpus
from controllers.loop import run_episode
from controllers.policies.lm import LMPolicy
from controllers.program import Controller, controller_of
from controllers.release import Champion
from controllers.scripted_engine import scripted_lm
from experiments.promote.live import Witness, lines_of, live_parts, problems
from experiments.promote.questions import Call, canary_spec
from optimizers.promotion import write_release
from signatures.errors import WorkerError
from signatures.records import AttemptContext, AttemptResult, Decision, Steer, Task, WorkerFingerprint
from tests.worlds.lab import lamp_follower
from tests.worlds.planted import CountingWorker, PlantedBenchmark
from tests.worlds.released import promotion_of, released

BENCHMARK = PlantedBenchmark()
TASKS: Mapping[str, Task] = {task.digest: task for task in BENCHMARK.tasks("search")[:3]}


class Through(NamedTuple):
    """A worker that asks the witness, as a child does."""

    witness: Witness

    @property
    def fingerprint(self) -> WorkerFingerprint:
        return self.witness.worker.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        reply = await self.witness.call(Call(number=1, task=task.digest, context=context, start=start))
        if reply.result is None:
            raise WorkerError(reply.error)
        return reply.result


def witness(most: int = 100, fails: bool = False) -> Witness:
    inner = BENCHMARK.worker(None, None)
    error = ValueError("out of order")
    worker = CountingWorker(inner, (lambda task, call: error) if fails else (lambda task, call: None))
    return Witness(worker, TASKS, most=most)


async def play(champion: Champion, seen: Witness, corpus: Path) -> None:
    with closing(SqliteCorpus(corpus)) as kept:
        parts = live_parts(champion, BENCHMARK, worker=Through(seen), corpus=kept, lm=None)
        for task in TASKS.values():
            await run_episode(canary_spec(champion, task, "n"), parts)


async def test_what_the_compiled_candidate_played_is_as_derived(tmp_path: Path) -> None:
    champion, seen = released(tmp_path / "r", lamp_follower()), witness()
    await play(champion, seen, tmp_path / "c.db")
    assert await problems(champion, BENCHMARK, seen, nonce="n", corpus=tmp_path / "c.db") == ()
    assert seen.calls == len(seen.given) >= len(TASKS)


async def test_another_nonce_or_no_corpus_is_a_problem(tmp_path: Path) -> None:
    champion, seen = released(tmp_path / "r", lamp_follower()), witness()
    await play(champion, seen, tmp_path / "c.db")
    found = await problems(champion, BENCHMARK, seen, nonce="another", corpus=tmp_path / "c.db")
    assert "the worker was never called" in found[0] or "is not on record" in found[0]
    assert await problems(champion, BENCHMARK, seen, nonce="n", corpus=tmp_path / "no.db") == (
        "no episode is on record: 3 tasks were to be played",
    )


def asking(script: str) -> Controller:
    lm, _ = scripted_lm(lambda prompt: f"[[ ## action ## ]]\n{script}\n\n[[ ## confidence ## ]]\n0.8\n")
    rules = controller_of(lamp_follower()).policies
    return Controller(stop=rules["stop"], topology=rules["topology"], steer=LMPolicy("steer", lm))


async def test_a_models_decision_is_recalled_and_a_fallbacks_is_found(tmp_path: Path) -> None:
    controller = asking("core")
    promotion = replace(
        promotion_of(lamp_follower()), controller=controller, report=promotion_of(lamp_follower()).report
    )
    champion = Champion(write_release(tmp_path / "r", promotion, at_s=0.0), controller, {}, "")
    seen = witness()
    await play(champion, seen, tmp_path / "c.db")
    assert await problems(champion, BENCHMARK, seen, nonce="n", corpus=tmp_path / "c.db") == ()
    down = witness()
    posing = Champion(champion.release, controller_of(lamp_follower()), {}, "")
    await play(posing, down, tmp_path / "d.db")
    assert await problems(champion, BENCHMARK, down, nonce="n", corpus=tmp_path / "d.db")


async def test_a_model_that_says_something_else_each_time_is_no_problem(tmp_path: Path) -> None:
    """Two tasks pass the same state, and the model sees the task too."""
    sure = (f"0.{50 + 7 * number % 50}" for number in count(1))
    lm, engine = scripted_lm(lambda _: f"[[ ## action ## ]]\nfanout_1\n\n[[ ## confidence ## ]]\n{next(sure)}\n")
    rules = controller_of(lamp_follower()).policies
    controller = Controller(stop=rules["stop"], topology=LMPolicy("topology", lm), steer=rules["steer"])
    promotion = replace(promotion_of(lamp_follower()), controller=controller)
    champion = Champion(write_release(tmp_path / "r", promotion, at_s=0.0), controller, {}, "")
    seen = witness()
    await play(champion, seen, tmp_path / "c.db")
    with closing(SqliteCorpus(tmp_path / "c.db")) as kept:
        asked = [one async for one in kept.scan(Decision) if one.tier != "rule"]
    states = {(tuple(sorted(one.features.items())), one.legal) for one in asked}
    assert len(engine.prompts) == len(asked) > len(states)
    assert await problems(champion, BENCHMARK, seen, nonce="n", corpus=tmp_path / "c.db") == ()


async def test_a_worker_that_fails_is_told_and_not_scored(tmp_path: Path) -> None:
    seen = witness(fails=True)
    task = next(iter(TASKS.values()))
    reply = await seen.call(Call(number=1, task=task.digest, context=context(), start=None))
    assert reply.result is None and "out of order" in reply.error
    assert seen.given == {}


def context() -> AttemptContext:
    return AttemptContext(attempt_id="a", steer=Steer(), seed=1)


async def test_a_child_may_not_ask_for_other_tasks_nor_for_ever() -> None:
    seen = witness(most=1)
    strange = await seen.call(Call(number=1, task="of the holdout", context=context()))
    assert "none of this canary's" in strange.error
    first, second = [await seen.call(Call(number=n, task=next(iter(TASKS)), context=context())) for n in (2, 3)]
    assert first.result is not None
    assert "has had its 1 attempts" in second.error


@pytest.mark.parametrize(("many", "last"), [(2, "p1"), (9, "and 4 more")])
def test_long_evidence_is_cut(many: int, last: str) -> None:
    assert list(lines_of([f"p{n}" for n in range(many)]))[-1] == last
