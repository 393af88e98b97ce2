"""The folders of harvests: numbered, whole or not there, one at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.harvest.findings import findings_of
from experiments.harvest.harvests import (
    FINDINGS,
    REPORT,
    Earlier,
    Harvest,
    Unread,
    alone,
    earlier_harvests,
    read_harvest,
    write_harvest,
)
from experiments.harvest.tasks import HarvestedTask, tasks_text
from optimizers.evidence.signals import Signal
from signatures.errors import StoreError, UsageError
from signatures.records import Task

TASK = Task(digest="t", benchmark="planted", prompt="Do it.")


def harvest(name: str, *analysed: str, failed: tuple[str, ...] = ()) -> Harvest:
    shown = [(id, [Signal("went on", "rule")]) for id in analysed]
    return Harvest(
        name=name,
        benchmark="planted",
        until=3,
        findings=findings_of("planted", shown, evidence=5, before={}),
        failures=tuple(Unread(episode=id, error="no blob") for id in failed),
        tasks=1,
        left_out={},
        analysed=analysed,
    )


def written(root: Path, *harvests: Harvest) -> None:
    for one in harvests:
        write_harvest(root, one, tasks=tasks_text([HarvestedTask(task=TASK, episodes=("e",))]), report="# page\n")


def test_the_first_harvest_knows_nothing(tmp_path: Path) -> None:
    assert earlier_harvests(tmp_path, "planted") == Earlier(frozenset(), (), {}, frozenset(), "planted-harvest-1")


def test_later_ones_know_what_was_analysed_found_and_could_not_be_read(tmp_path: Path) -> None:
    one, two = harvest("planted-harvest-1", "e1", failed=("bad",)), harvest("planted-harvest-10", "e2")
    written(tmp_path, one, two)
    (tmp_path / "planted-harvest-x").mkdir()
    written(tmp_path, harvest("other-harvest-3", "e9"))
    before = earlier_harvests(tmp_path, "planted")
    assert before.analysed == {"e1", "e2"}
    assert before.tasks == (TASK, TASK)
    assert before.first_seen == {one.findings[0].id: "planted-harvest-1"}
    assert before.failed == frozenset()
    assert before.next_name == "planted-harvest-11"


def test_a_folder_holds_findings_tasks_and_a_page(tmp_path: Path) -> None:
    one = harvest("planted-harvest-1", "e1")
    written(tmp_path, one)
    folder = tmp_path / one.name
    assert sorted(path.name for path in folder.iterdir()) == [FINDINGS, REPORT, "tasks.jsonl"]
    assert read_harvest(folder) == one
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".planted")]


def test_a_folder_in_the_way_leaves_nothing_half_written(tmp_path: Path) -> None:
    one = harvest("planted-harvest-1", "e1")
    written(tmp_path, one)
    with pytest.raises(StoreError, match="cannot be written"):
        written(tmp_path, harvest("planted-harvest-1", "e2"))
    assert read_harvest(tmp_path / one.name) == one
    assert [path.name for path in tmp_path.iterdir()] == [one.name]


def test_a_harvest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    written(tmp_path, harvest("planted-harvest-1", "e1"))
    (tmp_path / "planted-harvest-1" / FINDINGS).write_text("{}")
    with pytest.raises(StoreError, match=r"planted-harvest-1/findings\.json: cannot be read"):
        earlier_harvests(tmp_path, "planted")


def test_two_harvests_at_once_are_one_too_many(tmp_path: Path) -> None:
    with alone(tmp_path / "runs", "planted"):
        with (
            pytest.raises(UsageError, match="another harvest of planted is under way"),
            alone(tmp_path / "runs", "planted"),
        ):
            pass
        with alone(tmp_path / "runs", "telecom"):
            pass
    with alone(tmp_path / "runs", "planted"):
        pass
