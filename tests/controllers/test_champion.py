from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from controllers.champion import CURRENT, KEPT, REFUSED_POLLS, ChampionWatch, ReleaseCache
from controllers.corpus.memory import MemoryCorpus
from controllers.loop import run_episode
from controllers.production import production_parts, production_spec
from controllers.release import MANIFEST, STATE, Champion, Files, FolderSource, Here, loaded
from controllers.steers import steer_table
from signatures.digest import digest_text
from signatures.errors import ReleaseRefused, StoreError
from signatures.records import Attempt, AttemptContext, AttemptResult, Decision, Task, WorkerFingerprint
from tests.worlds.planted import DIRECTIVES, CountingWorker, PlantedBenchmark
from tests.worlds.signed import MovingSource, files, put, resigned, telling

FAN, PUMP, VALVE = (files(telling(group)) for group in ("fan", "pump", "valve"))


def digest(held: Files) -> str:
    return str(json.loads(held[MANIFEST])["digest"])


@dataclass
class World:
    """A watch, its source, its clock and what it told."""

    source: MovingSource
    watch: ChampionWatch
    told: list[str]
    now: list[float]

    def after(self, seconds: float = 5.0) -> Champion:
        self.now[0] += seconds
        return self.watch.current()


def watching(held: Files, cache: Path | None = None, here: Here | None = None, down: str | None = None) -> World:
    source, told, now = MovingSource(held, down), list[str](), [0.0]
    watch = ChampionWatch(source, here=here or Here(), cache=cache, clock=lambda: now[0], told=told.append)
    return World(source, watch, told, now)


def test_the_source_is_asked_no_more_often_than_agreed() -> None:
    world = watching(FAN)
    first = world.watch.current()
    assert first.release.digest == digest(FAN)
    assert [world.after(1.0) for _ in range(4)] == [first] * 4
    assert world.source.asked == ["current", "files"]
    assert world.after(1.0) is first
    assert world.source.asked == ["current", "files", "current"]


def test_another_release_is_taken_over_and_back_again() -> None:
    world = watching(FAN)
    first = world.watch.current()
    world.source.held = PUMP
    assert world.after(1.0) is first
    assert world.after(4.0).release.digest == digest(PUMP)
    world.source.held = FAN
    assert world.after().release == first.release
    assert (world.told, world.watch.problem) == ([], None)


def test_a_source_that_is_down_changes_nothing_and_is_told_once() -> None:
    world = watching(FAN)
    first = world.watch.current()
    world.source.down = "connection refused"
    assert [world.after() for _ in range(3)] == [first] * 3
    assert world.told == [f"models:/planted@champion: connection refused; release {digest(FAN)} goes on"]
    assert world.watch.problem == world.told[0]
    world.source.down, world.source.held = None, PUMP
    assert world.after().release.digest == digest(PUMP)
    assert world.told[1:] == ["models:/planted@champion: can be read again"]
    assert world.watch.problem is None


def test_a_refused_release_keeps_the_old_one_and_is_looked_at_rarely() -> None:
    world = watching(FAN)
    first = world.watch.current()
    world.source.held = resigned(PUMP, lambda body: body["fingerprints"].update(dspy="1.0.0"))
    assert [world.after() for _ in range(REFUSED_POLLS + 1)] == [first] * (REFUSED_POLLS + 1)
    assert world.source.asked.count("files") == 2
    assert world.after() is first
    assert world.source.asked.count("files") == 3
    assert len(world.told) == 1
    assert "fingerprints.dspy: '1.0.0' does not fit" in world.told[0]
    assert world.watch.problem == world.told[0]
    world.source.held = VALVE
    assert world.after().release.digest == digest(VALVE)
    assert world.watch.problem is None


def test_a_refused_release_that_is_taken_back_is_no_problem_any_more() -> None:
    world = watching(FAN)
    first = world.watch.current()
    world.source.held = {**PUMP, STATE: b"{}"}
    assert world.after() is first
    world.source.held = FAN
    assert (world.after(), world.watch.problem) == (first, None)


def test_nothing_good_anywhere_is_an_error(tmp_path: Path) -> None:
    for cache in (None, tmp_path):
        world = watching(FAN, cache, down="no route")
        with pytest.raises(StoreError, match="no route"):
            world.watch.current()
        world = watching({**FAN, STATE: b"{}"}, cache)
        with pytest.raises(ReleaseRefused, match=r"state\.json"):
            world.watch.current()
        world.source.held = FAN
        assert world.after(0.0).release.digest == digest(FAN)


def test_a_source_that_breaks_in_its_own_way_does_not_stop_production() -> None:
    class Broken(MovingSource):
        def current(self) -> str:
            raise KeyError("alias")

    world = watching(FAN)
    first = world.watch.current()
    world.watch.source = Broken(FAN)
    assert world.after() is first
    assert "KeyError" in world.told[0]


# The disk cache.


