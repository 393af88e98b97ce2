"""The counter that HTTP and MCP stand before: begin an episode, say what is next, take an attempt."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from controllers import Checker
from controllers.champion import ChampionWatch
from controllers.corpus import SqliteCorpus
from controllers.production import production_parts, production_spec
from controllers.release import Champion
from controllers.served import RemoteWorker, ServedEpisode, is_long
from controllers.spec import Parts, episode_id
from controllers.steers import Steerer
from experiments import Benchmark
from experiments.production.prompts import Prompts
from experiments.serve.batches import Gathered
from experiments.serve.bodies import AttemptGiven, CheckGiven, Health, MoveTold, NewEpisode, Opened, Recorded
from experiments.serve.config import LimitsConfig
from experiments.serve.meters import Meters
from experiments.serve.open_episodes import Begun, OpenEpisodes, Room
from experiments.serve.problems import KeyConflict, TooMany, UnknownEpisode
from experiments.serve.tasks import Tasks
from signatures.digest import digest_of, digest_text, seed_of
from signatures.errors import StoreError, UsageError
from signatures.records import AttemptResult, CheckerResult, Failure, Task


@dataclass(frozen=True)
class Stores:
    """Where everything durable goes."""

    corpus: SqliteCorpus
    episodes: OpenEpisodes
    prompts: Prompts


@dataclass(frozen=True)
class World:
    """What is served: a benchmark with its parts; `checkers` is empty where the client reports the checks."""

    benchmark: Benchmark
    tasks: Tasks
    checkers: Sequence[Checker]
    steers: Mapping[str, Steerer]


@dataclass
class _Slot:
    """An episode at hand. One call at a time; after an error the object is dropped and read again from the disk."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: Begun | None = None
    "as it was begun by this server; None: it is read"
    episode: ServedEpisode | None = None
    compiled: dict[str, str] = field(default_factory=dict)
    ended: bool = False


