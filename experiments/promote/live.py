"""Live canary tasks seen from the parent: it runs the worker for the child, then derives what must be on record.

The child decides and records, the parent attempts. Afterwards the compiled candidate plays the same episodes from the
results that the parent handed out, and the child's corpus must hold exactly these: an old controller, a cache, a
canned answer or a worker that was never called leaves other records, or none.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from controllers import Corpus, Worker
from controllers.boundary import boundary
from controllers.corpus import MemoryCorpus, SqliteCorpus
from controllers.history import Seen
from controllers.moves import STOP
from controllers.policies import Policy, View, Weights
from controllers.retry import RetryPolicy
from controllers.spec import Parts, episode_id
from controllers.steers import steer_table
from experiments import Benchmark
from experiments.promote.questions import Call, Reply, canary_spec
from signatures.digest import digest_text
from signatures.errors import StoreError, WorkerError
from signatures.records import (
    Attempt,
    AttemptContext,
    AttemptResult,
    Cost,
    Decision,
    Episode,
    PolicyName,
    Steer,
    Task,
    Tier,
    WorkerFingerprint,
)

if TYPE_CHECKING:
    import dspy

    from controllers.program import Controller
    from controllers.release import Champion

TEXT: Final = "text"
"""The action whose steer a model writes."""
NEAR: Final = 1e-9
"""Within this, two probabilities are one: what a model said is known with the floor mixed in."""
Kept = Attempt | Decision | Episode


@dataclass
class Witness:
    """Runs the worker for the child, at most `most` times, and remembers each call."""

    worker: Worker
    tasks: Mapping[str, Task]
    "by digest: those that the child was asked to play"
    most: int
    calls: int = 0
    given: dict[str, tuple[Call, AttemptResult]] = field(default_factory=dict)
    "attempt id -> what was asked and what came of it"

    async def call(self, asked: Call) -> Reply:
        """One attempt of the worker, or what stands against it."""
        task = self.tasks.get(asked.task)
        if task is None:
            return Reply(number=asked.number, error=f"task {asked.task} is none of this canary's")
        if self.calls >= self.most:
            return Reply(number=asked.number, error=f"this canary has had its {self.most} attempts")
        self.calls += 1
        try:
            with boundary(WorkerError, f"worker {self.worker.fingerprint.name}"):
                result = (await self.worker.attempt(task, asked.context, asked.start)).encodable()
        except WorkerError as error:
            return Reply(number=asked.number, error=str(error))
        self.given[asked.context.attempt_id] = (asked, result)
        return Reply(number=asked.number, result=result)


@dataclass(frozen=True)
class Remembered:
    """A worker that gives what the witness gave, for the very same question."""

    witness: Witness
    used: set[str] = field(default_factory=set)

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The real worker's."""
        return self.witness.worker.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """The remembered result. Raises WorkerError where the child asked for something else, or for nothing."""
        found = self.witness.given.get(context.attempt_id)
        if found is None:
            raise WorkerError(f"the worker was never called for attempt {context.attempt_id}")
        asked, result = found
        if (asked.task, asked.context, asked.start) != (task.digest, context, start):
            raise WorkerError(f"the worker was called with another task, steer or start for {context.attempt_id}")
        self.used.add(context.attempt_id)
        return result


class Recalled:
    """A model's policy that gives the weights it is on record with: to ask again could get another answer.

    `recorded`: its decisions of one episode, in their order: asked twice in one state a model may say two things.
    """

    def __init__(self, policy: Policy, recorded: Sequence[Decision], floor: float) -> None:
        self.tier: Tier = policy.tier
        self.text = policy.text
        self._digest = digest_text(policy.text)
        self._left = list(recorded)
        self._floor = floor

    async def decide(self, view: View) -> Weights:
        """The recorded weights in this state. Raises WorkerError where no model of this policy answered in it."""
        for place, one in enumerate(self._left):
            same_policy = (one.policy_digest, one.tier) == (self._digest, self.tier)
            if same_policy and one.legal == view.legal and dict(one.features) == dict(view.features):
                del self._left[place]
                weights = {action: max(0.0, p - self._floor) for action, p in one.probabilities.items()}
                return Weights(weights, one.shown, one.cost)
        if not view.history and view.legal == STOP:
            return Weights({"continue": 1.0})  # to begin is not recorded
        raise WorkerError(
            f"no model of the policy {self._digest} answered in a state that the episode passes: its fallback decided"
            " there, or another controller"
        )


@dataclass(frozen=True)
class RecalledText:
    """The steers that a model wrote, as they are on record."""

    attempts: Sequence[Attempt]

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """The steer on record of the attempt that comes next. Raises WorkerError where there is none."""
        for one in self.attempts:
            if (one.task_digest, one.index, one.steer.action) == (task.digest, len(history), TEXT):
                return one.steer, one.steer_cost
        raise WorkerError(f"no model wrote the steer of attempt {len(history)}")


