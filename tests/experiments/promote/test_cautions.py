"""What is said of a promotion that is allowed: a weak baseline, a controller that decides already, one taken back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from experiments.promote.cautions import cautions
from experiments.promote.ledger import Challenged, Entry, RolledBack
from experiments.registry import CANDIDATE_TAG, RELEASE_TAG, Version
from optimizers.promotion import release_of
from signatures.digest import digest_of
from signatures.release import Certificate, Release
from tests.worlds.lab import lamp_follower
from tests.worlds.released import promotion_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
RELEASE = release_of(promotion_of(lamp_follower()), at_s=0.0)


def gated(baseline: str) -> Release:
    names = ("gate", "sentence", "registration", "slice", "seal", "verdicts", "ledger_chain", "done")
    told = {**dict.fromkeys(names, "x"), "ledger_rows": 1, "report": RELEASE.report, "baseline": baseline}
    own = Certificate.model_validate({**told, "candidate": RELEASE.candidate, "benchmark": RELEASE.benchmark})
    return RELEASE.model_copy(update={"certificate": own, "ungated": ""})


def champion(candidate: str) -> Version:
    return Version(RELEASE.name, "4", "models:/m-4", {CANDIDATE_TAG: candidate, RELEASE_TAG: "r4"}, 0.0)


def told(release: Release, now: Version | None, entries: tuple[Entry, ...] = ()) -> list[str]:
    return list(cautions(Path("runs"), release, now, entries))


def test_a_gate_against_the_present_champion_or_without_one_needs_no_caution() -> None:
    assert told(gated("strong"), champion("strong")) == []
    assert told(gated("weak"), None) == []


def test_a_gate_against_something_weaker_than_what_decides_is_said() -> None:
    (line,) = told(gated("weak"), champion("strong"))
    assert "compared with weak, not with the present champion, version 4 (strong)" in line
    assert f"--baseline runs/promotions-{RELEASE.name}/r4/candidate.json" in line


def test_a_controller_that_decides_already_is_said() -> None:
    (line,) = told(gated("weak"), champion(RELEASE.candidate))
    assert "decides already, as version 4" in line


def test_an_old_certificate_of_a_controller_that_was_taken_back_is_said() -> None:
    release = gated("strong")
    given = {
        "name": release.name,
        "version": "2",
        "release": "r2",
        "candidate": release.candidate,
        "from_version": None,
        "certificate": digest_of(release.certificate),
        "ungated": "",
        "at": AT,
    }
    back = {
        **given,
        "version": "1",
        "candidate": "c1",
        "from_version": "2",
        "verdict": "success fell",
        "evidence": ("e",),
    }
    entries = (Challenged.model_validate(given), RolledBack.model_validate(back))
    (line,) = told(release, champion("strong"), entries)
    assert "rolled back from at 2026-01-01 00:00: success fell; its certificate is the same as then" in line
    (line,) = told(gated("strong").model_copy(update={"exploration": 0.1}), None, entries)
    assert "rolled back" in line
