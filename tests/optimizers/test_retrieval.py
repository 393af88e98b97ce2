from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.retrieval import THRESHOLD, Here, Shelf
from tests.worlds.lab import GRANT, lamp_follower, steered
from tests.worlds.shelved import MACHINES, WORKER, asked, strategy

HERE = Here(WORKER, GRANT)
PUMPS = strategy("pumps", steered("pump"), ("The pump leaks oil near its gasket.", "A pump makes noise and leaks."))
FANS = strategy("fans", steered("fan"), ("The fan spins too slowly today.", "A fan blade is bent, it spins badly."))


def test_the_most_relevant_one_is_retrieved_and_executed() -> None:
    shelf = Shelf([PUMPS, FANS], HERE)
    for prompt, expected in (("My pump leaks.", PUMPS), ("Why does the fan spin so badly? A blade is bent", FANS)):
        found = shelf.retrieve(asked(prompt))
        assert found.stored == expected
        assert found.relevance >= THRESHOLD


def test_where_nothing_is_relevant_none_is_and_the_callers_own_plays() -> None:
    shelf = Shelf([PUMPS, FANS], HERE)
    found = shelf.retrieve(asked("Prove that every bounded sequence converges."))
    assert (found.stored, found.relevance < THRESHOLD) == (None, True)
    assert "is below" in found.why


def test_the_threshold_is_the_callers() -> None:
    task = asked("A pump, perhaps, or something quite different from one in every respect")
    assert Shelf([PUMPS], HERE, threshold=0.0).retrieve(task).stored == PUMPS
    assert Shelf([PUMPS], HERE, threshold=1.0).retrieve(task).stored is None


@pytest.mark.parametrize(
    "here",
    [
        Here(WORKER.model_copy(update={"model": "another"}), GRANT),
        Here(WORKER.model_copy(update={"params": {"noise": "0.3", "compliance": "1.0"}}), GRANT),
        Here(WORKER, replace(GRANT, attempts=4)),
        Here(WORKER, replace(GRANT, turns_per_attempt=12)),
        Here(WORKER, replace(GRANT, steer_legal=("none",))),
    ],
)
def test_another_worker_or_grant_gets_nothing(here: Here) -> None:
    found = Shelf([PUMPS, FANS], here).retrieve(asked("My pump leaks."))
    assert (found.stored, found.relevance) == (None, 0.0)
    assert "2 were measured with another worker or grant" in found.why


def test_another_benchmark_gets_nothing() -> None:
    assert Shelf([PUMPS], HERE).retrieve(asked("My pump leaks.", "elsewhere")).stored is None


def test_of_equals_the_last_one_stored_is_taken() -> None:
    first, second = strategy("first", lamp_follower()), strategy("second", steered("core"))
    assert Shelf([first, second], HERE).retrieve(asked(MACHINES[0])).stored == second
    assert Shelf([second, first], HERE).retrieve(asked(MACHINES[0])).stored == first


def test_texts_without_words_are_relevant_to_nothing() -> None:
    shelf = Shelf([strategy("dots", prompts=("...",))], HERE)
    assert shelf.retrieve(asked("...")).stored is None


@given(st.text(max_size=60))
@settings(max_examples=40, deadline=None)
def test_any_prompt_is_answered_the_same_twice(prompt: str) -> None:
    shelf = Shelf([PUMPS, FANS], HERE)
    found = shelf.retrieve(asked(prompt))
    assert found == shelf.retrieve(asked(prompt)) == Shelf([PUMPS, FANS], HERE).retrieve(asked(prompt))
    assert 0.0 <= found.relevance <= 1.0 + 1e-9
