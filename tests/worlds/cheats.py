"""Canary children that cheat, as programs: `cheats.py HOW NEW OLD`, where NEW and OLD are folders of releases.

`honest` is the control: it does all that the real child does, but loads from a folder, which takes no registry.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from controllers.corpus import SqliteCorpus
from controllers.loop import run_episode
from controllers.release import Champion, FolderSource, Here, load_champion
from experiments.promote.canary_child import Parent, Place, Work, answer, main, played, tasks_of
from experiments.promote.live import live_parts
from experiments.promote.questions import Answer, Question, StateAnswer, answers_to, canary_spec
from experiments.registry import CHALLENGER, CHAMPION, Registry
from experiments.tracking import store_of
from signatures.records import AttemptContext, AttemptResult, Task, WorkerFingerprint


class Releases(NamedTuple):
    """What the command line names."""

    new: Champion
    old: Champion


def releases() -> Releases:
    new, old = (load_champion(FolderSource(Path(folder)), Here()) for folder in sys.argv[2:4])
    return Releases(new, old)


def answered(question: Question, new: Champion, states: tuple[StateAnswer, ...], episodes: tuple[str, ...]) -> Answer:
    """An answer that claims to be the new release's."""
    return Answer(
        nonce=question.nonce,
        release=new.release.digest,
        candidate=new.controller.digest,
        states=states,
        episodes=episodes,
    )


async def states_by(champion: Champion, question: Question) -> tuple[StateAnswer, ...]:
    return await answers_to(champion.controller, question.states, champion.release.exploration)


async def honest(question: Question, parent: Parent) -> Answer:
    """All as it should be."""
    new = releases().new
    episodes = await played(question, new, Place.of(question, parent))
    return answered(question, new, await states_by(new, question), episodes)


async def falls_back(question: Question, parent: Parent) -> Answer:
    """Loads the old release, and says so: nobody asks."""
    old = releases().old
    episodes = await played(question, old, Place.of(question, parent))
    return answered(question, old, await states_by(old, question), episodes)


async def lies(question: Question, parent: Parent) -> Answer:
    """Decides by the old controller and signs with the new one's digests."""
    new, old = releases()
    signed = await states_by(new, question)
    decided = await states_by(old, question)
    states = tuple(
        one.model_copy(update={"probabilities": other.probabilities, "action": other.action})
        for one, other in zip(signed, decided, strict=True)
    )
    return answered(question, new, states, await played(question, new, Place.of(question, parent)))


async def old_when_live(question: Question, parent: Parent) -> Answer:
    """Answers states by the new controller and plays by the old one, under the new one's name."""
    new, old = releases()
    posing = Champion(new.release, old.controller, {}, "")
    return answered(
        question, new, await states_by(new, question), await played(question, posing, Place.of(question, parent))
    )


async def canned(question: Question, parent: Parent) -> Answer:
    """Gives every state of a policy the answer to its first."""
    new = releases().new
    first: dict[str, StateAnswer] = {}
    states = await states_by(new, question)
    same = tuple(first.setdefault(q.policy, one) for q, one in zip(question.states, states, strict=True))
    return answered(question, new, same, await played(question, new, Place.of(question, parent)))


async def cached(question: Question, parent: Parent) -> Answer:
    """Gives the episodes of an earlier canary for those of this one."""
    new = releases().new
    place = Place.of(question, parent)
    assert place.benchmark is not None
    earlier = question.model_copy(update={"nonce": "earlier"})
    episodes = await played(earlier, new, replace(place, worker=place.benchmark.worker(None, None)))
    return answered(question, new, await states_by(new, question), episodes)


async def idle(question: Question, parent: Parent) -> Answer:
    """Says that it has played, and has not."""
    new = releases().new
    return answered(question, new, await states_by(new, question), question.tasks)


async def scrambled(question: Question, parent: Parent) -> Answer:
    """Is honest, and leaves something else than a corpus."""
    found = await honest(question, parent)
    scramble(Path(question.corpus))
    return found


def scramble(corpus: Path) -> None:
    """Leave an empty file where the corpus was."""
    corpus.write_bytes(b"")


@dataclass(frozen=True)
class Stub:
    """Has the released worker's name and does nothing."""

    fingerprint: WorkerFingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        return AttemptResult(output='{"broken": []}', state='{"broken": []}')


async def stubbed(question: Question, parent: Parent) -> Answer:
    """Plays by the new controller with a worker of its own, which says that all is well."""
    new = releases().new
    place = Place.of(question, parent)
    assert place.benchmark is not None and place.worker is not None
    tasks = tasks_of(place.benchmark, question.tasks)
    with closing(SqliteCorpus(Path(question.corpus))) as corpus:
        stub = Stub(place.worker.fingerprint)
        parts = live_parts(new, place.benchmark, worker=stub, corpus=corpus, lm=None)
        ids = [(await run_episode(canary_spec(new, task, question.nonce), parts)).episode.id for task in tasks]
    return answered(question, new, await states_by(new, question), tuple(ids))


@dataclass(frozen=True)
class Deaf:
    """Calls the released worker, and does not tell it what it was told to."""

    parent: Parent
    fingerprint: WorkerFingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        unsaid = context.steer.model_copy(update={"text": ""})
        return await self.parent.attempt(task, context.model_copy(update={"steer": unsaid}), start)


async def unsteered(question: Question, parent: Parent) -> Answer:
    """Plays by the new controller, but no steer reaches the worker."""
    new = releases().new
    place = Place.of(question, parent)
    assert place.worker is not None
    deaf = Deaf(parent, place.worker.fingerprint)
    episodes = await played(question, new, replace(place, worker=deaf))
    return answered(question, new, await states_by(new, question), episodes)


async def silent(question: Question, parent: Parent) -> Answer:
    """Ends at once."""
    sys.stderr.write("Traceback\nMemoryError: nothing left\n")
    sys.stderr.flush()
    raise SystemExit(1)


async def babbles(question: Question, parent: Parent) -> Answer:
    """Writes what is no line of a canary."""
    parent.out("all is well\n")
    await asyncio.sleep(30)
    raise SystemExit(1)


async def hangs(question: Question, parent: Parent) -> Answer:
    """Never answers, and does not yield either."""
    time.sleep(600)  # noqa: ASYNC251  # on purpose
    raise SystemExit(1)


async def meddled(question: Question, parent: Parent) -> Answer:
    """Is honest, while somebody else makes the challenger champion by hand."""
    registry = Registry(store_of(Path(question.root)))
    challenger = registry.version_of(question.name, CHALLENGER)
    assert challenger is not None
    registry.point(question.name, CHAMPION, challenger)
    return await answer(question, parent)


async def edited(question: Question, parent: Parent) -> Answer:
    """Is honest, after somebody edited the challenger's rules where they are stored."""
    edit(Path(question.root), question.name, CHALLENGER)
    return await answer(question, parent)


def edit(root: Path, name: str, alias: str) -> None:
    """Change the rules of a registered release in the store, as one who has the disk can."""
    version = Registry(store_of(root)).version_of(name, alias)
    assert version is not None
    (stored,) = root.rglob(f"{version.source.rpartition('/')[2]}/artifacts/state.json")
    stored.write_text(stored.read_text().replace("refine_last", "fanout_1"))


HOW: Mapping[str, Work] = {
    work.__name__: work
    for work in (
        honest,
        falls_back,
        lies,
        old_when_live,
        canned,
        cached,
        idle,
        scrambled,
        stubbed,
        unsteered,
        silent,
        babbles,
        hangs,
        meddled,
        edited,
    )
}

if __name__ == "__main__":
    main(HOW[sys.argv[1]])
