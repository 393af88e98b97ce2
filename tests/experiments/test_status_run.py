"""`status_run` as a command: exit code 1 where something is open."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from experiments.cli import start
from experiments.promote.ledger import Challenged, PromotionLedger, ledger_path
from experiments.status_run import app


def code(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        start(app, words)
    return int(ended.value.code or 0)


@pytest.fixture
def broken_off(root: Path) -> Path:
    """A promotion that was killed before its canary."""
    entry = Challenged(
        name="shop",
        version="1",
        release="r",
        candidate="c",
        from_version=None,
        certificate=None,
        ungated="a test",
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    with PromotionLedger(ledger_path(root, "shop")) as ledger:
        ledger.add(entry)
    return root


def test_what_is_open_is_shown_and_the_code_is_1(broken_off: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(f"root={broken_off}") == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "champion: none"
    assert shown[-1].startswith("PROBLEM: version 1 was challenged and never decided on")


def test_json_is_one_object(broken_off: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code("shop", f"root={broken_off}", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["champion"], found["in_order"]) == ("shop", None, False)


def test_nothing_promoted_is_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(f"root={tmp_path}") == 2
    assert code("shop", "bank", f"root={tmp_path}") == 2
    assert "one registered model at a time" in capsys.readouterr().err
