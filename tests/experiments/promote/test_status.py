"""Status: the ledger against the aliases, and what is open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.production.served import Served
from experiments.promote.status import age_text, lines_of, status_of, told_of
from experiments.registry import CHAMPION
from experiments.tracking import connect, store_of
from signatures.errors import StoreError, UsageError
from tests.worlds.cheats import edit

if TYPE_CHECKING:
    from tests.experiments.promote.conftest import Shop


def test_all_is_in_order_after_two_promotions(shop: Shop) -> None:
    found = status_of("planted", shop.root)
    assert found.in_order
    assert found.champion is not None and found.previous is not None
    assert (found.champion.version, found.previous.version) == ("2", "1")
    assert found.champion.certificate.startswith("UNGATED: no gate")
    assert (found.episodes, found.alarm) == (0, None)
    lines = list(lines_of(found))
    assert [line.partition(":")[0] for line in lines] == [
        "champion",
        "challenger",
        "previous_champion",
        "certificate",
        "served",
        "drift",
        "in order",
    ]


def test_an_alias_that_was_moved_by_hand_is_a_problem(shop: Shop) -> None:
    first, second = (shop.registry.version("planted", number) for number in ("1", "2"))
    assert first is not None and second is not None
    shop.registry.point("planted", CHAMPION, first)
    (problem,) = status_of("planted", shop.root).problems
    assert problem.startswith("champion names version 1, the ledger says version 2: it was moved by hand; next: ")
    shop.registry.drop("planted", CHAMPION)
    (problem,) = status_of("planted", shop.root).problems
    assert "the alias was dropped by hand; next: " in problem
    shop.registry.point("planted", CHAMPION, second)
    assert status_of("planted", shop.root).in_order


def test_an_edited_release_is_a_problem_and_a_deleted_version_too(shop: Shop) -> None:
    edit(shop.root, "planted", CHAMPION)
    found = status_of("planted", shop.root)
    assert any("state.json" in problem for problem in found.problems)
    connect(store_of(shop.root)).delete_model_version("planted", "2")
    found = status_of("planted", shop.root)
    assert found.champion is None
    (problem,) = found.problems
    assert problem.startswith("champion names nothing, the ledger says version 2: its version was deleted; next: ")
    assert any(line.startswith("PROBLEM: champion names nothing") for line in lines_of(found))


def test_a_registry_that_is_down_is_said(shop: Shop, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port}")
    with pytest.raises(StoreError):
        status_of("planted", shop.root)


def test_nothing_promoted_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no version of planted was promoted"):
        status_of("planted", tmp_path)


def test_ages_are_told_in_units_that_fit() -> None:
    assert [age_text(s) for s in (5, 150, 7200, 3 * 86400)] == ["5 s", "2 minutes", "2 hours", "3 days"]


@pytest.mark.parametrize(("fallbacks", "said"), [(0, "rule 30)"), (7, "rule 30, of them 7 by a fallback, the model")])
def test_decisions_of_a_fallback_are_told_apart(fallbacks: int, said: str) -> None:
    given = {"release": "r", "candidate": "c", "exploration": 0.05, "failed": 0, "attempts": 20, "success": {}}
    counts = {"episodes": 10, "decisions": 50, "by_tier": {"frontier": 20, "rule": 30}, "fallbacks": fallbacks}
    served = Served.model_validate({**given, **counts, "usable": 10, "left_out": {}, "sentence": "all of it"})
    told = told_of(served)
    assert told.startswith(f"50 decisions (frontier 20, {said}")
    assert told.endswith("in 10 episodes; all of it")
