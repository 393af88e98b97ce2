"""What a meta run says, from values made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.meta.config import MetaConfig, search_config
from experiments.meta.report import Lifts, contrasts_of, report_of, sentence_of
from experiments.meta.tuned import Tuned
from experiments.wiring import ready, wired
from optimizers.levels.settings import SearchSettings
from optimizers.records import TaskScore
from optimizers.search import Found

PROBLEMS, TASKS = 12, 6


def config(root: Path) -> MetaConfig:
    given = {"benchmark": "tests.worlds.planted:PlantedBenchmark", "attempts": 2, "turns": 3, "root": str(root)}
    return MetaConfig.model_validate(
        {**given, "tracking": False, "pool": 9, "train": 2, "val": 3, "held": 4, "confirm": 2}
    )


def lifts(*, tuned: float = 0.0) -> Lifts:
    """A controller adds .2 to the worker, a search .3 to it, tuning what is said; problems differ a little."""

    def played(level: float, wave: float = 0.0) -> dict[str, list[float | None]]:
        return {
            f"{p}/{t}": [min(1.0, level + wave * (p % 3 - 1) + 0.001 * t)]
            for p in range(PROBLEMS)
            for t in range(TASKS)
        }

    problem = {f"{p}/{t}": str(p) for p in range(PROBLEMS) for t in range(TASKS)}
    return Lifts(played(0.1), played(0.3), played(0.6, 0.05), played(0.6 + tuned, 0.05), problem)


def test_each_level_is_compared_with_the_one_below_with_its_own_unit(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    given = config(tmp_path)
    with wired(ready(search_config(given, tmp_path / "c.db"), root=tmp_path), tmp_path / "run") as parts:
        first, second, third = contrasts_of(given, parts, lifts(tuned=0.2))
        assert [one.evidence.n for one in (first, second, third)] == [PROBLEMS * TASKS, PROBLEMS, PROBLEMS]
        for one, effect in ((first, 0.2), (second, 0.3), (third, 0.2)):
            assert one.evidence.effect == pytest.approx(effect, abs=0.01)
            assert one.evidence.q is not None and one.evidence.lo is not None
        said = sentence_of((first, second, third), given.alpha, same=False)
        assert "controller - worker: adds +20.0" in said and "tuned search - search" in said
        nothing = contrasts_of(given, parts, lifts())
        said = sentence_of(nothing, given.alpha, same=True)
        assert "tuned search - search: not shown to add anything, +0.0" in said
        assert "no settings were better than the default" in said


def test_the_report_names_the_settings_that_were_tried_and_those_that_were_chosen(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    given, best = config(tmp_path), SearchSettings(engine="pareto_search")
    score = TaskScore(
        candidate=best.candidate.digest,
        condition="candidate",
        task_digest="p",
        seed=0,
        split="search",
        values={"correct": 0.5, "volume": 0.25},
        source="live",
    )
    found = Found("m01-c0", best.candidate, (), 1, "neighbour", "", "accepted", (score,), "It is better.")
    with wired(ready(search_config(given, tmp_path / "c.db"), root=tmp_path), tmp_path / "run") as parts:
        report = report_of(given, parts, Tuned(best, (found,), 7), lifts(tuned=0.1))
    assert report.kind == "meta" and report.data["settings"] == best.model_dump(mode="json")
    assert report.numbers["tuning/searches"] == 7
    assert report.numbers["mean/tuned"] > report.numbers["mean/searched"] > report.numbers["mean/one"]
    (note,) = report.notes
    assert note.startswith("m01-c0 accepted on 1 problems (0.500, 0.250)") and "pareto_search" in note
