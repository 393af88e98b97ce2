"""Factors: all combinations, another one without a new line elsewhere, and marginal effects by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from controllers.baselines import Arm, seed_candidate
from experiments.gate.arms.contrasts import Measured
from experiments.gate.learned.ablation import (
    FACTORS,
    FURTHER,
    INTERACTION,
    MARGINAL,
    Bench,
    Factor,
    arm_of,
    cells_of,
    effects_of,
    fresh_only,
    measure_cells,
)
from experiments.gate.learned.ablation_config import AblationConfig, search_config
from experiments.gate.learned.learning import recorded
from experiments.gate.report import Contrast
from experiments.wiring import ready, wired
from optimizers.episode_log import Floats
from optimizers.levels.settings import SearchSettings
from optimizers.records import TaskScore
from optimizers.space import Space
from signatures.errors import EvidenceError
from signatures.records import Amounts, Failure

THIRD = Factor("meta", lambda making: replace(making))
"""A factor that changes nothing."""
TWO = FACTORS[:2]


def config(root: Path, **changed: object) -> AblationConfig:
    given = {
        "benchmark": "tests.worlds.planted:PlantedBenchmark",
        "attempts": 2,
        "turns": 3,
        "train": 6,
        "generations": 3,
        "iterations": 3,
        "minibatch": 4,
        "tasks": 8,
        "repeats": 1,
        "tracking": False,
        "root": str(root),
        **changed,
    }
    return AblationConfig.model_validate(given)


def measured(name: str, value: Callable[[int, int], float | None], *, turns: int = 10, repeats: int = 2) -> Measured:
    """Twenty tasks; `value(task, repeat)`, None: infrastructure ended it."""
    arm = Arm(name=name, candidate=seed_candidate(), attempts=2, turns_per_attempt=3)

    def score(task: int, repeat: int) -> TaskScore:
        found = value(task, repeat)
        failure = None if found is not None else Failure(error="WorkerError", message="no", where="worker")
        used = Amounts(attempts=1, turns=turns)
        return TaskScore(
            candidate="c",
            condition=name,
            task_digest=f"{task:02d}",
            seed=repeat,
            split="dev",
            values={"correct": found, "fast": None if found is None else 0.5},
            source="live",
            failure=failure,
            spent=used,
            used=used,
        )

    return Measured(arm, tuple(tuple(score(task, repeat) for task in range(20)) for repeat in range(repeats)))


def planted(
    effects: dict[str, float], *, together: float = 0.0, factors: tuple[Factor, ...] = FACTORS
) -> dict[str, Measured]:
    """Cells whose `correct` is a sum over the factors that are on, and `together` where all of them are."""
    rng = np.random.default_rng(5)
    found = {}
    for cell in cells_of(factors):
        level = 0.2 + sum(effects.get(f.name, 0.0) for f, on in zip(factors, cell.levels, strict=True) if on)
        value_T_2 = level + together * all(cell.levels) + rng.normal(0, 0.02, (20, 2))
        found[cell.name] = measured(cell.name, partial(table, value_T_2))
    return found


def table(value_T_2: Floats, task: int, repeat: int) -> float:
    return float(value_T_2[task, repeat])


def by_name(found: tuple[Contrast, ...], family: str) -> dict[str, Contrast]:
    return {one.name: one for one in found if one.family == family and one.evidence.objective == "correct"}


def test_all_combinations_with_everything_off_first() -> None:
    cells = cells_of(FACTORS)
    names = ["none", "tuned", "learned", "learned+tuned", "refine", "refine+tuned", "refine+learned"]
    assert [cell.name for cell in cells] == [*names, "refine+learned+tuned"]
    made = [(cell.making.refine, cell.making.learned, cell.making.tuned) for cell in cells]
    assert made == list(itertools.product((False, True), repeat=3))


def test_marginal_effects_are_means_over_the_other_factor(tmp_path: Path) -> None:
    found = effects_of(
        planted({"refine": 0.3, "learned": 0.1}, together=0.2, factors=TWO), TWO, ("correct", "fast"), config(tmp_path)
    )
    marginal = by_name(found, MARGINAL)
    assert marginal["refine"].evidence.effect == pytest.approx(0.3 + 0.1, abs=0.02)
    assert marginal["learned"].evidence.effect == pytest.approx(0.1 + 0.1, abs=0.02)
    assert marginal["refine"].evidence.n == 20
    assert by_name(found, INTERACTION)["refine x learned"].evidence.effect == pytest.approx(0.1, abs=0.02)
    assert [one.name for one in found if one.family == FURTHER] == ["refine", "learned"]


def test_marginal_effects_are_one_family(tmp_path: Path) -> None:
    marginal = by_name(effects_of(planted({"refine": 0.4}, factors=TWO), TWO, ("correct",), config(tmp_path)), MARGINAL)
    p = sorted(one.evidence.p for one in marginal.values())
    assert marginal["refine"].evidence.q == pytest.approx(min(2 * p[0], p[1]))
    assert marginal["refine"].evidence.lo is not None
    assert marginal["refine"].evidence.lo > 0.1
    assert (marginal["learned"].evidence.q or 0) > 0.025


def test_a_third_factor_is_one_more_row(tmp_path: Path) -> None:
    factors = (*FACTORS[:2], THIRD)
    assert len(cells_of(factors)) == 8
    found = effects_of(planted({"refine": 0.3, "meta": 0.2}, factors=factors), factors, ("correct",), config(tmp_path))
    marginal = by_name(found, MARGINAL)
    assert set(marginal) == {"refine", "learned", "meta"}
    assert marginal["meta"].evidence.effect == pytest.approx(0.2, abs=0.02)
    assert set(by_name(found, INTERACTION)) == {"refine x learned", "refine x meta", "learned x meta"}


def test_a_half_that_spent_a_fifth_more_is_confounded(tmp_path: Path) -> None:
    cells = planted({"refine": 0.3})
    dear = {name: measured(name, lambda t, r: 0.5, turns=12) for name in cells if "refine" in name}
    marginal = by_name(effects_of({**cells, **dear}, FACTORS, ("correct",), config(tmp_path)), MARGINAL)
    assert marginal["refine"].confounded
    assert not marginal["learned"].confounded


def test_a_lost_value_is_left_out_with_its_partner(tmp_path: Path) -> None:
    cells = planted({"refine": 0.3})
    cells["learned"] = measured("learned", lambda t, r: None if (t, r) == (3, 1) else 0.2)
    found = by_name(effects_of(cells, FACTORS, ("correct",), config(tmp_path)), MARGINAL)
    assert (found["refine"].evidence.missing, found["refine"].evidence.n) == (1, 20)


def test_a_combination_that_loses_more_than_chance_is_refused(tmp_path: Path) -> None:
    cells = planted({}) | {"learned": measured("learned", lambda t, r: None if t < 10 else 0.2)}
    with pytest.raises(EvidenceError, match="cannot be compared"):
        effects_of(cells, FACTORS, ("correct",), config(tmp_path))


def test_without_refining_only_fresh_attempts_and_silence_are_left() -> None:
    space = Space(
        {"passed": (0.5,)}, {"stop": ("done",), "topology": ("refine_last", "fanout_1"), "steer": ("none", "a")}
    )
    assert fresh_only(space).actions == {"stop": ("done",), "topology": ("fanout_1",), "steer": ("none",)}


async def test_cells_are_made_as_their_factors_say_and_measured_at_one_grant(tmp_path: Path) -> None:
    given = config(tmp_path)
    search = search_config(given, tmp_path / "corpus.db")
    (tmp_path / "run").mkdir()
    with wired(ready(search, root=tmp_path), tmp_path / "run") as parts:
        trees = await recorded(search, parts, tmp_path / "run" / "trees", parts.splits.train[: given.train])
        bench = Bench(given, search, parts, trees, SearchSettings(engine="pareto_search", minibatch=2))
        made = {cell.name: await arm_of(bench, cell) for cell in cells_of(FACTORS)}
        found = await measure_cells(bench, [arm for arm, _ in made.values()], lambda: None)
    arms = {name: arm for name, (arm, _) in made.items()}
    learned = {"learned", "learned+tuned", "refine+learned", "refine+learned+tuned"}
    assert {name for name, (_, lesson) in made.items() if lesson} == learned
    assert arms["tuned"].candidate == arms["none"].candidate, "where nothing is learned tuning changes nothing"
    lessons = {lesson.name for _, lesson in made.values() if lesson is not None}
    assert lessons == {
        f"learn {one}" for one in ("learned", "refine+learned", "learned, tuned", "refine+learned, tuned")
    }
    assert {(arm.attempts, arm.turns_per_attempt) for arm in arms.values()} == {(2, 3)}
    for name in ("none", "learned"):
        assert arms[name].steer_legal == ("none",)
        assert "refine" not in arms[name].candidate.components["topology"]
    assert "refine_last" in arms["refine"].candidate.components["topology"]
    assert set(found) == set(arms)
    assert {score.split for one in found.values() for repeat in one.scores for score in repeat} == {"dev"}
    assert all(one.excluded.excluded == 0 for one in found.values())
