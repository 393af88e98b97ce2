"""Promoting: the champion moves after a canary that passes, and after nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from experiments.promote.gaps import close_gaps
from experiments.promote.ledger import Activated, Challenged, PromotionLedger, ledger_path
from experiments.promote.places import locked
from experiments.promote.promoting import promote
from experiments.promote.ready import Nomination, ready
from experiments.promote.status import status_of
from experiments.registry import CHALLENGER, CHAMPION, PREVIOUS, RELEASE_TAG
from experiments.tracking import connect, store_of
from signatures.errors import ActivationGap, StoreError, UsageError

if TYPE_CHECKING:
    from tests.experiments.promote.conftest import Shop


def aliases(shop: Shop) -> dict[str, str | None]:
    found = {alias: shop.registry.version_of("planted", alias) for alias in (CHAMPION, CHALLENGER, PREVIOUS)}
    return {alias: None if one is None else one.version for alias, one in found.items()}


def kinds(shop: Shop) -> list[str]:
    with PromotionLedger(ledger_path(shop.root, "planted")) as ledger:
        return [entry.kind for entry in ledger.entries()]


def test_two_promotions_move_the_aliases_and_are_on_record(shop: Shop) -> None:
    assert aliases(shop) == {CHAMPION: "2", CHALLENGER: "2", PREVIOUS: "1"}
    with PromotionLedger(ledger_path(shop.root, "planted")) as ledger:
        first, core, second, lamp = ledger.entries()
    assert isinstance(first, Challenged) and isinstance(second, Challenged)
    assert isinstance(core, Activated) and isinstance(lamp, Activated)
    assert (core.from_version, lamp.from_version) == (None, "1")
    assert lamp.ungated and lamp.certificate is None
    assert "2 live tasks with" in lamp.verdict


def test_each_step_is_one_line(shop: Shop) -> None:
    lamp = shop.said[4:8]
    assert [line.split()[0] for line in lamp] == ["release", "version", "canary", "champion:"]
    assert lamp[-1] == "champion: version 2 of planted, before it version 1"
    assert "UNGATED" in lamp[0]


def test_a_version_says_what_it_is(shop: Shop) -> None:
    found = shop.registry.version("planted", "2")
    assert found is not None
    with PromotionLedger(ledger_path(shop.root, "planted")) as ledger:
        known = ledger.champion()
    assert known is not None
    assert (found.tags[RELEASE_TAG], found.tags["tiller.candidate"]) == (known.release, known.candidate)
    assert "no gate" in found.tags["tiller.ungated"]


def test_each_entry_is_a_run_of_mlflow(shop: Shop) -> None:
    client = connect(store_of(shop.root))
    experiment = client.get_experiment_by_name("tiller/planted")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`tiller.role` = 'promotion'")
    titles = {run.data.tags["tiller.name"] for run in runs}
    assert {f"{kind} planted version {n}" for kind in ("challenged", "activated") for n in (1, 2)} <= titles


def test_promoting_makes_no_model_the_active_one(shop: Shop) -> None:
    import mlflow

    assert shop.said
    assert mlflow.get_active_model_id() is None


@pytest.fixture(scope="module")
def gapped(shop: Shop) -> tuple[Shop, str]:
    """A third version whose canary's process falls dead; the shop, and the error."""
    with pytest.raises(ActivationGap) as caught:
        shop.promote(shop.core, "silent")
    return shop, str(caught.value)


def test_a_failed_canary_leaves_the_champion_and_opens_a_gap(gapped: tuple[Shop, str]) -> None:
    shop, told = gapped
    assert aliases(shop) == {CHAMPION: "2", CHALLENGER: "3", PREVIOUS: "1"}
    assert "MemoryError: nothing left" in told
    assert "champion stays version 2" in told
    assert "promote_run --close-gaps name=planted" in told
    (gap,) = status_of("planted", shop.root).gaps
    assert (gap.version, gap.from_version) == ("3", "2")


def test_a_gap_is_closed_by_a_canary_that_passes_and_by_nothing_else(gapped: tuple[Shop, str]) -> None:
    shop, _ = gapped
    with pytest.raises(ActivationGap):
        close_gaps("planted", shop.root, say=shop.said.append, program=("/bin/false",))
    assert aliases(shop)[CHAMPION] == "2"
    again = close_gaps("planted", shop.root, say=shop.said.append)
    assert again is not None and again.version == "3"
    assert aliases(shop) == {CHAMPION: "3", CHALLENGER: "3", PREVIOUS: "2"}
    assert status_of("planted", shop.root).in_order
    assert kinds(shop)[-4:] == ["gap opened", "gap opened", "activated", "gap closed"]
    assert close_gaps("planted", shop.root, say=shop.said.append) is None


