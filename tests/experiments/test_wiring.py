"""From a config to the parts of a run: everything that can be wrong is found before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import pytest
from pydantic import JsonValue

from controllers.scripted_engine import scripted_lm
from controllers.workers.scripted import ScriptedWorker
from experiments.harvest.tasks import HarvestedTask, tasks_text
from experiments.places import claim
from experiments.wiring import Ready, definition_of_done, ready, require_disjoint, split_tasks, wired
from judges.manifest import require_unchanged
from signatures.errors import UsageError
from signatures.records import Split, Task
from tests.worlds.planted import PlantedBenchmark
from tests.worlds.small import small


def tasks(*digests: str) -> list[Task]:
    return [Task(digest=digest, benchmark="planted", prompt="") for digest in digests]


def test_a_config_that_can_run_writes_nothing(tmp_path: Path) -> None:
    given = ready(small(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert given.actions == ("none", "fan", "pump", "valve", "core")
    assert (len(given.splits.train), len(given.splits.val), len(given.splits.dev)) == (4, 4, 6)
    assert given.lm is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"max_attempts": 23}, "may take 24"),
        ({"benchmark": "telecon"}, "did you mean 'telecom'"),
        ({"options": {"noise": 7}}, "noise"),
        ({"worker": "scriptet"}, "did you mean 'scripted'"),
        ({"worker": "tests.worlds.planted:PlantedChecker"}, "needs objective"),
        ({"val": 500, "max_attempts": 9999}, "train \\+ val: 504 tasks asked"),
        ({"dev": 5000}, "dev: 5000 tasks asked"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(
    tmp_path: Path, changed: dict[str, JsonValue], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        ready(small(tmp_path, **changed))
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_garbage_corpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus-planted.db").write_text("not a database, " * 100)
    with pytest.raises(UsageError, match="this corpus cannot be used"):
        ready(small(tmp_path))


def test_a_resumed_runs_corpus_is_looked_for_where_the_run_is(tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "corpus-planted.db").write_text("not a database, " * 100)
    config = small(tmp_path / "old")
    ready(config)
    with pytest.raises(UsageError, match="this corpus cannot be used"):
        ready(config, root=tmp_path / "moved")


def test_the_worker_is_the_benchmarks_or_the_named_one(tmp_path: Path) -> None:
    assert ready(small(tmp_path)).worker.fingerprint.name == "planted"
    assert isinstance(ready(small(tmp_path, worker="scripted")).worker, ScriptedWorker)


def test_a_model_that_is_given_is_used_instead_of_the_named_one(tmp_path: Path) -> None:
    lm, _ = scripted_lm(lambda prompt: "")
    assert ready(small(tmp_path, lm="nosuch/model"), lm=lm).lm is lm


def opened(tmp_path: Path) -> tuple[Ready, Path]:
    given = ready(small(tmp_path))
    return given, claim(given.config, given.manifest)


def test_the_stores_are_beside_each_other_and_closed_at_the_end(tmp_path: Path) -> None:
    given, folder = opened(tmp_path)
    with wired(given, folder) as parts:
        assert parts.setup.corpus is not None
        assert parts.actions == given.actions
        assert (parts.setup.grant.attempts, parts.setup.grant.turns_per_attempt) == (2, 3)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {folder.name, "corpus-planted.db", "corpus-planted.verdicts.db"}  # no write-ahead log left behind
    assert (folder / "journal.jsonl").exists()


def test_another_definition_of_done_cannot_go_on_in_the_folder(tmp_path: Path) -> None:
    _, folder = opened(tmp_path)
    other = ready(small(tmp_path, dev=5))
    with pytest.raises(UsageError, match=r"definition of done changed.*splits\.dev"), wired(other, folder):
        pass


def test_the_definition_of_done_covers_tasks_judge_checkers_and_directives(tmp_path: Path) -> None:
    given = ready(small(tmp_path))
    manifest = given.manifest
    assert set(manifest.splits) == {"search", "dev"}
    assert set(manifest.checkers) == {"correct", "fast", "cheap", "clean"}
    assert [directive.action for directive in manifest.directives] == ["fan", "pump", "valve", "core"]
    folder = claim(given.config, manifest)
    require_unchanged(folder / "manifest.json", definition_of_done(given.benchmark, given.splits))


def test_train_and_val_are_disjoint_parts_of_search(tmp_path: Path) -> None:
    splits = split_tasks(PlantedBenchmark(), small(tmp_path))
    train, val, dev = ({task.digest for task in part} for part in (splits.train, splits.val, splits.dev))
    assert not (train & val or train & dev or val & dev)
    assert train | val <= {task.digest for task in PlantedBenchmark().tasks("search")}
    assert dev <= {task.digest for task in PlantedBenchmark().tasks("dev")}


def test_tasks_in_two_splits_are_listed() -> None:
    require_disjoint({"search": tasks("a", "b"), "dev": tasks("c")})
    with pytest.raises(UsageError, match="splits overlap: 1 tasks of dev are in another split: b"):
        require_disjoint({"search": tasks("a", "b"), "dev": tasks("b", "c")})


def test_a_task_that_a_split_names_twice_would_be_in_train_and_val() -> None:
    with pytest.raises(UsageError, match="search names a task twice: a"):
        require_disjoint({"search": tasks("a", "b", "a"), "dev": tasks("c")})


class Leaky(PlantedBenchmark):
    """Its holdout begins with a task of search."""

    @cached_property
    def _leak(self) -> Task:
        return super().tasks("search")[0]

    def tasks(self, split: Split) -> tuple[Task, ...]:
        found: Sequence[Task] = super().tasks(split)
        return (self._leak, *found) if split == "holdout" else tuple(found)


def test_an_overlap_with_the_holdout_is_found_before_it_is_ever_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tasks of holdout are in another split"):
        split_tasks(Leaky(), small(tmp_path))


def harvest(path: Path, *found: Task) -> str:
    path.write_text(tasks_text([HarvestedTask(task=task, episodes=("e",)) for task in found]), encoding="utf-8")
    return str(path)


def test_harvested_tasks_are_train_tasks_after_those_of_the_search_split(tmp_path: Path) -> None:
    world = PlantedBenchmark()
    new = world.tasks("production")[:3]
    plain = split_tasks(world, small(tmp_path))
    splits = split_tasks(world, small(tmp_path, harvested=harvest(tmp_path / "tasks.jsonl", *new)))
    assert splits.train == (*plain.train, *new)
    assert (splits.val, splits.dev) == (plain.val, plain.dev)
    given = ready(small(tmp_path, harvested=str(tmp_path / "tasks.jsonl")))
    assert given.manifest.splits["search"] != ready(small(tmp_path)).manifest.splits["search"]


@pytest.mark.parametrize("split", ["search", "dev", "holdout"])
def test_a_harvested_task_that_a_split_has_is_refused(tmp_path: Path, split: Split) -> None:
    world = PlantedBenchmark()
    there = world.tasks(split)[-1]
    said_again = there.model_copy(update={"digest": "renamed", "prompt": f"  {there.prompt.upper()} "})
    for task in (there, said_again):
        file = harvest(tmp_path / "tasks.jsonl", world.tasks("production")[0], task)
        with pytest.raises(UsageError, match=f"harvested: 1 tasks are in the {split} split already: {task.digest}"):
            split_tasks(world, small(tmp_path, harvested=file))


def test_a_harvest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read harvested tasks"):
        ready(small(tmp_path, harvested="nowhere.jsonl"))


def test_what_to_learn_from_is_looked_at_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.db: no such corpus"):
        ready(small(tmp_path, learn_from="nowhere.db"))
