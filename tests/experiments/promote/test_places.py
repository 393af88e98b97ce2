"""What promotions leave below the run root."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.promote.config import PromoteConfig
from experiments.promote.places import Kept, keep, kept_of, locked, names_below, the_name
from signatures.errors import UsageError


def test_what_was_kept_is_read_back_with_this_root(tmp_path: Path) -> None:
    kept = Kept(PromoteConfig(root="elsewhere", exploration=0.1), "text of a controller")
    keep(tmp_path, "shop", "r1", kept)
    found = kept_of(tmp_path, "shop", "r1")
    assert found == Kept(kept.config.model_copy(update={"root": str(tmp_path)}), "text of a controller")
    assert kept_of(tmp_path, "shop", "r2") is None


def test_one_model_needs_no_name_and_two_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing was promoted there"):
        the_name(tmp_path, None)
    (tmp_path / "promotions-shop.db").touch()
    assert the_name(tmp_path, None) == "shop"
    (tmp_path / "promotions-bank.db").touch()
    assert names_below(tmp_path) == ("bank", "shop")
    with pytest.raises(UsageError, match="bank, shop"):
        the_name(tmp_path, None)
    assert the_name(tmp_path, "shop") == "shop"


def test_the_lock_is_one_and_let_go(tmp_path: Path) -> None:
    with locked(tmp_path, "shop"):
        with pytest.raises(UsageError, match="goes on"), locked(tmp_path, "shop"):
            pass
        with locked(tmp_path, "bank"):
            pass
    with locked(tmp_path, "shop"):
        pass


@pytest.mark.parametrize("name", ["", "../x", "planted/../../evil", "n\u00fcn", "a" * 101])
def test_what_has_no_place_in_a_path_is_no_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a registered model"):
        the_name(tmp_path, name)
