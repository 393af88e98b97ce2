"""Which states a canary is asked, and that they tell controllers apart."""

from __future__ import annotations

from pathlib import Path

from controllers.corpus import SqliteCorpus
from controllers.loop import run_episode
from controllers.program import controller_of
from experiments.promote.expected import Seen, chosen, expected_of, recorded_states
from signatures.records import Split
from tests.worlds.lab import STEERS, Lab, lamp_follower, steered
from tests.worlds.planted import PlantedBenchmark

LAMP, CORE = controller_of(lamp_follower()), controller_of(steered("core"))


async def played(folder: Path, split: Split) -> Path:
    path = folder / f"{split}.db"
    async with SqliteCorpus(path) as corpus:
        lab = Lab(folder, corpus=corpus)
        setup = lab.setup()
        for task in PlantedBenchmark().tasks("search")[:4]:
            spec = setup.spec(task, lamp_follower(), condition="c", split=split, seed=1)
            await run_episode(spec, setup.parts(lamp_follower()))
        lab.close()
    return path


async def test_states_of_search_are_shown_and_of_the_holdout_never(tmp_path: Path) -> None:
    found = await recorded_states(await played(tmp_path, "search"))
    assert found
    assert {one.policy for one in found} == {"stop", "topology", "steer"}
    assert len({str(one) for one in found}) == len(found)
    assert await recorded_states(await played(tmp_path, "holdout")) == ()
    assert await recorded_states(tmp_path / "absent.db") == ()


async def test_edges_tell_apart_what_recorded_states_do_not() -> None:
    dark = Seen("steer", {"attempts": 1.0}, ("none", "core"))
    states, recorded = chosen([dark], [LAMP, CORE], STEERS, count=20, nonce="n")
    assert recorded == 1
    one = await expected_of(LAMP, [dark], nonce="n", floor=0.05, before=CORE)
    assert one.telling == 0
    all_of_them = await expected_of(LAMP, states, nonce="n", floor=0.05, before=CORE, recorded=recorded)
    assert all_of_them.telling is not None and all_of_them.telling >= 3


async def test_every_rule_of_the_candidate_fires_in_some_state() -> None:
    states, _ = chosen([], [LAMP], STEERS, count=40, nonce="n")
    found = await expected_of(LAMP, states, nonce="n", floor=0.0)
    drawn = {
        answer.action for state, answer in zip(found.states, found.answers, strict=True) if state.policy == "steer"
    }
    assert drawn == {"fan", "pump", "valve", "core"}
    assert {"done", "continue"} <= {answer.action for answer in found.answers}


def test_the_nonce_chooses_and_the_count_holds() -> None:
    recorded = [Seen("stop", {"attempts": float(n)}, ("continue", "done")) for n in range(100)]
    one, other = (chosen(recorded, [LAMP], STEERS, count=16, nonce=nonce) for nonce in ("a", "b"))
    assert one == chosen(recorded, [LAMP], STEERS, count=16, nonce="a")
    assert one != other
    assert len(one[0]) == len(other[0]) == 16
    assert one[1] >= 8


async def test_each_state_has_a_seed_of_its_own_canary() -> None:
    state = Seen("stop", {}, ("continue", "done"))
    one, other = [await expected_of(LAMP, [state, state], nonce=nonce, floor=0.1) for nonce in ("a", "b")]
    assert len({s.seed for s in (*one.states, *other.states)}) == 4
