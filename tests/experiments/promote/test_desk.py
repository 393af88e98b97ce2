"""The ledger holds an entry whether or not MLflow can mirror it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from controllers.release import Champion
from experiments.promote.desk import certificate_digest, desk, same, shown
from experiments.promote.ledger import Challenged
from experiments.registry import Version
from signatures.errors import UsageError
from tests.worlds.lab import lamp_follower
from tests.worlds.released import released

ENTRY = Challenged(
    name="shop",
    version="1",
    release="r",
    candidate="c",
    from_version=None,
    certificate=None,
    ungated="a test",
    at=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_an_entry_that_mlflow_does_not_get_stands_in_the_ledger(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port}")
    said: list[str] = []
    with desk("shop", tmp_path, said.append) as at:
        at.record(ENTRY)
        assert at.ledger.entries() == (ENTRY,)
        with pytest.raises(UsageError, match="goes on"), desk("shop", tmp_path, said.append):
            pass
    (note,) = said
    assert "stands in the ledger and not in MLflow" in note


def test_versions_are_the_same_by_what_they_hold() -> None:
    one = Version("shop", "1", "models:/m-1", {}, 0.0)
    assert same(one, one._replace(created_s=9.0)) and same(None, None)
    assert not same(one, None) and not same(one, one._replace(source="models:/m-2"))
    assert (shown(one), shown(None)) == ("version 1", "none")


def test_no_certificate_has_no_digest(tmp_path: Path) -> None:
    champion: Champion = released(tmp_path / "r", lamp_follower())
    assert certificate_digest(champion.release) is None
