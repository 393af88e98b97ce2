"""The log of a production run: it knows after a kill what began, under what, and what ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.production.run_log import FILE, RunLog, Standing
from signatures.errors import StoreError, UsageError
from tests.worlds.shipped import ship


def test_what_began_and_ended_is_known_again(tmp_path: Path) -> None:
    one, other = ship(tmp_path / "a"), ship(tmp_path / "b", exploration=0.1)
    with RunLog(tmp_path, "x") as log:
        log.began(0, one)
        log.began(2, other)
        log.ended(0, "e0", failed=False)
        log.began(1, one)
        log.ended(1, "e1", failed=True)
        before = log.standing
    with RunLog(tmp_path, "x") as log:
        assert log.standing == before
        assert log.standing == {
            0: Standing(one.digest, "e0"),
            1: Standing(one.digest, "e1", failed=True),
            2: Standing(other.digest),
        }
        assert [log.standing[n].done for n in range(3)] == [True, False, False]
        assert log.releases == {one.digest: one, other.digest: other}
        assert log.played() == {one.digest: ["e0", "e1"]}


def test_what_infrastructure_ended_begins_again_and_is_forgotten(tmp_path: Path) -> None:
    one, other = ship(tmp_path / "a"), ship(tmp_path / "b", exploration=0.1)
    with RunLog(tmp_path, "x") as log:
        log.began(0, one)
        log.ended(0, "e0", failed=True)
        log.began(0, other)
        log.ended(0, "e1", failed=False)
    with RunLog(tmp_path, "x") as log:
        assert log.played() == {other.digest: ["e1"]}


def test_each_release_is_written_once(tmp_path: Path) -> None:
    release = ship(tmp_path / "a")
    with RunLog(tmp_path, "x") as log:
        for number in range(5):
            log.began(number, release)
    with RunLog(tmp_path, "x") as log:
        log.began(5, release)
    assert (tmp_path / FILE).read_text().count(release.candidate) == 1


def test_a_torn_last_line_is_dropped_and_other_damage_is_named(tmp_path: Path) -> None:
    release = ship(tmp_path / "a")
    with RunLog(tmp_path, "x") as log:
        log.began(0, release)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"number": 0, "epis')
    with RunLog(tmp_path, "x") as log:
        assert log.standing == {0: Standing(release.digest)}
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"nmber": 0}\n')
    with pytest.raises(StoreError, match=f"{FILE}:4: is no line of a production run"):
        RunLog(tmp_path, "x")


def test_another_runs_log_is_refused(tmp_path: Path) -> None:
    RunLog(tmp_path, "x").close()
    with pytest.raises(UsageError, match="was begun with other tasks, another benchmark or another worker"):
        RunLog(tmp_path, "y")