def test_the_last_good_release_starts_without_its_source(tmp_path: Path) -> None:
    watching(FAN, tmp_path).watch.current()
    world = watching(FAN, tmp_path, down="no route")
    champion = world.watch.current()
    assert champion.release.digest == digest(FAN)
    assert world.told == [f"models:/planted@champion: no route; release {digest(FAN)} goes on"]
    world.source.down = None
    assert world.after() is champion
    assert world.source.asked.count("files") == 0
    assert world.watch.problem is None


def test_a_release_that_is_refused_at_the_start_leaves_the_last_good_one(tmp_path: Path) -> None:
    watching(FAN, tmp_path).watch.current()
    world = watching({**PUMP, STATE: b"{}"}, tmp_path)
    assert world.watch.current().release.digest == digest(FAN)
    assert "state.json" in world.told[0]


def test_a_cache_of_another_source_is_not_believed(tmp_path: Path) -> None:
    watching(FAN, tmp_path).watch.current()
    world = watching(FAN, tmp_path, down="no route")
    world.source.shown = "models:/other@champion"
    with pytest.raises(StoreError, match="no route"):
        world.watch.current()


@pytest.mark.parametrize("here", [Here(digest="0" * 24), Here(name="other"), Here(worker=WorkerFingerprint(name="x"))])
def test_a_cached_release_is_checked_like_any_other(tmp_path: Path, here: Here) -> None:
    watching(FAN, tmp_path).watch.current()
    world = watching(FAN, tmp_path, here, down="no route")
    with pytest.raises(StoreError, match="no route"):
        world.watch.current()


@pytest.mark.parametrize("damage", ["state", "torn", "gone", "link", "list"])
def test_a_damaged_cache_gives_nothing(tmp_path: Path, damage: str) -> None:
    watching(FAN, tmp_path).watch.current()
    folder, current = tmp_path / digest(FAN), tmp_path / CURRENT
    if damage == "state":
        (folder / STATE).write_bytes((folder / STATE).read_bytes() + b" ")
    elif damage == "torn":
        current.write_bytes(current.read_bytes()[:-9])
    elif damage == "gone":
        (folder / MANIFEST).unlink()
    elif damage == "link":
        current.rename(tmp_path / "moved")
        current.symlink_to(tmp_path / "moved")
    else:
        current.write_text("[]")
    with pytest.raises(StoreError, match="no route"):
        watching(FAN, tmp_path, down="no route").watch.current()
    # The source is up again: what was damaged is made whole.
    watching(FAN, tmp_path).watch.current()
    assert watching(FAN, tmp_path, down="no route").watch.current().release.digest == digest(FAN)


def test_releases_are_found_by_digest(tmp_path: Path) -> None:
    world = watching(FAN, tmp_path)
    first = world.watch.current()
    world.source.held = PUMP
    second = world.after()
    assert world.watch.by_digest(digest(FAN)) is first
    assert world.watch.by_digest(digest(PUMP)) is second
    later = watching(PUMP, tmp_path)
    found = later.watch.by_digest(digest(FAN))
    assert found is not None
    assert found.release == first.release
    assert later.watch.by_digest(digest(FAN)) is found
    assert later.source.asked == []
    assert watching(FAN).watch.by_digest(digest(FAN)) is None


@pytest.mark.parametrize("name", ["", ".", "..", "../planted", CURRENT, "0" * 24, "a/b", "\x00", "A" * 24])
def test_what_is_no_digest_finds_nothing(tmp_path: Path, name: str) -> None:
    cache = tmp_path / "cache"
    put(tmp_path / "planted", FAN)
    world = watching(FAN, cache)
    world.watch.current()
    assert world.watch.by_digest(name) is None
    assert world.told == []


def test_an_old_release_that_may_not_be_loaded_any_more_is_told_and_not_given(tmp_path: Path) -> None:
    world = watching(FAN, tmp_path)
    world.watch.current()
    (tmp_path / digest(FAN) / STATE).write_text("{}")
    later = watching(PUMP, tmp_path)
    assert [later.watch.by_digest(digest(FAN)) for _ in range(2)] == [None, None]
    assert len(later.told) == 1
    assert "state.json" in later.told[0]
    assert later.watch.problem is None


def test_memory_holds_a_bounded_number_and_the_disk_the_rest(tmp_path: Path) -> None:
    world = watching(FAN, tmp_path)
    first = world.watch.current()
    for n in range(KEPT):
        world.source.held = resigned(PUMP, lambda body, n=n: body.update(created_s=float(n)))  # type: ignore[misc]
        world.after()
    again = world.watch.by_digest(digest(FAN))
    assert again is not None
    assert again is not first
    assert again.release == first.release


FULL = """
import resource, signal, sys
from pathlib import Path
from controllers.champion import ChampionWatch
from controllers.release import FolderSource
from controllers.release import Here

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
told, now = [], [0.0]
source, cache = FolderSource(Path(sys.argv[1])), Path(sys.argv[2])
watch = ChampionWatch(source, cache=cache, clock=lambda: now[0], told=told.append)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
first = watch.current()
now[0] += 5
assert watch.current() is first
assert len(told) == 1 and "too large" in told[0], told
assert watch.problem == told[0]
assert list(cache.iterdir()) == [], list(cache.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
now[0] += 5
assert watch.current() is first
assert watch.problem is None
print(sorted(path.name for path in cache.iterdir()))
"""


