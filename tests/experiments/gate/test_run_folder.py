"""Run folders: each run its own, with the config that it goes on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.gate.learned.stream_config import GateBConfig
from experiments.gate.run_folder import claim_folder, config_in
from signatures.errors import UsageError


def test_each_run_gets_a_folder_of_its_own_with_its_config(tmp_path: Path) -> None:
    config = GateBConfig(runs=5, options={"noise": 0.3})
    folders = [claim_folder(config, tmp_path / "runs", "a.b:C/d-gate-b") for _ in range(2)]
    assert [folder.name for folder in folders] == ["a.b.C.d-gate-b-1", "a.b.C.d-gate-b-2"]
    assert config_in(folders[1], GateBConfig) == config


def test_what_is_no_folder_or_cannot_be_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no run folder"):
        config_in(tmp_path, GateBConfig)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot make a run folder"):
        claim_folder(GateBConfig(), tmp_path / "file", "x")