def test_an_alias_that_somebody_else_moves_meanwhile_is_a_gap(gapped: tuple[Shop, str]) -> None:
    shop, _ = gapped
    before = shop.registry.version_of("planted", CHAMPION)
    assert before is not None
    with pytest.raises(ActivationGap, match="the alias was not moved"):
        shop.promote(shop.lamp, "meddled")
    found = status_of("planted", shop.root)
    assert any("was moved by somebody else meanwhile" in line for gap in found.gaps for line in gap.evidence)
    assert any("moved by hand" in problem for problem in found.problems)
    shop.registry.point("planted", CHAMPION, before)


def test_an_artifact_that_is_edited_in_the_store_is_refused_by_the_fresh_process(gapped: tuple[Shop, str]) -> None:
    shop, _ = gapped
    before = aliases(shop)[CHAMPION]
    with pytest.raises(ActivationGap, match=r"state\.json"):
        shop.promote(shop.lamp, "edited")
    assert aliases(shop)[CHAMPION] == before


def test_a_promotion_that_was_killed_once_the_alias_had_moved_is_finished(shop: Shop) -> None:
    """As if the process had died between the alias and the ledger."""
    champion = shop.registry.version_of("planted", CHAMPION)
    with pytest.raises(ActivationGap):
        shop.promote(shop.lamp, "silent")
    newest = shop.registry.version_of("planted", CHALLENGER)
    assert champion is not None and newest is not None
    shop.registry.point("planted", CHAMPION, newest)
    assert not status_of("planted", shop.root).in_order
    found = close_gaps("planted", shop.root, say=shop.said.append)
    assert found is not None and (found.version, found.from_version) == (newest.version, champion.version)
    assert status_of("planted", shop.root).in_order


def test_an_alias_that_cannot_be_set_leaves_an_unfinished_promotion_that_is_shown(shop: Shop) -> None:
    """The ledger comes first: of an alias that nobody wrote down, nobody would know."""
    before = aliases(shop)
    with closing(sqlite3.connect(shop.root / "mlflow.db")) as store:
        for verb in ("INSERT", "UPDATE"):
            store.execute(
                f"CREATE TRIGGER no_{verb} BEFORE {verb} ON registered_model_aliases"
                " BEGIN SELECT RAISE(ABORT, 'no room'); END"
            )
        with pytest.raises(StoreError):
            shop.promote(shop.lamp)
        for verb in ("INSERT", "UPDATE"):
            store.execute(f"DROP TRIGGER no_{verb}")
    assert aliases(shop) == before
    (problem,) = status_of("planted", shop.root).problems
    assert "was challenged and never decided on" in problem and f"name=planted root={shop.root}" in problem
    found = close_gaps("planted", shop.root, say=shop.said.append)
    assert found is not None and found.from_version == before[CHAMPION]
    assert status_of("planted", shop.root).in_order


def test_what_is_warned_of_is_kept_in_the_ledger(shop: Shop) -> None:
    warned: list[str] = []
    given = ready(shop.config(), Nomination(shop.lamp, allow_ungated=True))
    promote(given, say=shop.said.append, warn=warned.append)
    with PromotionLedger(ledger_path(shop.root, "planted")) as ledger:
        last = ledger.champion()
    assert isinstance(last, Activated)
    assert "decides already" in warned[-1]
    assert warned == [f"WARNING: {line}" for line in last.evidence[1:]]


def test_two_promotions_at_once_the_second_is_refused(empty_shop: Shop) -> None:
    with (
        locked(empty_shop.root, "planted"),
        pytest.raises(UsageError, match="another promotion or rollback of planted"),
    ):
        empty_shop.promote(empty_shop.core)


def test_a_full_disk_registers_nothing(empty_shop: Shop) -> None:
    (empty_shop.root / "promotions-other").write_text("in the way of the folder", encoding="utf-8")
    with pytest.raises(StoreError):
        empty_shop.promote(empty_shop.core, name="other")
    assert empty_shop.registry.versions("other") == ()
