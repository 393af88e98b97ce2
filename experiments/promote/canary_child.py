"""The canary: a fresh process that loads the release as production does, answers states, and plays live tasks.

`python -m experiments.promote.canary_child` reads a question from stdin and writes what it did to stdout, a JSON object
a line; the attempts of its live tasks are asked of the parent in between. It keeps no cache and is told no answer.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controllers import Worker
from experiments.promote.questions import SAID, Answer, Call, Question, Refused, Reply, Said, answers_to, canary_spec
from signatures.errors import TillerError, UsageError, WorkerError
from signatures.records import AttemptContext, AttemptResult, Task, WorkerFingerprint

if TYPE_CHECKING:
    import dspy

    from controllers.release import Champion
    from experiments import Benchmark

LONGEST: Final = 64 * 1024 * 1024
"""Bytes of a line: an attempt with its trace, and room to spare."""


Work = Callable[[Question, "Parent"], Awaitable[Answer]]
"""From a question to its answer."""


@dataclass
class Parent:
    """The other end: lines go out to `out`, replies are handed to whoever waits for them."""

    out: Callable[[str], object]
    waiting: dict[int, asyncio.Future[Reply]] = field(default_factory=dict)
    asked: int = 0

    def say(self, said: Said) -> None:
        """One line."""
        self.out(SAID.dump_json(said).decode() + "\n")

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """The parent's worker does it. Raises WorkerError with what the parent says stands against it."""
        self.asked += 1
        number = self.asked
        self.waiting[number] = coming = asyncio.get_running_loop().create_future()
        self.say(Call(number=number, task=task.digest, context=context, start=start))
        reply: Reply = await coming
        if reply.result is None:
            raise WorkerError(reply.error)
        return reply.result

    async def listen(self, lines: asyncio.StreamReader) -> None:
        """Hand out replies until the parent is gone; then whoever waits is told."""
        try:
            while line := await lines.readline():
                reply = Reply.model_validate_json(line)
                self.waiting.pop(reply.number).set_result(reply)
        finally:
            for coming in self.waiting.values():
                coming.set_exception(WorkerError("the parent is gone"))


@dataclass(frozen=True)
class ParentsWorker:
    """The released worker, called in the parent."""

    parent: Parent
    fingerprint: WorkerFingerprint
    "of the worker as this process makes it"

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """As `Parent.attempt`."""
        return await self.parent.attempt(task, context, start)


@dataclass(frozen=True)
class Place:
    """What a question names, made in this process."""

    benchmark: Benchmark | None
    lm: dspy.LM | None
    worker: Worker | None

    @classmethod
    def of(cls, question: Question, parent: Parent) -> Place:
        """Raises UsageError for a benchmark, worker or model that is not there."""
        from experiments.catalogue import load_benchmark
        from experiments.wiring import model_of

        lm = model_of(question.lm, question.api_base)
        if question.benchmark is None:
            return cls(None, lm, None)
        benchmark = load_benchmark(question.benchmark, question.options)
        worker_lm = model_of(question.worker_lm, question.api_base) or lm if question.worker == "chat" else None
        made = benchmark.worker(question.worker, worker_lm)
        return cls(benchmark, lm, ParentsWorker(parent, made.fingerprint))


def champion_of(question: Question, place: Place) -> Champion:
    """The release that the alias names, loaded as production loads it, with nothing cached. Raises TillerError."""
    from controllers.release import Here, load_champion
    from experiments.registry import RegistrySource
    from experiments.tracking import store_of

    source = RegistrySource(question.name, question.alias, store_of(Path(question.root)))
    worker = None if place.worker is None else place.worker.fingerprint
    return load_champion(source, Here(lm=place.lm, worker=worker, name=question.name))


async def played(question: Question, champion: Champion, place: Place) -> tuple[str, ...]:
    """Play the live tasks, one after the other, into the question's corpus; the episodes' ids. Raises TillerError."""
    from controllers.corpus import SqliteCorpus
    from controllers.loop import run_episode
    from experiments.promote.live import live_parts

    if not question.tasks or place.benchmark is None or place.worker is None:
        return ()
    tasks = tasks_of(place.benchmark, question.tasks)
    with closing(SqliteCorpus(Path(question.corpus))) as corpus:
        parts = live_parts(champion, place.benchmark, worker=place.worker, corpus=corpus, lm=place.lm)
        episodes = [(await run_episode(canary_spec(champion, task, question.nonce), parts)).episode for task in tasks]
    return tuple(episode.id for episode in episodes)


def tasks_of(benchmark: Benchmark, digests: Sequence[str]) -> tuple[Task, ...]:
    """The tasks of the search split with these digests. Raises UsageError for one that is not there."""
    known = {task.digest: task for task in benchmark.tasks("search")}
    if strange := [digest for digest in digests if digest not in known]:
        raise UsageError(f"{benchmark.id}: no task {strange[0]} in the search split")
    return tuple(known[digest] for digest in digests)


async def answer(question: Question, parent: Parent) -> Answer:
    """Load, answer the states, play the tasks. Raises TillerError."""
    place = Place.of(question, parent)
    champion = champion_of(question, place)
    states = await answers_to(champion.controller, question.states, champion.release.exploration)
    episodes = await played(question, champion, place)
    return Answer(
        nonce=question.nonce,
        release=champion.release.digest,
        candidate=champion.controller.digest,
        states=states,
        episodes=episodes,
    )


async def serve(work: Work, out: Callable[[str], object]) -> None:
    """Read the question, let `work` answer it, write the answer, or why there is none."""
    lines = asyncio.StreamReader(limit=LONGEST)
    loop = asyncio.get_running_loop()
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    parent = Parent(out)
    question = Question.model_validate_json(await lines.readline())
    listening = asyncio.create_task(parent.listen(lines))
    try:
        parent.say(await work(question, parent))
    except TillerError as error:
        parent.say(Refused(error=type(error).__name__, message=str(error)))
    finally:
        listening.cancel()
        pipe.close()


def main(work: Work = answer) -> None:
    """Answer one question. What libraries print goes to stderr, so that stdout holds the protocol alone."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)

        def write(line: str) -> None:
            out.write(line)
            out.flush()

        asyncio.run(serve(work, write))


if __name__ == "__main__":
    main()
