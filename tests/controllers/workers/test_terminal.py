from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from controllers import Worker
from controllers.isolation import works
from controllers.workers.terminal import TerminalWorker
from controllers.worlds.terminal import SCENARIOS, TerminalWorld
from controllers.worlds.terminal_box import MISSING, from_text
from controllers.worlds.terminal_faults import broken, sound
from controllers.worlds.terminal_layers import LOOKS, command_of
from signatures.records import AttemptContext, AttemptResult, Steer, Task

pytestmark = pytest.mark.skipif(not works("bwrap"), reason=MISSING)
SCENARIO = SCENARIOS["ledger"]
SEVERAL = SCENARIO.atoms[1:4]


@pytest.fixture(scope="module")
def world() -> Iterator[TerminalWorld]:
    begin = {"several": broken(SCENARIO, SEVERAL), "fine": sound(SCENARIO)}
    begin |= {name: broken(one, one.atoms[:2]) for name, one in SCENARIOS.items()}
    world = TerminalWorld(begin)
    yield world
    world.close()


def task(digest: str) -> Task:
    return Task(digest=digest, benchmark="terminal", prompt=SCENARIOS.get(digest, SCENARIO).ticket)


def context(seed: int = 0, steer: str = "", turns: int | None = None) -> AttemptContext:
    return AttemptContext(attempt_id="a", steer=Steer(text=steer), seed=seed, turns_limit=turns)


def commands(result: AttemptResult) -> list[str]:
    return [command_of(event) for event in result.trace]


@pytest.mark.parametrize("name", SCENARIOS)
async def test_without_noise_it_mends_every_kind_of_box_and_harms_nothing(world: TerminalWorld, name: str) -> None:
    worker: Worker = TerminalWorker(world, noise=0.0)
    result = await worker.attempt(task(name), context(turns=60), None)
    tree, whole = from_text(result.output), sound(SCENARIOS[name])
    assert {path: tree.get(path) for path in whole} == whole
    assert result.cost.turns == len(result.trace) < 60 and result.state == result.output


async def test_an_attempt_is_a_function_of_task_start_seed_and_steer(world: TerminalWorld) -> None:
    worker = TerminalWorker(world, noise=0.3)
    first = await worker.attempt(task("several"), context(1, "scripts", turns=8), None)
    assert (
        await TerminalWorker(world, noise=0.3).attempt(task("several"), context(1, "scripts", turns=8), None) == first
    )
    others = [commands(await worker.attempt(task("several"), context(seed, turns=4), None)) for seed in range(4)]
    assert len({tuple(other) for other in others}) > 2
    later = await worker.attempt(task("several"), context(1, "scripts", turns=8), first.state)
    assert commands(later) != commands(first)


async def test_the_record_is_whole_and_can_be_played_again(world: TerminalWorld) -> None:
    for seed in range(3):
        result = await TerminalWorker(world, noise=0.5).attempt(task("several"), context(seed, turns=9), None)
        assert len(result.trace) <= 9 and [event.turn for event in result.trace] == list(range(len(result.trace)))
        again = world.session("several", None)
        for event in result.trace:
            assert again.call(event.name, json.loads(event.arguments)) == (event.text, event.failed)
        assert again.snapshot() == result.state


async def test_it_stops_at_once_where_there_is_no_trouble(world: TerminalWorld) -> None:
    assert commands(await TerminalWorker(world).attempt(task("fine"), context(), None)) == ["./health"]


async def test_turns_are_limited(world: TerminalWorld) -> None:
    assert len((await TerminalWorker(world, turns=2).attempt(task("several"), context(), None)).trace) == 2
    assert (await TerminalWorker(world).attempt(task("several"), context(turns=0), None)).trace == ()


@pytest.mark.parametrize(
    ("steer", "place"),
    [
        ("Look first at: symbolic links.", "links"),
        ("maybe someone left a stale lock?", "leftovers"),
        ("Check again what was changed last: config files.", "config"),
    ],
)
async def test_it_reads_the_words_of_a_steer(world: TerminalWorld, steer: str, place: str) -> None:
    worker = TerminalWorker(world, noise=0.0, compliance=1.0)
    for seed in range(3):
        done = commands(await worker.attempt(task("several"), context(seed, steer, turns=2), None))
        assert done == ["./health", LOOKS[place]]


async def test_what_it_is_warned_of_comes_last_and_undo_takes_back(world: TerminalWorld) -> None:
    worker = TerminalWorker(world, noise=0.0, compliance=1.0)
    warned = await worker.attempt(task("several"), context(0, "Do not look at the scripts or file modes.", 6), None)
    assert LOOKS["scripts"] not in commands(warned)[:4]
    session = world.session("fine", None)
    session.call("run", {"command": "mkdir .before; cp -a bin etc .before/; chmod 777 bin/start; echo x >> etc/env"})
    undone = await worker.attempt(task("fine"), context(0, "Undo the last change: file modes."), session.snapshot())
    assert from_text(undone.output) == {
        **sound(SCENARIO),
        **{p: e for p, e in from_text(undone.output).items() if p.startswith("var/")},
    }


async def test_it_obeys_at_the_stated_rate(world: TerminalWorld) -> None:
    async def obeyed(compliance: float) -> int:
        worker = TerminalWorker(world, noise=0.0, compliance=compliance)
        steer = "Look first at: leftover files."
        results = [await worker.attempt(task("several"), context(seed, steer, turns=2), None) for seed in range(25)]
        return sum(commands(result)[1] == LOOKS["leftovers"] for result in results)

    assert await obeyed(1.0) == 25
    assert await obeyed(0.0) < 12, "one of seven places comes first by chance"


def test_the_fingerprint_carries_its_parameters(world: TerminalWorld) -> None:
    fingerprint = TerminalWorker(world, noise=0.1, compliance=0.5, turns=7).fingerprint
    assert fingerprint.name == "terminal"
    assert fingerprint.params == {"noise": "0.1", "compliance": "0.5", "turns": "7"}