class Service:
    """Everything a client may ask. Each method raises TillerError, and what it answered is on disk."""

    def __init__(self, world: World, stores: Stores, watch: ChampionWatch, limits: LimitsConfig) -> None:
        self.world = world
        self.stores = stores
        self.watch = watch
        self.limits = limits
        self.meters = Meters()
        self.champion: Champion | None = None
        self._digest = ""  # of its release, which takes a tenth of a millisecond to work out
        self._prompts = Gathered(self._remember, str(stores.prompts.path))
        self._slots: OrderedDict[str, _Slot] = OrderedDict()
        self._long = asyncio.Lock()
        "one long report at a time: each busies a thread, and the event loop waits for every one of those in turn"
        self.meters.watch(lambda: float(self._under_way()), lambda: float(bool(watch.problem)))

    async def follow(self) -> Champion:
        """Take over the release that is current now. Raises StoreError and ReleaseRefused where there is none."""
        champion = await asyncio.to_thread(self.watch.current)
        if champion is not self.champion:
            self._require_fit(champion)
            self.champion, self._digest = champion, champion.release.digest
            self.meters.begins_with(self._digest)
        return champion

    def health(self) -> Health:
        """What serves now."""
        release = self._current().release
        status = "degraded" if self.watch.problem else "ok"
        return Health.model_validate(
            {"status": status, "name": release.name, "benchmark": release.benchmark, "release": release.digest}
        )

    async def open(self, given: NewEpisode) -> Opened:
        """Begin an episode under the current release. Under a key that is known: the episode that it began."""
        task, key = self.world.tasks.of(given.task), _hidden(given.key)
        found = None if key is None else self.stores.episodes.of_key(key)
        if found is None:
            found = await self._begin(given, task, key)
        if found.spec.task != task:
            raise KeyConflict(f"key {given.key!r} began an episode about another task")
        return self._opened(found)

    async def next_move(self, id: str) -> MoveTold:
        """What is due in the episode, or that it is over."""
        async with self._episode(id) as slot:
            episode = slot.episode
            assert episode is not None
            known = len(episode.decisions)
            move = await episode.next_move()
            self.meters.decided(episode.decisions[known:], slot.compiled)
            if move.done:
                await self.stores.episodes.end(id, time.time())
                if not slot.ended:
                    slot.ended = True
                    self.meters.ended(move.failure is not None)
        return MoveTold.of(move)

    async def report(self, id: str, given: AttemptGiven) -> Recorded:
        """Take an attempt; it is on disk when this returns."""
        came = given.came()
        checks = self._checks(given.checks, came)
        alone = self._long if is_long(came, checks) else nullcontext()
        async with self._episode(id) as slot, alone:
            assert slot.episode is not None
            reported = await slot.episode.report(given.attempt_id, came, checks)
        outcome = came.outcome if isinstance(came, AttemptResult) else "infra_error"
        self.meters.reported(outcome)
        return Recorded.of(reported)

    def _current(self) -> Champion:
        if self.champion is None:
            raise StoreError("no release was loaded yet")
        return self.champion

    def _under_way(self) -> int:
        return self.stores.episodes.under_way(time.time() - self.limits.abandoned_s)

    async def _begin(self, given: NewEpisode, task: Task, key: str | None) -> Begun:
        if self._under_way() >= self.limits.open_episodes:  # before the prompt is kept; once more as it begins
            raise self._too_many()
        champion = self._current()
        wanted = champion.release.fingerprints.worker
        if given.worker is not None and given.worker.fingerprint() != wanted:
            raise UsageError(
                f"worker: this release was made for {wanted.name}, with model {wanted.model} and its params"
            )
        seed = secrets.randbits(62) if key is None else seed_of("served", champion.release.name, key)
        spec = production_spec(champion, task, seed=seed)
        await self._prompts.put(task)
        id = episode_id(spec, self._parts(champion))
        begun = Begun(id, spec.revision, spec, time.time(), None)
        room = Room(begun.opened_s - self.limits.abandoned_s, self.limits.open_episodes)
        found = await self.stores.episodes.begin(begun, key, room)
        if found is None:
            raise self._too_many()
        if found is begun:
            self.meters.opened.inc()
            self._slots.setdefault(id, _Slot(begun=begun))
            self._make_room()
        return found

    def _too_many(self) -> TooMany:
        return TooMany(f"{self.limits.open_episodes} episodes are open; end some, or come back later")

    def _remember(self, tasks: Sequence[Task]) -> Sequence[None]:
        self.stores.prompts.remember(*tasks)
        return [None for _ in tasks]

    def _opened(self, begun: Begun) -> Opened:
        spec, benchmark = begun.spec, self.world.benchmark.id
        return Opened(
            episode_id=begun.id,
            release=begun.release,
            benchmark=benchmark,
            granted=spec.granted,
            turns_per_attempt=spec.turns_per_attempt,
        )

    @asynccontextmanager
    async def _episode(self, id: str) -> AsyncIterator[_Slot]:
        """The episode, to one caller at a time; after an error it is read from the disk again."""
        slot = self._slots.setdefault(id, _Slot())
        self._slots.move_to_end(id)
        async with slot.lock:
            whole = False
            try:
                if slot.episode is None:
                    await self._read(id, slot)
                yield slot
                whole = True
            except UnknownEpisode:
                self._slots.pop(id, None)
                raise
            finally:
                if not whole:
                    slot.episode = None
                elif slot.episode is not None and slot.episode.over:
                    self._slots.pop(id, None)
                self._make_room()

    async def _read(self, id: str, slot: _Slot) -> None:
        begun = slot.begun or self.stores.episodes.get(id)
        if begun is None:
            raise UnknownEpisode(f"no episode {id[:40]!r} was begun here")
        champion = await self._release(begun.release)
        episode = await ServedEpisode.open(begun.spec, self._parts(champion), self.stores.episodes)
        if episode.id != id:
            raise StoreError(f"episode {id} does not follow from its spec and release {begun.release}")
        slot.compiled = {name: digest_text(policy.text) for name, policy in champion.controller.policies.items()}
        slot.ended = slot.ended or begun.ended_s is not None
        slot.episode = episode

    async def _release(self, digest: str) -> Champion:
        """The release that an episode began with. Raises StoreError where it is not at hand any more."""
        if self.champion is not None and self._digest == digest:
            return self.champion
        found = await asyncio.to_thread(self.watch.by_digest, digest)
        if found is None:
            raise StoreError(f"release {digest}, which this episode began with, is not in the cache any more")
        return found

    def _make_room(self) -> None:
        """Forget the episodes that were not asked for longest, but none that somebody is asking for."""
        for id in list(self._slots)[: max(0, len(self._slots) - self.limits.in_memory)]:
            if not self._slots[id].lock.locked():
                del self._slots[id]

    def _parts(self, champion: Champion) -> Parts:
        return production_parts(
            champion,
            worker=RemoteWorker(champion.release.fingerprints.worker),
            checkers=self.world.checkers,
            steers=self.world.steers,
            observer=self.world.benchmark,
            corpus=self.stores.corpus,
        )

    def _require_fit(self, champion: Champion) -> None:
        release, benchmark = champion.release, self.world.benchmark
        if release.benchmark != benchmark.id:
            raise UsageError(f"release {release.name} was made for {release.benchmark}, not {benchmark.id}")
        if missing := [action for action in release.steer_legal if action not in self.world.steers]:
            mend = "; name its model with --lm" if missing[0] == "text" else ""
            raise UsageError(f"release {release.name} may steer by {missing[0]!r}, which there is not here{mend}")

    def _checks(
        self, given: Mapping[str, CheckGiven] | None, came: AttemptResult | Failure
    ) -> list[CheckerResult] | None:
        """The reported checks as records, each objective once; None where the server checks."""
        if self.world.checkers:
            if given is not None:
                raise UsageError("checks: this server checks attempts itself; leave them out")
            return None
        if isinstance(came, Failure):
            return []
        units = {objective.name: objective.unit for objective in self.world.benchmark.objectives}
        if set(given or {}) != set(units):
            raise UsageError(f"checks: this server is told what was checked: report {', '.join(units)}, and no other")
        return [
            CheckerResult(objective=name, unit=unit, **dict(check))
            for name, unit in units.items()
            if (check := (given or {}).get(name)) is not None
        ]


def _hidden(key: str | None) -> str | None:
    """A client's key as it is kept."""
    return None if key is None else digest_of("key", key)