class Recorded(NamedTuple):
    """What the child recorded."""

    decisions: Sequence[Decision]
    attempts: Sequence[Attempt]


def live_parts(
    champion: Champion, benchmark: Benchmark, *, worker: Worker, corpus: Corpus, lm: dspy.LM | None
) -> Parts:
    """The parts of a live canary episode: production's."""
    from controllers.production import production_parts

    return production_parts(
        champion,
        worker=worker,
        checkers=benchmark.checkers(),
        steers=steer_table(benchmark.directives, benchmark, lm),
        observer=benchmark,
        corpus=corpus,
    )


async def problems(
    champion: Champion, benchmark: Benchmark, witness: Witness, *, nonce: str, corpus: Path
) -> tuple[str, ...]:
    """What the child's corpus holds otherwise than the compiled candidate's episodes, task by task; empty: nothing.

    `champion`: the compiled candidate with its release. Raises StoreError where the derivation's own parts fail.
    """
    if not _there(corpus):
        return (f"no episode is on record: {len(witness.tasks)} tasks were to be played",)
    worker = Remembered(witness)
    with closing(SqliteCorpus.open_readonly(corpus)) as theirs:
        found = [line async for line in _by_task(champion, benchmark, worker, theirs, nonce)]
        expected = len(witness.tasks)
        there = len([one async for one in theirs.scan(Episode)])
    if there != expected and not found:
        found.append(f"{there} episodes are on record, of {expected}")
    if idle := sorted(set(witness.given) - worker.used):
        found.append(f"attempts that were asked of the worker and are none of the compiled candidate's: {len(idle)}")
    return tuple(found)


async def _by_task(
    champion: Champion, benchmark: Benchmark, worker: Remembered, theirs: SqliteCorpus, nonce: str
) -> AsyncIterator[str]:
    record = Recorded([one async for one in theirs.scan(Decision)], [one async for one in theirs.scan(Attempt)])
    for task in worker.witness.tasks.values():
        ours = MemoryCorpus()
        parts = live_parts(champion, benchmark, worker=worker, corpus=ours, lm=None)
        id = episode_id(canary_spec(champion, task, nonce), parts)
        own = [one for one in record.decisions if one.episode_id == id]
        own.sort(key=lambda one: one.step)
        parts = _recalling(parts, record._replace(decisions=own), champion.release.exploration)
        async for line in _differences(champion, parts, task, nonce, theirs):
            yield f"task {task.digest}: {line}"


async def _differences(
    champion: Champion, parts: Parts, task: Task, nonce: str, theirs: SqliteCorpus
) -> AsyncIterator[str]:
    from controllers.loop import run_episode

    rollout = await run_episode(canary_spec(champion, task, nonce), parts)
    episode = rollout.episode
    for id in episode.decision_ids:
        if line := _differs(await parts.corpus.get(Decision, id), await theirs.get(Decision, id)):
            yield f"decision {id} {line}"
            return  # what follows from another decision differs too
    if episode.failure is not None:
        yield episode.failure.message
        return
    for id in episode.attempt_ids:
        if line := _differs(await parts.corpus.get(Attempt, id), await theirs.get(Attempt, id)):
            yield f"attempt {id} {line}"
            return
    if line := _differs(episode, await theirs.get(Episode, episode.id)):
        yield f"episode {episode.id} {line}"
    elif not episode.attempt_ids:
        yield "the worker was not called"


def _there(file: Path) -> bool:
    return file.is_file()


def _differs(ours: Kept | None, theirs: Kept | None) -> str:
    """The first field in which two records differ, and how; empty where they say the same."""
    if ours is None:
        raise StoreError("the derivation lost a record of its own")
    if theirs is None:
        return "is not on record"
    wanted, found = ours.content(), theirs.content()
    for name, value in wanted.items():
        if not _same(value, found[name]):
            return f"has {name} {_short(found[name])}, the compiled candidate's {_short(value)}"
    return ""


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=0.0, abs_tol=NEAR)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    return one == other


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _recalling(parts: Parts, record: Recorded, floor: float) -> Parts:
    """The parts with each model's policy replaced by what it is on record with, and nothing tried twice."""
    controller = _recalled(parts.controller, record.decisions, floor)
    steers = {**parts.steers, TEXT: RecalledText(record.attempts)}
    return replace(parts, controller=controller, steers=steers, retry=RetryPolicy(tries=1))


def _recalled(controller: Controller, recorded: Sequence[Decision], floor: float) -> Controller:
    from controllers.program import Controller as Made

    def kept(name: PolicyName) -> Policy:
        policy = controller.policies[name]
        if policy.tier == "rule":
            return policy
        return Recalled(policy, [one for one in recorded if one.policy == name], floor)

    return Made(stop=kept("stop"), topology=kept("topology"), steer=kept("steer"), program=controller.program)


def lines_of(found: Sequence[str], most: int = 5) -> Iterator[str]:
    """At most `most` of the problems, and how many more there are."""
    yield from found[:most]
    if len(found) > most:
        yield f"and {len(found) - most} more"
