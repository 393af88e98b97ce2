"""The layout is what it says, whatever records lack; and no column is one of a verdict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.corpus.columns import KINDS, columns_of, table_of, type_of, united
from controllers.testing import a_decision, an_attempt, an_episode
from signatures.digest import canonical_json, digest_text
from signatures.errors import UsageError
from signatures.records import Attempt, CheckerResult, Cost, Decision, Failure, Steer

LAYOUT = {
    "attempts": "n id episode_id round index parent_id task_digest benchmark worker repeat steer_kind action"
    " steer_digest steer_chars outcome turns tokens_in tokens_out tokens_cached usd wall_s",
    "decisions": "n id episode_id step policy action propensity tier policy_digest legal probabilities",
    "episodes": "n id condition candidate seed split benchmark task_digest worker selected_id failed decisions attempts"
    " granted_attempts granted_turns spent_attempts spent_turns spent_tokens spent_usd",
}

checks = st.lists(
    st.builds(
        CheckerResult,
        objective=st.sampled_from(["correct", "fast", "a.b"]),
        value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        unit=st.just("share"),
        passed=st.none() | st.booleans(),
    ),
    max_size=3,
)
costs = st.builds(Cost, turns=st.none() | st.integers(0, 2**62), usd=st.none() | st.floats(0, 1e9))


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    made = an_attempt(draw(st.integers(0, 9)))
    return made.model_copy(update={"checks": tuple(draw(checks)), "cost": draw(costs)})


features = st.dictionaries(st.sampled_from(["correct", "untried", "untried.a"]), st.floats(-1e9, 1e9))


def test_the_columns_are_those_of_the_layout() -> None:
    """None of them is of a verdict: a score can be in no segment."""
    for kind in KINDS:
        assert table_of(kind, []).column_names == columns_of(kind) == LAYOUT[kind].split()


def test_an_attempts_row() -> None:
    attempt = an_attempt(2, parent="root", wall_s=0.5)
    (row,) = table_of("attempts", [attempt], numbers=[7]).to_pylist()
    assert row == {
        "n": 7,
        "id": attempt.id,
        "episode_id": "e",
        "round": 2,
        "index": 2,
        "parent_id": "root",
        "task_digest": "task of e",
        "benchmark": "toy",
        "worker": canonical_json(attempt.worker),
        "repeat": 0,
        "steer_kind": "fixed",
        "action": "look",
        "steer_digest": digest_text(attempt.steer.text),
        "steer_chars": len(attempt.steer.text),
        "outcome": "ok",
        "turns": 3,
        "tokens_in": None,
        "tokens_out": None,
        "tokens_cached": None,
        "usd": 1e-7,
        "wall_s": 0.5,
        "value.correct": 0.1 + 0.2,
        "passed.correct": False,
        "value.fast": 0.5,
        "passed.fast": None,
    }


def test_a_decisions_row() -> None:
    decision = a_decision(1).model_copy(update={"probabilities": {"done": 0.05, "continue": 0.95}})
    (row,) = table_of("decisions", [decision]).to_pylist()
    assert row["n"] is None
    assert (row["legal"], row["probabilities"]) == (["continue", "done"], [0.95, 0.05])
    assert (row["feature.turns"], row["feature.failing"]) == (3.0, 1 / 3)
    assert (row["policy"], row["action"], row["propensity"], row["tier"]) == ("stop", "continue", 0.95, "rule")


def test_an_action_without_a_recorded_probability_has_none() -> None:
    decision = a_decision(0).model_copy(update={"probabilities": {"continue": 0.95}})
    assert table_of("decisions", [decision])["probabilities"].to_pylist() == [[0.95, None]]


def test_an_episodes_row() -> None:
    ended = Failure(error="ProviderError", message="gone", where="worker")
    episode = an_episode().model_copy(update={"failure": ended, "attempt_ids": ("a", "b"), "selected_id": "b"})
    (row, sound) = table_of("episodes", [episode, an_episode("f", split="dev")], numbers=[3, 9]).to_pylist()
    assert (row["failed"], row["attempts"], row["decisions"], row["selected_id"]) == (True, ["a", "b"], [], "b")
    assert (row["granted_attempts"], row["granted_turns"], row["spent_attempts"]) == (3, None, 1)
    assert (sound["failed"], sound["split"], sound["selected_id"], sound["n"]) == (False, "dev", None, 9)


def test_of_two_results_for_one_objective_the_first_counts() -> None:
    first, second = (CheckerResult(objective="fast", value=value, unit="s") for value in (1.0, 2.0))
    attempt = an_attempt(0).model_copy(update={"checks": (first, second)})
    assert attempt.check("fast") == first
    assert table_of("attempts", [attempt])["value.fast"].to_pylist() == [1.0]


def test_repeated_text_comes_as_codes_of_one_dictionary() -> None:
    import pyarrow as pa

    parts = [table_of("attempts", [an_attempt(0, episode=name)]) for name in "aba"]
    tasks = united("attempts", parts)["task_digest"]
    assert pa.types.is_dictionary(tasks.type)
    assert [chunk.indices.to_pylist() for chunk in tasks.chunks] == [[0], [1], [0]]


@given(st.lists(attempts(), max_size=6), st.integers(0, 6))
def test_put_together_is_made_together(records: list[Attempt], cut: int) -> None:
    whole = table_of("attempts", records)
    parts = united("attempts", [table_of("attempts", records[:cut]), table_of("attempts", records[cut:])])
    assert {*parts.column_names} == {*whole.column_names}
    assert parts.select(whole.column_names).to_pylist() == whole.to_pylist()
    for row, record in zip(whole.to_pylist(), records, strict=True):
        for objective in ("correct", "fast", "a.b"):
            check = record.check(objective)
            assert row.get(f"value.{objective}") == (check.value if check else None)
            assert row.get(f"passed.{objective}") is (check.passed if check else None)
        assert (row["turns"], row["usd"]) == (record.cost.turns, record.cost.usd)


@given(st.lists(features, max_size=6))
def test_a_feature_that_was_not_observed_is_null(seen: list[dict[str, float]]) -> None:
    records: list[Decision] = [a_decision(0).model_copy(update={"features": each}) for each in seen]
    table = table_of("decisions", records)
    assert [name for name in table.column_names if name.startswith("feature.")] == sorted(
        {f"feature.{name}" for each in seen for name in each}
    )
    for row, each in zip(table.to_pylist(), seen, strict=True):
        assert {name: row[f"feature.{name}"] for name in each} == each
        assert all(row[name] is None for name in row if name.startswith("feature.") and name[8:] not in each)


def test_columns_are_given_in_the_order_asked_for() -> None:
    table = table_of("attempts", [an_attempt(0), an_attempt(1)])
    asked = ["value.never", "action", "id", "value.correct"]
    found = united("attempts", [table, table.drop_columns(["value.correct"])], asked)
    assert found.column_names == asked
    assert found["value.never"].to_pylist() == [None] * 4
    assert found["value.correct"].to_pylist() == [0.1 + 0.2] * 2 + [None] * 2
    assert united("attempts", [], asked).column_names == asked


def test_a_column_that_cannot_be_names_those_that_can() -> None:
    with pytest.raises(UsageError, match=r"attempts have no column 'score'; columns: n, id, .*, value\.<name>, passed"):
        united("attempts", [], ["score"])
    with pytest.raises(UsageError, match=r"episodes have no column 'value\.correct'"):
        type_of("episodes", "value.correct")


def test_a_number_beyond_64_bits_is_refused() -> None:
    with pytest.raises(UsageError, match="episodes: a value does not fit its column"):
        table_of("episodes", [an_episode().model_copy(update={"seed": 2**70})])


def test_tier_and_tools_that_a_steer_gave_have_columns_where_one_did() -> None:
    plain = an_attempt(0)
    steer = Steer(kind="fixed", action="strong", tier="strong", tools=("map", "key"))
    given = an_attempt(1).model_copy(update={"steer": steer})
    assert "steer.tier" not in table_of("attempts", [plain]).column_names
    rows = table_of("attempts", [plain, given]).to_pylist()
    assert [(row["steer.tier"], row["steer.tools"]) for row in rows] == [(None, None), ("strong", '["map","key"]')]
    assert type_of("attempts", "steer.tier") == "word"
