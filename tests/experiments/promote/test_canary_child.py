"""The real child, as a program: what it says of what it cannot do."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from experiments.promote.canary import CHILD
from experiments.promote.canary_child import Parent, tasks_of
from experiments.promote.questions import Call, Question, Reply
from signatures.errors import UsageError, WorkerError
from signatures.records import AttemptContext, AttemptResult, Steer
from tests.worlds.planted import PlantedBenchmark

TASK = PlantedBenchmark().tasks("search")[0]


def test_a_model_that_is_not_registered_is_refused_in_one_line(tmp_path: Path) -> None:
    question = Question(nonce="n", name="nobody", alias="challenger", root=str(tmp_path))
    ended = subprocess.run(
        CHILD, input=question.model_dump_json() + "\n", capture_output=True, text=True, timeout=120, check=True
    )
    (line,) = ended.stdout.splitlines()
    said = json.loads(line)
    assert (said["kind"], said["error"]) == ("refused", "StoreError")
    assert "nobody@challenger" in said["message"]


def context() -> AttemptContext:
    return AttemptContext(attempt_id="a", steer=Steer(), seed=1)


async def test_attempts_are_asked_of_the_parent_and_may_come_in_any_order() -> None:
    said: list[str] = []
    parent, lines = Parent(said.append), asyncio.StreamReader()
    listening = asyncio.create_task(parent.listen(lines))
    calls = [asyncio.create_task(parent.attempt(TASK, context(), start)) for start in ("one", "two", "three")]
    await asyncio.sleep(0)
    asked = {call.number: call.start for call in (Call.model_validate_json(line) for line in said)}
    for number in (3, 1):
        reply = Reply(number=number, result=AttemptResult(output=f"did {asked[number]}"))
        lines.feed_data(reply.model_dump_json().encode() + b"\n")
    lines.feed_data(Reply(number=2, error="the worker is down").model_dump_json().encode() + b"\n")
    assert [(await calls[n]).output for n in (0, 2)] == ["did one", "did three"]
    with pytest.raises(WorkerError, match="the worker is down"):
        await calls[1]
    lines.feed_eof()
    await listening


async def test_a_parent_that_is_gone_fails_the_attempt() -> None:
    parent, lines = Parent(lambda line: None), asyncio.StreamReader()
    call = asyncio.create_task(parent.attempt(TASK, context(), None))
    await asyncio.sleep(0)
    lines.feed_eof()
    await parent.listen(lines)
    with pytest.raises(WorkerError, match="the parent is gone"):
        await call


def test_only_tasks_of_the_search_split_are_played() -> None:
    benchmark = PlantedBenchmark()
    assert tasks_of(benchmark, [TASK.digest]) == (TASK,)
    with pytest.raises(UsageError, match="in the search split"):
        tasks_of(benchmark, [benchmark.tasks("holdout")[0].digest])
