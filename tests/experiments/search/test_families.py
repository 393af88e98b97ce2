"""Results by held-out family: only families that no search task belongs to, only tasks that were used."""

from __future__ import annotations

import io
from collections.abc import Mapping

from rich.console import Console

from experiments.search.families import by_family, family_table, held_out
from optimizers.records import TaskScore
from signatures.records import Split, Task
from tests.worlds.planted import PlantedBenchmark


class Layered(PlantedBenchmark):
    """Dev tasks 0-3: two held-out families, one task in both, and a family that search knows too."""

    def families(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        if split == "search":
            return {"s": ("radio", "sim")}
        return {"d0": ("vpn",), "d1": ("vpn", "wifi"), "d2": ("wifi", "radio"), "d3": ("sim",)}


def tasks(*digests: str) -> list[Task]:
    return [Task(digest=digest, benchmark="planted", prompt="") for digest in digests]


def score(task: str, correct: float | None) -> TaskScore:
    return TaskScore(
        candidate="c",
        condition="x",
        task_digest=task,
        seed=1,
        split="dev",
        values={"correct": correct},
        source="live",
    )


def test_families_that_search_knows_are_not_held_out() -> None:
    assert held_out(Layered(), tasks("d0", "d1", "d2", "d3")) == {"vpn": {"d0", "d1"}, "wifi": {"d1", "d2"}}


def test_only_tasks_that_were_used_count() -> None:
    assert held_out(Layered(), tasks("d0", "d3")) == {"vpn": {"d0"}}
    assert held_out(Layered(), []) == {}


def test_no_dev_family_of_the_planted_world_is_in_its_search_split() -> None:
    benchmark = PlantedBenchmark()
    found = held_out(benchmark, benchmark.tasks("dev"))
    assert set(found) == {family for families in benchmark.families("dev").values() for family in families}


def test_a_task_of_two_families_counts_in_both_and_a_missing_value_in_none() -> None:
    rows = {"arm": [score("d0", 1.0), score("d1", 0.0), score("d2", None)]}
    found = by_family(rows, held_out(Layered(), tasks("d0", "d1", "d2")), "correct")
    vpn, wifi = found["arm"]["vpn"], found["arm"]["wifi"]
    assert (vpn.mean, vpn.n, vpn.missing) == (0.5, 2, 0)
    assert (wifi.mean, wifi.n, wifi.missing) == (0.0, 1, 1)


def test_the_table_has_a_column_per_family_and_n_in_each_cell() -> None:
    rows = {"random@3": [score("d0", 1.0), score("d1", 0.0)], "g01-c0": [score("d0", None), score("d1", None)]}
    found = by_family(rows, held_out(Layered(), tasks("d0", "d1")), "correct")
    out = io.StringIO()
    Console(file=out, width=120, markup=False).print(family_table(found, "correct"))
    text = out.getvalue()
    assert "vpn" in text and "wifi" in text
    assert "0.500 [0.09, 0.91] n=2" in text
    assert [line.split("│")[2].strip() for line in text.splitlines() if "g01-c0" in line] == ["-"]
