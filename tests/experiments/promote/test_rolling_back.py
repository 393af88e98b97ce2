"""Rolling back: one command, checked before and looked at after, and never to what was rolled back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.promote.gaps import close_gaps
from experiments.promote.ledger import PromotionLedger, RolledBack, ledger_path
from experiments.promote.rolling_back import roll_back
from experiments.promote.status import status_of
from experiments.registry import CHAMPION, PREVIOUS
from signatures.errors import ActivationGap, ReleaseRefused, UsageError
from tests.worlds.cheats import edit

if TYPE_CHECKING:
    from tests.experiments.promote.conftest import Shop


def test_what_was_edited_since_is_not_gone_back_to(shop: Shop) -> None:
    (stored,) = shop.root.rglob(
        f"{shop.registry.version_of('planted', PREVIOUS).source.rpartition('/')[2]}/artifacts/state.json"  # type: ignore[union-attr]
    )
    whole = stored.read_text()
    edit(shop.root, "planted", PREVIOUS)
    with pytest.raises(ReleaseRefused, match=r"state\.json"):
        roll_back("planted", shop.root, reason="a test")
    stored.write_text(whole)
    champion = shop.registry.version_of("planted", CHAMPION)
    assert champion is not None and champion.version == "2"


def test_the_champion_of_before_decides_again(shop: Shop) -> None:
    said: list[str] = []
    restored = roll_back("planted", shop.root, reason="success fell", say=said.append)
    assert (restored.version, restored.from_version) == ("1", "2")
    assert said[0] == "champion: version 1 of planted again, before it version 2: success fell"
    assert said[1].startswith("canary passed")
    with PromotionLedger(ledger_path(shop.root, "planted")) as ledger:
        last = ledger.entries()[-1]
    assert isinstance(last, RolledBack) and last.verdict == "success fell"
    found = status_of("planted", shop.root)
    assert found.in_order and found.previous is None


def test_nothing_is_left_to_go_back_to(shop: Shop) -> None:
    with pytest.raises(UsageError, match="no champion before version 1 is left"):
        roll_back("planted", shop.root, reason="again")


def test_a_fresh_process_that_does_not_follow_is_a_gap(shop: Shop) -> None:
    shop.promote(shop.lamp)
    with pytest.raises(ActivationGap, match="a fresh process does not follow"):
        roll_back("planted", shop.root, reason="a test", program=("/bin/false",))
    found = status_of("planted", shop.root)
    assert [gap.version for gap in found.gaps] == ["1"]
    assert found.champion is not None and found.champion.version == "1"
    assert found.problems == ()
    again = close_gaps("planted", shop.root, say=shop.said.append)
    assert again is not None and (again.version, again.from_version) == ("1", None)
    found = status_of("planted", shop.root)
    assert found.in_order
    assert found.champion is not None and found.champion.version == "1"


def test_a_model_that_nobody_promoted_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no version of planted was promoted with this run root"):
        roll_back("planted", tmp_path, reason="a test")
    assert list(tmp_path.iterdir()) == []
