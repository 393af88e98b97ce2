"""pass^k and random@k: on a table made by hand, from a corpus, and where the record does not reach."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.corpus import SqliteCorpus
from experiments.corpus.passk import PassTable, pass_hat_k, pass_tables, shown
from experiments.importing.building import imported
from experiments.importing.recording import Recording, Rollout, Score
from experiments.places import ledger_beside
from judges.ledger import VerdictLedger
from optimizers.replay.closed_form import random_at_k
from signatures.errors import NoSupport, UsageError
from signatures.records import Cost, WorkerFingerprint


async def recorded(path: Path, scores: dict[str, list[float | None]], **more: object) -> Path:
    built = [
        imported(
            Recording(
                benchmark="b",
                key=task,
                run=str(run),
                worker=WorkerFingerprint(name="w"),
                rollouts=(Rollout.model_validate({"output": "x", "scores": (Score(value=score),), **more}),),
            )
        )
        for task, held in scores.items()
        for run, score in enumerate(held)
    ]
    async with SqliteCorpus(path) as corpus:
        for one in built:
            await corpus.append(*one.attempts, one.episode, blobs=one.blobs)
    with VerdictLedger(ledger_beside(path)) as ledger:
        await ledger.append(*(verdict for one in built for verdict in one.verdicts))
    return path


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=6), st.data())
def test_both_are_means_over_all_draws(passed: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(passed)))
    draws = list(combinations(passed, k))
    n, c = len(passed), sum(passed)
    assert pass_hat_k(n, c, k) == pytest.approx(sum(map(all, draws)) / len(draws))
    assert random_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_more_than_was_recorded_is_no_support() -> None:
    with pytest.raises(NoSupport, match=r"pass\^3 from 2"):
        pass_hat_k(2, 1, 3)


async def test_a_table(tmp_path: Path) -> None:
    path = await recorded(tmp_path / "a.db", {"s": [1.0, 0.0], "t": [1.0 - 1e-9, 1.0, 0.5], "u": [None, None]})
    (table,) = await pass_tables(path)
    assert (table.tasks, table.attempts, table.unscored) == (2, 5, 2)
    assert [(row.k, row.tasks) for row in table.rows] == [(1, 2), (2, 2)]
    assert [row.pass_k for row in table.rows] == pytest.approx([(1 / 2 + 2 / 3) / 2, (0 + 1 / 3) / 2])
    assert [row.random_k for row in table.rows] == pytest.approx([(1 / 2 + 2 / 3) / 2, 1.0])
    assert all(lo <= row.pass_k <= hi for row in table.rows for lo, hi in [row.pass_k_interval])
    assert shown(table)[2].split()[:2] == ["1", "0.583"]
    (lower,) = await pass_tables(path, mark=0.5, k=3)
    assert [(row.k, row.pass_k, row.tasks) for row in lower.rows][-1] == (3, 1.0, 1)


async def test_what_the_record_cannot_answer_is_said(tmp_path: Path) -> None:
    path = await recorded(tmp_path / "a.db", {"t": [1.0, 0.0]})
    (table,) = await pass_tables(path)
    assert [reason.partition(":")[0] for reason in table.unknown] == [
        "what going on from an attempt, or a steer, would have done",
        "what another controller would have drawn",
        "what it would have cost",
        "which attempt a checker would have kept",
    ]
    paid = await recorded(tmp_path / "b.db", {"t": [1.0]}, cost=Cost(usd=0.5))
    (table,) = await pass_tables(paid)
    assert not any("cost" in reason for reason in table.unknown)
    assert isinstance(table, PassTable)


async def test_refined_steered_and_failed_attempts_are_not_fresh(tmp_path: Path) -> None:
    steered = {"steer": {"kind": "fixed", "action": "a", "text": "x"}}
    path = await recorded(tmp_path / "a.db", {"t": [0.0, 0.0]}, **steered)
    with pytest.raises(NoSupport, match="no fresh attempt has a score"):
        await pass_tables(path)


async def test_where_the_record_ends(tmp_path: Path) -> None:
    path = await recorded(tmp_path / "a.db", {"t": [1.0, 0.0]})
    with pytest.raises(NoSupport, match="no task has 3 scored fresh attempts; the most is 2"):
        await pass_tables(path, k=3)
    with pytest.raises(NoSupport, match="another@1"):
        await pass_tables(path, judge="another@1")
    with pytest.raises(UsageError, match="no episode of the dev split"):
        await pass_tables(path, split="dev")
    ledger_beside(path).unlink()
    with pytest.raises(UsageError, match="no ledger"):
        await pass_tables(path)
