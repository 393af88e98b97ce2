"""One answer per experiment: what each column and option does to it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from experiments.gate.pairs.answers import Answer, DecideConfig, answers_of
from experiments.gate.pairs.pairs_file import read_pairs
from signatures.errors import UsageError

PASSED = [(0, 1)] * 15 + [(1, 0)] * 5 + [(0, 0)] * 28 + [(1, 1)] * 28


def answered(folder: Path, header: str, rows: Sequence[Sequence[object]], **options: object) -> list[Answer]:
    path = folder / "pairs.csv"
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    config = DecideConfig.model_validate({"pairs": path, **options})
    return list(answers_of(config, read_pairs(path, config.ranges)))


def only(folder: Path, header: str, rows: Sequence[Sequence[object]], **options: object) -> Answer:
    (found,) = answered(folder, header, rows, **options)
    return found


def plain(pairs: Sequence[tuple[float, float]]) -> list[tuple[object, ...]]:
    return [(f"t{i}", *pair) for i, pair in enumerate(pairs)]


def gains(n: int, seed: int = 0, by: float = 0.3) -> list[tuple[float, float]]:
    """Scores that rise by about so much."""
    rng = random.Random(seed)
    return [(low, low + by + rng.uniform(-0.1, 0.1)) for low in (rng.uniform(0.1, 0.5) for _ in range(n))]


def test_a_plain_file_gets_one_answer_with_all_its_numbers(tmp_path: Path) -> None:
    found = only(tmp_path, "task,baseline,candidate", plain(PASSED))
    assert (found.experiment, found.verdict, found.n, found.unit) == (None, "promote", 76, "task")
    assert found.effect == pytest.approx(10 / 76)
    assert found.p == pytest.approx(0.0207, abs=5e-5)
    assert found.lo is not None and found.hi is not None and found.lo < 10 / 76 < found.hi
    assert set(found.power) == {"0.05", "0.10"}
    assert found.mde is not None and found.q is None and found.margins == {}
    assert found.changes == {"primary": "improved"}
    line = json.loads(found.model_dump_json())
    wanted = {"verdict", "n", "effect", "lo", "hi", "e_value", "p", "mde", "power", "reasons", "schema_version"}
    assert wanted <= set(line)


def test_the_smallest_effect_of_interest_asks_for_power(tmp_path: Path) -> None:
    rows = plain([(0, 1)] * 6 + [(1, 1)] * 10)
    assert only(tmp_path, "task,baseline,candidate", rows).verdict == "promote"
    found = only(tmp_path, "task,baseline,candidate", rows, min_effect=0.05)
    assert found.verdict == "underpowered"
    assert "promising, underpowered: at that spread 5 points need about 620 pairs" in found.reasons[0]


def test_alpha_is_the_callers(tmp_path: Path) -> None:
    assert only(tmp_path, "task,baseline,candidate", plain(PASSED), alpha=0.02).verdict == "hold"


def test_scores_are_bet_on_and_repeats_are_no_pairs(tmp_path: Path) -> None:
    found = only(tmp_path, "task,baseline,candidate", plain(gains(40)))
    assert (found.verdict, found.evidence[0].kind) == ("promote", "bounded")
    assert found.e_value >= 40
    rows = [(f"t{i}", repeat, *pair) for i, pair in enumerate(gains(4)) for repeat in range(10)]
    few = only(tmp_path, "task,repeat,baseline,candidate", rows)
    assert (few.n, few.verdict) == (4, "underpowered")


def test_another_range_changes_the_units_and_nothing_else(tmp_path: Path) -> None:
    rows = gains(40)
    first = only(tmp_path, "task,baseline,candidate", plain(rows))
    hundredfold = plain([(100 * low, 100 * high) for low, high in rows])
    second = only(tmp_path, "task,baseline,candidate", hundredfold, ranges=("0,100",))
    assert second.verdict == first.verdict
    assert second.effect == pytest.approx(100 * (first.effect or 0))
    assert second.e_value == pytest.approx(first.e_value)
    assert second.reasons == first.reasons


def test_experiments_are_answered_apart_and_in_order(tmp_path: Path) -> None:
    rows = [(name, *row) for row in zip(*[iter(plain(PASSED))], strict=True) for name in ("b",) for row in row]
    mirrored = [("a", f"t{i}", candidate, baseline) for i, (baseline, candidate) in enumerate(PASSED)]
    found = answered(tmp_path, "experiment,task,baseline,candidate", [*rows, *mirrored])
    assert [(one.experiment, one.verdict) for one in found] == [("b", "promote"), ("a", "harm")]


def test_a_family_of_experiments_is_corrected_on_request(tmp_path: Path) -> None:
    still = [(0, 1)] * 10 + [(1, 0)] * 10 + [(0, 0)] * 56
    pairs = {"good": PASSED, **{f"none{i}": still for i in range(3)}}
    rows = [(name, *row) for name, found in pairs.items() for row in plain(found)]
    header = "experiment,task,baseline,candidate"
    assert answered(tmp_path, header, rows)[0].verdict == "promote"
    corrected = answered(tmp_path, header, rows, family=True)[0]
    assert corrected.verdict == "hold"
    assert corrected.q == pytest.approx(4 * corrected.p)


def test_another_objective_must_not_be_lost(tmp_path: Path) -> None:
    header = "task,baseline,candidate,fast_baseline,fast_candidate"
    level = [(*row, 0.5, 0.5) for row in plain(gains(120))]
    found = only(tmp_path, header, level)
    assert (found.verdict, found.changes["fast"], found.margins) == ("promote", "flat", {"fast": 0.05})
    worse = [(*row, 0.9, 0.1) for row in plain(gains(120))]
    assert only(tmp_path, header, worse).verdict == "harm"
    assert only(tmp_path, header, worse, margins=("0.9",)).verdict == "promote"
    few = [(*row, 0.5, 0.5) for row in plain(gains(40))]
    unsure = only(tmp_path, header, few)
    assert (unsure.verdict, unsure.changes["fast"]) == ("hold", "too few")
    assert "margin of 5 points: fast" in unsure.reasons[0]


def test_clusters_are_the_unit_however_few(tmp_path: Path) -> None:
    header = "task,cluster,baseline,candidate"
    # one lucky cluster of many tasks decides by task, and not by cluster
    rows = [(f"t{i}", f"k{i if i < 11 else 11}", 0.2, 0.2 if i < 11 else 0.9) for i in range(60)]
    found = only(tmp_path, header, rows)
    assert (found.unit, found.n, found.tasks, found.clusters) == ("cluster", 12, 60, 12)
    assert found.verdict == "underpowered"
    assert "the unit is the cluster: 12 clusters of 60 tasks" in found.reasons[-1]
    by_task = only(tmp_path, header, [(task, "k", *pair) for task, _, *pair in rows])
    assert (by_task.unit, by_task.n, by_task.clusters, by_task.verdict) == ("cluster", 1, 1, "underpowered")


def test_few_clusters_whose_tasks_go_together_promote_no_luck(tmp_path: Path) -> None:
    draw = random.Random(5)
    header, rows = "experiment,task,cluster,baseline,candidate", []
    for experiment in range(300):
        for cluster in range(9):
            shift = draw.choice((-0.3, 0.3))  # of a cluster; its mean is 0
            for task in range(8):
                gap = shift + draw.uniform(-0.1, 0.1)
                rows.append((f"e{experiment}", f"{cluster}-{task}", f"k{cluster}", 0.5, 0.5 + gap))
    verdicts = [one.verdict for one in answered(tmp_path, header, rows)]
    assert len(verdicts) == 300
    assert sum(one in ("promote", "harm") for one in verdicts) <= 0.05 * 300 + 10


def test_what_wins_many_small_clusters_and_loses_nearly_all_tasks_is_not_promoted(tmp_path: Path) -> None:
    rows = [(f"w{i}", f"k{i}", 0.0, 1.0) for i in range(40)] + [(f"l{i}", "big", 1.0, 0.0) for i in range(200)]
    found = only(tmp_path, "task,cluster,baseline,candidate", rows)
    assert found.effect is not None and found.effect > 0.9
    assert found.verdict == "hold"
    assert "worse by tasks" in found.reasons[0]
    assert "over tasks the mean difference is -0.6667" in found.reasons[-1]


def test_optional_stopping_costs_power_and_is_bet_on_even_for_pass_fail(tmp_path: Path) -> None:
    header = "task,baseline,candidate"
    fixed = only(tmp_path, header, plain(PASSED))
    free = only(tmp_path, header, plain(PASSED), optional_stopping=True)
    assert (fixed.verdict, free.verdict) == ("promote", "hold")
    assert free.evidence[0].kind == "bounded"


def test_the_order_of_the_rows_changes_nothing(tmp_path: Path) -> None:
    rows = plain(gains(30, by=0.12))
    header = "task,baseline,candidate"
    first = only(tmp_path, header, rows)
    assert only(tmp_path, header, sorted(rows, key=lambda row: str(row[2]))) == first
    assert only(tmp_path, header, rows[::-1]) == first


def test_an_effect_beyond_the_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no difference can be above 1"):
        answered(tmp_path, "task,baseline,candidate", plain(PASSED), min_effect=5.0)


@pytest.mark.parametrize("options", [{"alpha": 0.5}, {"alpha": 0.0}, {"min_effect": 0.0}, {"min_effect": -0.1}])
def test_an_option_that_cannot_be_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        DecideConfig.model_validate({"pairs": Path("pairs.csv"), **options})
