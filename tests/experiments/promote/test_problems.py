"""Each difference between aliases and ledger is named, with a command that ends it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.promote.ledger import PromotionLedger, ledger_path
from experiments.promote.problems import Seen, problems_of
from experiments.promote.rolling_back import roll_back
from experiments.promote.status import status_of
from experiments.registry import CHALLENGER, CHAMPION

if TYPE_CHECKING:
    from tests.experiments.promote.conftest import Shop


def test_an_alias_that_was_dropped_or_moved_to_a_stranger_is_mended_by_the_command_that_is_named(shop: Shop) -> None:
    second = shop.registry.version_of("planted", CHAMPION)
    assert second is not None
    shop.registry.drop("planted", CHAMPION)
    (problem,) = status_of("planted", shop.root).problems
    assert problem.endswith(f"by hand; next: python -m experiments.rollback_run planted root={shop.root}")
    restored = roll_back("planted", shop.root, reason="dropped by hand")
    assert (restored.version, restored.from_version) == ("2", None)
    assert status_of("planted", shop.root).in_order


def test_an_alias_that_was_moved_back_by_hand_is_mended_by_promoting_again(shop: Shop) -> None:
    first, second = (shop.registry.version("planted", number) for number in ("1", "2"))
    assert first is not None and second is not None
    shop.registry.point("planted", CHAMPION, first)
    (problem,) = status_of("planted", shop.root).problems
    shop.registry.point("planted", CHAMPION, second)
    kept = problem.partition("next: python -m experiments.promote_run ")[2].split()[0]
    assert kept.endswith("candidate.json")
    assert Path(kept).read_text(encoding="utf-8") == shop.lamp.read_text(encoding="utf-8")


def test_a_challenger_that_the_ledger_does_not_know_is_a_problem(shop: Shop) -> None:
    with PromotionLedger(ledger_path(shop.root, "planted")) as ledger:
        entries = ledger.entries()
    champion = shop.registry.version_of("planted", CHAMPION)
    challenger = shop.registry.version_of("planted", CHALLENGER)
    assert champion is not None and challenger is not None
    seen = Seen("planted", shop.root, shop.registry, entries)
    assert list(problems_of(seen, champion, challenger)) == []
    (problem,) = problems_of(seen, champion, challenger._replace(version="9"))
    assert problem.startswith("challenger names version 9, of which the ledger knows nothing")
