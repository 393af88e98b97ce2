from __future__ import annotations

import json
import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.simulating import Call, Calls, Manner, Steps, Wishes, event_of, result_of, wishes_in
from signatures.errors import UsageError
from signatures.records import AttemptContext, Steer, Task, TraceEvent

MANNER = Manner("counting", noise=0.15, compliance=0.8, turns=12)
TASK = Task(digest="t", benchmark="counting", prompt="Count.")
STOPS = {"door": ("lock", "hinge"), "window": ("glass",), "roof": ("tiles",)}
LAYERS = frozenset(layer for layers in STOPS.values() for layer in layers)


class Counter:
    """A session that counts its calls; a call named `bad` fails."""

    def __init__(self) -> None:
        self.count = 0

    def call(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        self.count += 1
        return f"{tool} {self.count}", tool == "bad"

    def snapshot(self) -> str:
        return str(self.count)


class Counting:
    """Work of so many calls, which keeps what it is sent and whether it was closed."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.sent: list[str] = []
        self.closed = False

    def steps(self) -> Steps[None]:
        try:
            for _ in range(self.calls):
                self.sent.append((yield Call("count")))
        finally:
            self.closed = True


def context(seed: int = 0, steer: str = "", turns: int | None = None) -> AttemptContext:
    return AttemptContext(attempt_id="a", steer=Steer(text=steer), seed=seed, turns_limit=turns)


def layers_in(text: str) -> frozenset[str]:
    return LAYERS.intersection(text.split())


@pytest.mark.parametrize("wrong", [{"noise": -0.1}, {"noise": 1.1}, {"compliance": 2.0}, {"turns": 0}])
def test_impossible_rates_are_refused_by_the_name_of_the_worker(wrong: dict[str, float]) -> None:
    given = {"noise": 0.0, "compliance": 1.0, "turns": 1, **wrong}
    said = "counting worker: noise {noise} and compliance {compliance} must be within [0, 1], turns {turns} >= 1"
    with pytest.raises(UsageError) as refused:
        Manner("counting", **given)  # type: ignore[arg-type]  # a wrong number is the point
    assert str(refused.value) == said.format(**given)


def test_the_fingerprint_is_the_name_and_the_rates() -> None:
    assert MANNER.fingerprint.name == "counting" and MANNER.fingerprint.model is None
    assert MANNER.fingerprint.params == {"noise": "0.15", "compliance": "0.8", "turns": "12"}


def test_random_numbers_are_a_function_of_task_start_seed_and_steer() -> None:
    def drawn(digest: str, seed: int, steer: str, start: str | None) -> float:
        task = Task(digest=digest, benchmark="counting", prompt="")
        return MANNER.begin(task, context(seed, steer), start).rng.random()

    assert drawn("t", 1, "go", "s") == drawn("t", 1, "go", "s")
    others = [("u", 1, "go", "s"), ("t", 2, "go", "s"), ("t", 1, "stop", "s"), ("t", 1, "go", "r")]
    assert len({drawn(*other) for other in [("t", 1, "go", "s"), *others]}) == 5


def test_a_limit_of_the_context_comes_before_the_workers_own() -> None:
    assert [MANNER.begin(TASK, context(turns=turns), None).limit for turns in (None, 0, 40)] == [12, 0, 40]


@pytest.mark.parametrize("rate", [0.0, 0.8, 1.0])
def test_it_hears_and_slips_at_the_stated_rates(rate: float) -> None:
    manner = Manner("counting", noise=rate, compliance=rate, turns=1)
    begun = [manner.begin(TASK, context(seed, "go"), None) for seed in range(300)]
    assert {one.heard for one in begun} <= {"go", ""}
    assert sum(one.heard == "go" for one in begun) / 300 == pytest.approx(rate, abs=0.07 * (0 < rate < 1))
    assert sum(one.slips() for one in begun) / 300 == pytest.approx(rate, abs=0.07 * (0 < rate < 1))


@given(wanted=st.integers(0, 6), limit=st.integers(-1, 6))
def test_work_is_followed_to_its_end_or_to_the_limit_and_is_closed(wanted: int, limit: int) -> None:
    counting, calls = Counting(wanted), Calls(Counter())
    calls.follow(counting.steps(), limit)
    result = calls.result()
    made = max(0, min(wanted, limit))
    assert counting.closed and counting.sent == [event.text for event in result.trace]
    assert (result.output, result.state, result.cost.turns) == (str(made), str(made), made)
    assert [event.turn for event in result.trace] == list(range(made))


def test_a_call_may_be_made_after_the_work() -> None:
    calls = Calls(Counter())
    calls.follow(Counting(9).steps(), 2)
    assert calls.make(Call("bad", {"b": 1, "a": "x"})) == "bad 3"
    last = calls.result().trace[-1]
    assert (last.turn, last.name, json.loads(last.arguments), last.failed) == (2, "bad", {"a": "x", "b": 1}, True)


def test_an_event_holds_the_call_and_a_result_the_events() -> None:
    event = event_of(0, Call("look"), "dark", failed=False)
    assert event == TraceEvent(turn=0, kind="tool", name="look", arguments="{}", text="dark")
    assert result_of("s", [event]).trace == (event,)


def test_wishes_are_read_sentence_by_sentence() -> None:
    said = ["Look at the lock", "Do not touch the glass", "called: hinge", "Undo the tiles", "take back the lock"]
    assert wishes_in(said, layers_in) == Wishes(
        first=frozenset({"lock"}), last=frozenset({"glass", "hinge"}), undo=frozenset({"tiles", "lock"})
    )
    assert wishes_in(["revert the last change"], layers_in).undo == frozenset()
    assert wishes_in([], layers_in) == Wishes(frozenset(), frozenset(), None)


@given(
    first=st.frozensets(st.sampled_from(sorted(LAYERS))),
    last=st.frozensets(st.sampled_from(sorted(LAYERS))),
    seed=st.integers(0, 99),
)
def test_a_tour_visits_each_stop_once_wished_ones_first_and_warned_ones_last(
    first: frozenset[str], last: frozenset[str], seed: int
) -> None:
    tour = Wishes(first, last, None).tour(STOPS, random.Random(seed))
    early = [any(layer in first and layer not in last for layer in STOPS[stop]) for stop in tour]
    late = [all(layer in last for layer in STOPS[stop]) for stop in tour]
    assert sorted(tour) == sorted(STOPS)
    assert early == sorted(early, reverse=True) and late == sorted(late)


def test_tours_differ_by_chance() -> None:
    rng = random.Random(0)
    assert len({tuple(Wishes(frozenset(), frozenset(), None).tour(STOPS, rng)) for _ in range(60)}) == 6
