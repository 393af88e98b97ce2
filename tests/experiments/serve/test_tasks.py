from __future__ import annotations

import unicodedata

import pytest

from experiments.production.prompts import asked_task
from experiments.serve.bodies import TaskGiven
from experiments.serve.tasks import Tasks
from signatures.errors import UsageError
from signatures.records import Split
from tests.worlds.planted import PlantedBenchmark

WORLD = PlantedBenchmark()


def test_a_task_of_the_benchmark_is_itself_where_id_and_prompt_are_its_own() -> None:
    task, other = WORLD.tasks("search")[:2]
    tasks = Tasks(WORLD)
    assert tasks.of(TaskGiven(prompt=task.prompt, id=task.digest)) == task
    assert tasks.of(TaskGiven(prompt=other.prompt, id=task.digest)).digest not in (task.digest, other.digest)


def test_any_other_task_is_named_by_a_digest_of_what_was_given() -> None:
    tasks = Tasks(WORLD)
    given = tasks.of(TaskGiven(prompt="Mend it.", id="../../etc/passwd"))
    assert given == asked_task("planted", "Mend it.", "../../etc/passwd")
    assert len(given.digest) == 24
    assert tasks.of(TaskGiven(prompt="Mend it.")).digest != given.digest


@pytest.mark.parametrize("split", ["dev", "holdout"])
def test_what_is_kept_for_judging_is_not_served(split: Split) -> None:
    task = WORLD.tasks(split)[0]
    same = [f"{task.prompt} ", f"\n{task.prompt}", task.prompt.upper(), task.prompt.replace(" ", "\u00a0 ")]
    same += [unicodedata.normalize("NFD", task.prompt), "".join(_wide(one) for one in task.prompt)]
    for given in (
        *(TaskGiven(prompt=prompt) for prompt in (task.prompt, *same)),
        *(TaskGiven(prompt="Mend it.", id=id) for id in (task.digest, f" {task.digest.upper()}", task.prompt)),
    ):
        with pytest.raises(UsageError, match=f"{split} split"):
            Tasks(WORLD).of(given)


def test_what_other_words_say_is_served() -> None:
    task = WORLD.tasks("holdout")[0]
    given = TaskGiven(prompt=f"{task.prompt} Hurry.", id=f"{task.digest}0")
    assert Tasks(WORLD).of(given).prompt == given.prompt


def _wide(one: str) -> str:
    """The full-width form of a letter, which reads the same."""
    return chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one
