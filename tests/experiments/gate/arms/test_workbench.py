"""Where a gate works: one folder per config and world, one corpus for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.config import merge
from experiments.gate.arms.workbench import begin, folder_for, opened, ready_for
from experiments.gate_a_run import GateAConfig
from signatures.errors import UsageError
from tests.experiments.gate.arms.test_contrasts import gate_config


def test_the_same_config_has_the_same_folder_and_another_one_another(tmp_path: Path) -> None:
    def folder(**changed: object) -> Path:
        config = gate_config(tmp_path, **changed)
        return folder_for("gate-a", config, [ready_for(config)])

    assert folder() == folder(concurrency=2, tracking=True)
    others = [folder(), folder(tasks=7), folder(options={"noise": 0.3}), folder(alpha=0.01), folder(seed=1)]
    assert len(set(others)) == len(others)
    assert folder().parent == tmp_path


def test_worlds_of_other_options_share_the_corpus(tmp_path: Path) -> None:
    config = gate_config(tmp_path)
    plain, noisy = ready_for(config), ready_for(config, options={"noise": 0.4})
    assert plain.config.corpus == noisy.config.corpus == str(tmp_path / "corpus-planted.db")
    assert plain.worker.fingerprint != noisy.worker.fingerprint


def test_a_run_folder_keeps_the_config_that_made_it(tmp_path: Path) -> None:
    config = gate_config(tmp_path / "runs")
    begin(tmp_path / "runs" / "one", config)
    assert merge(GateAConfig, tmp_path / "runs" / "one" / "config.toml") == config


def test_a_folder_that_cannot_be_made_is_the_callers(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot make a run folder"):
        begin(tmp_path / "file" / "run", gate_config(tmp_path))


def test_a_journal_of_another_worker_is_refused(tmp_path: Path) -> None:
    config = gate_config(tmp_path)
    with opened(ready_for(config), tmp_path / "run"):
        pass
    with (
        pytest.raises(UsageError, match="another"),
        opened(ready_for(config, options={"noise": 0.4}), tmp_path / "run"),
    ):
        pass
