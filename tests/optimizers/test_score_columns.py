"""Scores as columns say what the records say."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from controllers.jsonlog import read_jsonlog
from optimizers.journal import Journal
from optimizers.records import TaskScore
from optimizers.score_columns import Columns, columns_of, plain
from signatures.digest import canonical_json
from signatures.records import Amounts, Failure

VALUE = st.none() | st.floats(0, 1)


def score(task: str, **changed: object) -> TaskScore:
    body = {
        "candidate": "c",
        "condition": "candidate",
        "task_digest": task,
        "seed": 3,
        "split": "search",
        "values": {"good": 0.25},
        "source": "replay",
        "used": Amounts(attempts=2, turns=6),
    }
    return TaskScore.model_validate({**body, **changed})


@given(
    st.lists(
        st.tuples(st.sampled_from("cd"), st.tuples(VALUE, VALUE), st.integers(0, 9), st.floats(0, 0.05)), max_size=6
    )
)
def test_what_is_written_as_columns_is_read_as_it_was(
    rows: list[tuple[str, tuple[float | None, float | None], int, float]],
) -> None:
    scored = {
        f"part/head/{candidate}/{n}": score(
            str(n),
            candidate=candidate,
            values=dict(zip(("good", "cheap"), values, strict=True)),
            used=Amounts(attempts=attempts),
            unsupported=unsupported,
        )
        for n, (candidate, values, attempts, unsupported) in enumerate(rows)
    }
    assert all(plain(key, one) for key, one in scored.items())
    found: dict[str, TaskScore] = {}
    for columns in columns_of(scored):
        found |= Columns.model_validate_json(canonical_json(columns)).scores()
    assert found == scored


def test_a_score_that_says_more_is_no_row_of_a_column() -> None:
    failure = Failure(error="WorkerError", message="gone", where="worker")
    more: tuple[dict[str, object], ...] = (
        {"source": "live"},
        {"set_aside": True},
        {"cut": "usd"},
        {"fault": "cpu"},
        {"asked": ("x",)},
        {"saved": 1},
        {"episode_id": "e"},
        {"failure": failure},
        {"spent": Amounts(usd=0.1)},
        {"used": Amounts(attempts=1, tokens=5)},
    )
    assert plain("k/t", score("t"))
    assert not any(plain("k/t", score("t", **one)) for one in more)
    assert not plain("k/other", score("t"))


def test_a_journal_writes_both_forms_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    scored = {"h/a": score("a"), "h/b": score("b", source="live", spent=Amounts(attempts=1)), "h/c": score("c")}
    journal.part("p").write_scores(scored, wall_s=1.5)
    journal.close()
    (entry,) = read_jsonlog(path)
    assert len(json.loads(canonical_json(entry))["scores"]) == 1
    again = Journal(path)
    assert {key: again.part("p").score(key) for key in scored} == scored
    assert {again.part("p").wall(key) for key in scored} == {1.5}
    again.close()
