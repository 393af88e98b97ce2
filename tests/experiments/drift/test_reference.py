"""References: search episodes and the gate's own, one state a task, of one worker and one grant, by checkers."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from controllers.corpus import SqliteCorpus
from experiments.drift.reference import Like, reference_from
from experiments.gate.holdout.register import register_gate
from experiments.gate.holdout.run import CORPUS, NUMBERS, Numbers, run_gate
from optimizers.drift.binned import counts_of
from signatures.errors import UsageError
from signatures.records import Attempt, Episode, WorkerFingerprint
from tests.worlds.drifting import WORLD, searched
from tests.worlds.gated import gate_config, saved
from tests.worlds.lab import Lab, lamp_follower, steered


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gate of the lamp follower, run on 15 tasks."""
    root = tmp_path_factory.mktemp("gate")
    candidate = saved(root / "saved", "lamp", lamp_follower())
    path, _ = register_gate(gate_config(root / "runs", candidate, slices=12, repeats=2))
    run_gate(path)
    return path.parent


@pytest.fixture
async def corpus(tmp_path: Path):  # type: ignore[no-untyped-def]  # an async generator
    """A corpus of search episodes on 20 tasks."""
    lab = Lab(tmp_path)
    with closing(SqliteCorpus(tmp_path / "corpus-planted.db")) as opened:
        await searched(opened, lab, 20)
        yield opened
    lab.close()


async def copied(corpus: SqliteCorpus, name: str, **changed: object) -> None:
    """Another episode of each, with something else about it."""
    for episode in [e async for e in corpus.scan(Episode)]:
        await corpus.append(episode.model_copy(update={"id": f"{name} {episode.id}", **changed}))


async def test_one_state_per_task_whatever_is_repeated(corpus: SqliteCorpus) -> None:
    first = await reference_from(corpus, WORLD, None, "none")
    assert first is not None and first.success == {}
    assert {sum(counts_of(one)) for one in first.features.values()} == {20}
    await copied(corpus, "again")
    assert await reference_from(corpus, WORLD, None, "none") == first


async def test_only_the_search_split_counts(corpus: SqliteCorpus) -> None:
    before = await reference_from(corpus, WORLD, None, "none")
    for split in ("dev", "holdout", "production"):
        some = [e async for e in corpus.scan(Episode)][:1]
        attempt = await corpus.get(Attempt, some[0].attempt_ids[0])
        assert attempt is not None
        other = attempt.model_copy(update={"id": f"a-{split}", "task_digest": f"task-{split}"})
        changed = {"id": f"e-{split}", "split": split, "task_digest": f"task-{split}", "attempt_ids": (other.id,)}
        await corpus.append(other, some[0].model_copy(update=changed))
    assert await reference_from(corpus, WORLD, None, "none") == before


async def test_another_worker_or_another_grant_is_another_world(corpus: SqliteCorpus) -> None:
    other = WorkerFingerprint(name="other")
    assert await reference_from(corpus, WORLD, None, "none", like=Like(worker=other)) is None
    assert await reference_from(corpus, WORLD, None, "none", like=Like(turns_per_attempt=30)) is None
    assert await reference_from(corpus, WORLD, None, "none", like=Like(turns_per_attempt=3)) is not None


async def test_success_is_the_gates_by_checkers_and_no_verdict_is_read(corpus: SqliteCorpus, gate: Path) -> None:
    (gate / CORPUS).with_suffix(".verdicts.db").rename(gate / "moved.db")
    found = await reference_from(corpus, WORLD, gate, lamp_follower().digest)
    (gate / "moved.db").rename((gate / CORPUS).with_suffix(".verdicts.db"))
    assert found is not None
    assert list(found.success) == [one.name for one in WORLD.objectives]
    assert {level.n for level in found.success.values()} == {15}
    numbers = Numbers.model_validate_json((gate / NUMBERS).read_bytes())
    scores = [one.values["correct"] or 0.0 for one in numbers.played if one.arm == "candidate"]
    judged = sum(scores) / len(scores)
    assert found.success["correct"].mean > judged + 0.05, "the checker cannot see the core, the judge can"


async def test_a_gate_of_another_candidate_is_refused(corpus: SqliteCorpus, gate: Path) -> None:
    with pytest.raises(UsageError, match="its candidate is"):
        await reference_from(corpus, WORLD, gate, steered("fan").digest)


async def test_nothing_recorded_is_no_reference(tmp_path: Path) -> None:
    with closing(SqliteCorpus(tmp_path / "empty.db")) as empty:
        assert await reference_from(empty, WORLD, None, "none") is None


async def test_a_gate_that_played_nothing_has_no_success(corpus: SqliteCorpus, tmp_path: Path) -> None:
    one = saved(tmp_path / "a", "lamp", lamp_follower())
    path, _ = register_gate(gate_config(tmp_path / "runs", one, saved(tmp_path / "b", "copy", lamp_follower())))
    await asyncio.to_thread(run_gate, path)  # it has a loop of its own
    found = await reference_from(corpus, WORLD, path.parent, lamp_follower().digest)
    assert found is not None
    assert found.success == {}