def test_a_full_disk_is_told_and_does_not_stop_serving(tmp_path: Path) -> None:
    put(tmp_path / "release", FAN)
    command = [sys.executable, "-c", FULL, str(tmp_path / "release"), str(tmp_path / "cache")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.strip() == str(sorted([CURRENT, digest(FAN)]))


def test_a_cache_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    world = watching(FAN, tmp_path / "file" / "cache")
    assert world.watch.current().release.digest == digest(FAN)
    assert "the release is not kept" in world.told[0]


def test_a_kill_in_the_middle_of_caching_leaves_what_was_there(tmp_path: Path) -> None:
    watching(FAN, tmp_path).watch.current()
    torn = tmp_path / f".{digest(PUMP)}.1.2" / "made"
    torn.mkdir(parents=True)
    (torn / STATE).write_bytes(PUMP[STATE][:100])
    assert watching(FAN, tmp_path, down="no route").watch.current().release.digest == digest(FAN)


def test_the_cache_keeps_a_release_of_every_digest_once(tmp_path: Path) -> None:
    cache = ReleaseCache(tmp_path)
    champion = loaded(FAN, token="t")
    cache.keep(champion, FAN, shown="here")
    before = (tmp_path / digest(FAN)).stat().st_ino
    cache.keep(champion, FAN, shown="here")
    assert (tmp_path / digest(FAN)).stat().st_ino == before
    assert cache.last("here", Here()) is not None
    assert cache.last("there", Here()) is None


# Threads and episodes.


@dataclass
class SlowSource(MovingSource):
    """Answers when it is let."""

    let: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    slow: bool = False

    def current(self) -> str:
        if self.slow:
            self.entered.set()
            assert self.let.wait(30)
        return super().current()


def test_while_one_thread_asks_the_others_decide_with_what_is_there() -> None:
    source, now = SlowSource(FAN), [0.0]
    watch = ChampionWatch(source, clock=lambda: now[0], told=print)
    first = watch.current()
    source.slow, source.held = True, PUMP
    now[0] = 5.0
    found: list[Champion] = []
    thread = threading.Thread(target=lambda: found.append(watch.current()))
    thread.start()
    assert source.entered.wait(30)
    assert [watch.current() for _ in range(3)] == [first] * 3
    source.let.set()
    thread.join(30)
    assert found[0].release.digest == digest(PUMP)
    assert watch.current() is found[0]


def test_threads_that_begin_together_load_one_release_once() -> None:
    source = SlowSource(FAN, slow=True)
    watch = ChampionWatch(source, clock=lambda: 0.0, told=print)
    found: list[Champion] = []
    threads = [threading.Thread(target=lambda: found.append(watch.current())) for _ in range(8)]
    for thread in threads:
        thread.start()
    source.let.set()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert len({id(one) for one in found}) == 1
    assert source.asked == ["current", "files"]


class MovingWorker(CountingWorker):
    """Puts another release into the folder while the first attempt runs."""

    folder: Path

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        put(self.folder, PUMP)
        return await super().attempt(task, context, start)


async def test_an_episode_ends_under_the_release_that_it_began_with(tmp_path: Path) -> None:
    world, folder, now = PlantedBenchmark(), tmp_path / "release", [0.0]
    put(folder, FAN)
    watch = ChampionWatch(FolderSource(folder), cache=tmp_path / "cache", clock=lambda: now[0], told=print)
    worker = MovingWorker(world.worker(None, None))
    worker.folder = folder
    corpus = MemoryCorpus()
    steers = steer_table(DIRECTIVES, world)
    played = []
    for seed, task in enumerate(world.tasks("production")[:2]):
        champion = watch.current()
        parts = production_parts(
            champion, worker=worker, checkers=world.checkers(), steers=steers, observer=world, corpus=corpus
        )
        rollout = await run_episode(production_spec(champion, task, seed=seed), parts)
        own = [one async for one in corpus.scan(Decision, {"episode_id": rollout.episode.id})]
        said = [one.policy_digest for one in own if one.policy == "steer"]
        played.append((champion.release.candidate, rollout.episode.candidate, set(said)))
        now[0] += 5
    fan, pump = (loaded(held).controller for held in (FAN, PUMP))
    texts = [json.loads(FAN[STATE])["components"]["steer"], json.loads(PUMP[STATE])["components"]["steer"]]
    assert [one[:2] for one in played] == [(fan.digest, fan.digest), (pump.digest, pump.digest)]
    assert [one[2] for one in played] == [{digest_text(texts[0])}, {digest_text(texts[1])}]
    assert len([one async for one in corpus.scan(Attempt)]) == len(worker.calls)
