"""The manifest of a recording, and trees that are found again by the worker it names."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from controllers.baselines import seed_candidate
from controllers.workers.recorded import RecordedWorker
from experiments.recordings.shipped import Recording, corpus_of, recording
from optimizers.collect.collecting import CollectPlan, collect, tree_spec
from optimizers.collect.gathering import gather, made_with
from optimizers.testing_world import STEERS, TASKS, Problem
from signatures.errors import StoreError, UsageError
from signatures.records import WorkerFingerprint

SHIPPED = Recording(
    benchmark="toy",
    worker=WorkerFingerprint(name="chat", model="local/small", params={"temperature": "0.8"}),
    revision="r",
    model_file="small.gguf",
    model_sha256="0" * 64,
    model_bytes=1,
    corpus="corpus.sqlite",
    corpus_sha256="1" * 64,
    licence="Apache-2.0 (model), MIT (tasks)",
    recipe="python -m experiments.collect_run benchmark=toy",
    attempts_turns=(4, 1),
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write(tmp_path, SHIPPED.model_dump_json(indent=1))
    assert recording("toy", tmp_path) == SHIPPED


def test_where_none_ships_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no recording of toy ships"):
        recording("toy", tmp_path)


@pytest.mark.parametrize("text", ["", "{}", SHIPPED.model_dump_json().replace('"toy"', '"other"')])
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    with pytest.raises(StoreError, match=r"manifest\.json"):
        recording("toy", tmp_path)


def test_its_corpus_is_the_one_that_the_manifest_names(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"packed").hexdigest()
    write(tmp_path, SHIPPED.model_copy(update={"corpus": "corpus.zst", "corpus_sha256": digest}).model_dump_json())
    with pytest.raises(StoreError, match="cannot be read"):
        corpus_of("toy", tmp_path)
    (tmp_path / "toy" / "corpus.zst").write_bytes(b"packed")
    assert corpus_of("toy", tmp_path).read_bytes() == b"packed"
    (tmp_path / "toy" / "corpus.zst").write_bytes(b"other")
    with pytest.raises(StoreError, match="not the corpus"):
        corpus_of("toy", tmp_path)


async def test_replay_finds_the_trees_of_the_recorded_worker_without_it() -> None:
    """Trees are matched by the worker's fingerprint, which is all that the recorded worker has."""
    problem, plan = Problem(), CollectPlan(roots=2, depth=2, actions=STEERS)
    live = problem.setup
    made = live.worker.fingerprint
    for task in TASKS[:3]:
        await collect(tree_spec(live, task, plan), live.parts(seed_candidate()), plan)
    asked = problem.worker.attempts
    for who, found in ((made, True), (WorkerFingerprint(name="another"), False)):
        setup = replace(live, worker=RecordedWorker(who))
        trees = [await gather(setup.corpus, t.digest, made_with(setup, t, plan), depth=2) for t in TASKS[:3]]
        assert [bool(tree.roots) for tree in trees] == [found] * 3
    setup = replace(live, worker=RecordedWorker(made))
    again = await collect(tree_spec(setup, TASKS[0], plan), setup.parts(seed_candidate()), plan)
    assert again[0].failure is None and problem.worker.attempts == asked


def write(folder: Path, text: str) -> None:
    (folder / "toy").mkdir()
    (folder / "toy" / "manifest.json").write_text(text, encoding="utf-8")
