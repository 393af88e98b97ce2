"""Adding: what an honest gate certifies is kept, nothing else, and no verdict comes with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from experiments.gate.holdout.register import register_gate
from experiments.gate.holdout.run import run_gate
from experiments.store.adding import FILE, add, listed, store_path
from signatures.errors import EvidenceError, TillerError, UsageError
from tests.worlds.gated import gate_config, saved
from tests.worlds.lab import GRANT, lamp_follower
from tests.worlds.planted import PlantedBenchmark
from tests.worlds.shelved import TOKEN, WORKER


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gate that says promote, judged by a judge that marks its words. Nothing may change it."""
    root = tmp_path_factory.mktemp("gated")
    lamp = saved(root / "saved", "lamp", lamp_follower())
    passing = {"slices": 1, "min_effect": 0.15, "margins": {"cheap": 0.1, "clean": 0.1}}
    config = gate_config(root / "runs", lamp, benchmark="tests.worlds.shelved:WithToken", **passing)  # type: ignore[arg-type]
    registration, _ = register_gate(config)
    run_gate(registration)
    return registration.parent


def test_a_certified_strategy_is_kept_with_what_was_measured(gate: Path, tmp_path: Path) -> None:
    path = store_path(str(tmp_path), None)
    assert path == tmp_path / FILE
    kept, again = add(gate, path), add(gate, path)
    assert (kept.new, again.new) == (True, False)
    (stored,) = listed(path)
    assert stored == kept.stored
    assert stored.candidate == lamp_follower()
    assert (stored.name, stored.worker, stored.grant) == ("lamp", WORKER, GRANT)
    assert stored.certificate.gate == gate.name
    assert (stored.effect.objective, stored.effect.n) == ("correct", 180)
    assert 0 < stored.effect.lo < stored.effect.effect < stored.effect.hi
    assert "repair" in stored.task_class.terms


def test_no_verdict_is_kept_but_the_aggregate(gate: Path, tmp_path: Path) -> None:
    verdicts = b"".join(path.read_bytes() for path in gate.glob("*.verdicts.db*"))
    assert TOKEN.encode() in verdicts
    path = tmp_path / "store.db"
    stored = add(gate, path).stored
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("store.db*"))
    assert TOKEN.encode() not in kept
    assert TOKEN not in stored.model_dump_json()
    gated = PlantedBenchmark().tasks("holdout")
    assert not any(task.digest.encode() in kept or task.prompt.encode() in kept for task in gated)


@pytest.mark.parametrize("file", ["candidate.json", "numbers.json", "report.json", "registration.json"])
def test_a_gate_that_was_edited_adds_nothing(gate: Path, tmp_path: Path, file: str) -> None:
    shutil.copytree(gate.parent, tmp_path / "runs")
    forged = tmp_path / "runs" / gate.name
    text = (forged / file).read_text(encoding="utf-8")
    digit = next(n for n, c in enumerate(text) if n > len(text) // 2 and c in "123456789")
    (forged / file).write_text(
        text[:digit] + ("2" if text[digit] == "1" else "1") + text[digit + 1 :], encoding="utf-8"
    )
    with pytest.raises(TillerError) as error:
        add(forged, tmp_path / "store.db")
    assert isinstance(error.value, UsageError | EvidenceError)
    assert not (tmp_path / "store.db").exists()


def test_a_gate_without_a_ledger_adds_nothing(gate: Path, tmp_path: Path) -> None:
    shutil.copytree(gate, tmp_path / "runs" / gate.name)
    with pytest.raises(UsageError, match="ledger: is missing"):
        add(tmp_path / "runs" / gate.name, tmp_path / "store.db")


def test_no_store_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="store_run add"):
        listed(tmp_path / "store.db")
