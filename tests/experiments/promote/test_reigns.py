"""Who was champion before whom: by version and release, along the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

from experiments.promote.ledger import Activated, RolledBack
from experiments.promote.reigns import Reign, before, reigns_of
from experiments.registry import RELEASE_TAG, Version

TOLD = {"name": "shop", "candidate": "c", "certificate": None, "ungated": "a test", "verdict": "v", "evidence": ("e",)}
AT = datetime(2026, 1, 1, tzinfo=UTC)


def activated(version: str, release: str | None = None) -> Activated:
    given = {**TOLD, "version": version, "release": release or f"r{version}", "from_version": None, "at": AT}
    return Activated.model_validate(given)


def rolled_back(version: str, since: str | None) -> RolledBack:
    given = {**TOLD, "version": version, "release": f"r{version}", "from_version": since, "at": AT}
    return RolledBack.model_validate(given)


def named(version: str, release: str | None = None) -> Version:
    return Version("shop", version, "models:/m-1", {RELEASE_TAG: release or f"r{version}"}, 0.0)


def versions(found: tuple[Reign, ...]) -> list[str]:
    return [one.version for one in found]


def test_a_rollback_ends_the_reigns_after_the_one_it_restores() -> None:
    entries = [activated("1"), activated("2"), activated("3"), rolled_back("1", "3")]
    assert versions(reigns_of(entries[:3])) == ["1", "2", "3"]
    assert versions(reigns_of(entries)) == ["1"]
    assert versions(reigns_of([*entries, activated("4")])) == ["1", "4"]


def test_a_second_rollback_goes_back_further() -> None:
    entries = [activated("1"), activated("2"), activated("3")]
    assert versions(before(entries, named("3"))) == ["2", "1"]
    assert versions(before([*entries, rolled_back("2", "3")], named("2"))) == ["1"]
    assert before(entries, named("1")) == ()


def test_a_champion_that_the_ledger_does_not_know_goes_back_to_the_one_that_it_does() -> None:
    entries = [activated("1"), activated("2")]
    assert versions(before(entries, named("7"))) == ["2", "1"]
    assert versions(before(entries, None)) == ["2", "1"]
    assert versions(reigns_of([*entries, rolled_back("7", "2")])) == ["1", "7"]


def test_a_number_that_was_given_again_is_another_version() -> None:
    entries = [activated("1"), activated("2", "old"), activated("2", "new")]
    assert before(entries, named("2", "new")) == (Reign("2", "old"), Reign("1", "r1"))
