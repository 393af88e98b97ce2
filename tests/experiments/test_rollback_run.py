"""`rollback_run` as a command: what it refuses; rolling back itself is in promote/test_rolling_back.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.rollback_run import RollbackConfig, named, run
from signatures.errors import UsageError


def test_a_name_and_overrides_make_the_config() -> None:
    found = named(RollbackConfig, ["shop", "root=elsewhere"], {"reason": "success fell"})
    assert found == RollbackConfig(name="shop", root="elsewhere", reason="success fell")
    assert named(RollbackConfig, [], {"reason": None}) == RollbackConfig()
    with pytest.raises(UsageError, match="one registered model at a time"):
        named(RollbackConfig, ["shop", "bank"], {})


def test_nothing_to_go_back_to_is_a_usage_error(root: Path) -> None:
    with pytest.raises(UsageError, match="nothing was promoted there"):
        run(RollbackConfig(root=str(root)))
    with pytest.raises(UsageError, match="no version of shop was promoted with this run root"):
        run(RollbackConfig(name="shop", root=str(root)))
