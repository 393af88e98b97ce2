"""Which tasks production plays: a split's, a file's, and none that is kept for judging."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import JsonValue

from experiments.production.asked import LINE_BYTES, asked_of, require_apart
from experiments.production.config import USUAL, ProductionConfig
from signatures.errors import UsageError
from signatures.records import Split, Task
from tests.worlds.planted import PlantedBenchmark

WORLD = PlantedBenchmark()


def config(**changed: JsonValue) -> ProductionConfig:
    return ProductionConfig.model_validate({"benchmark": "planted", **changed})


def file_of(folder: Path, *lines: str) -> str:
    path = folder / "tasks.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


class WithoutProduction(PlantedBenchmark):
    """As telecom: there are no tasks of production."""

    def tasks(self, split: Split) -> tuple[Task, ...]:
        """Those of the other splits."""
        if split == "production":
            raise UsageError("no tasks of production here")
        return super().tasks(split)


def test_the_production_split_is_played_where_there_is_one_else_search() -> None:
    found = asked_of(config(), WORLD)
    assert found == (WORLD.tasks("production")[:USUAL], "the production split")
    there = WithoutProduction()
    assert asked_of(config(tasks=2), there) == (WORLD.tasks("search")[:2], "the search split")
    with pytest.raises(UsageError, match="no tasks of production here"):
        asked_of(config(split="production"), there)


def test_more_tasks_than_there_are_is_an_error() -> None:
    with pytest.raises(UsageError, match="tasks=9999 asked, the search split has 186"):
        asked_of(config(tasks=9999, split="search"), WORLD)


def test_a_file_of_prompts_becomes_tasks(tmp_path: Path) -> None:
    lines = [{"prompt": "repair it"}, {"prompt": "repair it", "id": "t-2"}, {"prompt": "repair it"}]
    path = file_of(tmp_path, *(json.dumps(line) for line in lines), "")
    tasks, origin = asked_of(config(tasks_file=path), WORLD)
    assert origin == path
    assert tasks[0] == tasks[2] and tasks[0].digest != tasks[1].digest
    assert {(task.benchmark, task.prompt) for task in tasks} == {("planted", "repair it")}
    assert len(asked_of(config(tasks_file=path, tasks=2), WORLD).tasks) == 2


BAD: Mapping[str, str] = {
    "{": ":2: not a JSON line",
    "[" * 100_000: ":2: not a JSON line",
    "[]": ':2: a task is {"prompt": text}',
    '{"prompt": 3}': ':2: a task is {"prompt": text}',
    '{"prompt": " "}': ":2: a task needs a prompt",
    '{"prompt": "x", "id": 3}': ":2: id: must be text",
    '{"prompt": "x", "split": "dev"}': ":2: a task has no 'split'",
    '{"prompt": "\\ud800"}': ":2: a prompt is text that UTF-8 can hold",
    '{"prompt": "' + "x" * LINE_BYTES + '"}': ":2: a task takes at most",
}


@pytest.mark.parametrize(("line", "said"), BAD.items(), ids=list(BAD.values()))
def test_a_bad_line_is_named(line: str, said: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, '{"prompt": "fine"}', line)
    with pytest.raises(UsageError) as caught:
        asked_of(config(tasks_file=path), WORLD)
    assert str(caught.value).startswith(f"{path}{said}")


def test_a_file_that_is_not_there_or_too_short_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.jsonl: cannot be read"):
        asked_of(config(tasks_file=str(tmp_path / "no.jsonl")), WORLD)
    with pytest.raises(UsageError, match=r"tasks=1 asked, .* has 0"):
        asked_of(config(tasks_file=file_of(tmp_path)), WORLD)
    with pytest.raises(UsageError, match="split or tasks_file, not both"):
        asked_of(config(tasks_file=file_of(tmp_path, '{"prompt": "x"}'), split="search"), WORLD)


@pytest.mark.parametrize("split", ["dev", "holdout"])
def test_a_task_or_a_prompt_that_is_kept_for_judging_is_refused(split: Split, tmp_path: Path) -> None:
    kept = WORLD.tasks(split)[3]
    path = file_of(tmp_path, '{"prompt": "mine"}', json.dumps({"prompt": kept.prompt, "id": "another"}))
    with pytest.raises(UsageError, match=f"task 2 is one of the {split} split, which is kept for judging"):
        asked_of(config(tasks_file=path), WORLD)
    reworded = kept.model_copy(update={"digest": "0" * 24, "prompt": f"  {kept.prompt.upper()}\n"})
    with pytest.raises(UsageError, match=f"task 1 is one of the {split} split"):
        require_apart((reworded,), WORLD)
    with pytest.raises(UsageError, match=f"task 1 is one of the {split} split"):
        require_apart((kept.model_copy(update={"prompt": "in other words"}),), WORLD)


def test_a_prompt_that_the_search_split_shares_with_the_holdout_may_be_asked() -> None:
    """Where many tasks have one wording, the wording gives none of them away."""

    class OneWording(PlantedBenchmark):
        def tasks(self, split: Split) -> tuple[Task, ...]:
            return tuple(task.model_copy(update={"prompt": "repair it"}) for task in super().tasks(split))

    require_apart(OneWording().tasks("production")[:3], OneWording())
