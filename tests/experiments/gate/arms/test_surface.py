"""The surface: its places, its cells by hand, its subgroups, and a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.image import imread

from controllers.baselines import control_arms
from experiments.gate.arms.contrasts import Measured, Terms
from experiments.gate.arms.surface import Cell, Place, cell_of, difficulty_cells, draw_surface, leave_one_out, places_of
from optimizers.records import TaskScore

TERMS = Terms(("correct",))
FAMILIES = {"a": ("radio",), "b": ("radio", "sim"), "c": ("sim",), "d": ("vpn", "sim")}


def arm(*values: float) -> Measured:
    scores = tuple(
        TaskScore(
            candidate="x",
            condition="x",
            task_digest=task,
            seed=0,
            split="dev",
            values={"correct": value},
            source="live",
        )
        for task, value in zip(FAMILIES, values, strict=True)
    )
    return Measured(control_arms(3, 5, [], placebo=False)[0], (scores,))


def test_the_grid_has_every_budget_and_every_noise_under_every_number_of_turns() -> None:
    places = places_of((2, 3), (8, 12), (0.1, 0.3), usual=3)
    assert [(p.attempts, p.turns) for p in places if p.panel == "budget"] == [(2, 8), (2, 12), (3, 8), (3, 12)]
    noisy = [(p.attempts, p.turns, p.noise) for p in places if p.panel == "noise"]
    assert noisy == [(3, 8, 0.1), (3, 12, 0.1), (3, 8, 0.3), (3, 12, 0.3)]


def test_a_cell_holds_the_effect_and_its_interval() -> None:
    place = Place(panel="budget", label="3 x 5", attempts=3, turns=5)
    cell = cell_of(place, {"a": [1.0], "b": [1.0], "c": [0.0]}, {"a": [0.0], "b": [1.0], "c": [0.0]}, TERMS)
    assert (cell.n, cell.effect, cell.baseline, cell.candidate) == (3, *(pytest.approx(x / 3) for x in (1, 1, 2)))
    assert cell.lo is not None
    assert cell.hi is not None
    assert cell.effect is not None
    assert cell.lo < cell.effect < cell.hi
    assert cell_of(place, {}, {}, TERMS).effect is None


def test_difficulty_is_what_blind_reached_how_many_families_and_which() -> None:
    cells = difficulty_cells((arm(1, 1, 1, 0), arm(1, 0, 0, 0), arm(1, 0, 0, 0)), FAMILIES, TERMS)
    effects = {cell.label: (cell.n, cell.effect) for cell in cells}
    assert effects["blind: always"] == (1, 0.0)
    assert effects["blind: never solved"] == (3, pytest.approx(2 / 3))
    assert effects["1 families"] == (2, 0.5)
    assert effects["2 families"] == (2, 0.5)
    assert effects["sim"] == (3, pytest.approx(2 / 3))
    assert effects["vpn"] == (1, 0.0)


def test_equal_numbers_of_families_are_no_difficulty() -> None:
    single = dict.fromkeys(FAMILIES, ("one",))
    labels = [cell.label for cell in difficulty_cells((arm(1, 1, 1, 0),) * 3, single, TERMS)]
    assert "1 families" not in labels


def test_leaving_one_family_out_gives_the_range_of_the_effect() -> None:
    ours, theirs = arm(1, 1, 1, 0).values("correct"), arm(1, 0, 0, 0).values("correct")
    # without radio: c, d: 1/2; without sim: a: 0; without vpn: a, b, c: 2/3
    assert leave_one_out(ours, theirs, FAMILIES, "correct") == (0.0, pytest.approx(2 / 3))
    assert leave_one_out(ours, theirs, dict.fromkeys(FAMILIES, ("one",)), "correct") is None


def test_the_picture_is_drawn_whatever_is_there(tmp_path: Path) -> None:
    def cell(panel: str, label: str, effect: float | None, **place: object) -> Cell:
        given = {"panel": panel, "label": label, "attempts": 3, "turns": 5, **place}
        some = None if effect is None else effect - 0.1
        ends = {"lo": some, "hi": None if effect is None else effect + 0.1}
        return Cell.model_validate({**given, **ends, "n": 4, "effect": effect, "baseline": 0.1, "candidate": 0.2})

    full = [
        cell("budget", "3 x 5", 0.1),
        cell("budget", "2 x 5", 0.1, attempts=2),
        cell("noise", "noise 0.1", -0.2, noise=0.1),
        cell("difficulty", "blind", 0.0),
        *(cell("family", f"f{n}", 0.1) for n in range(30)),
    ]
    for number, cells in enumerate((full, [cell("budget", "3 x 5", None)], [])):
        path = tmp_path / f"{number}.png"
        draw_surface(path, cells, "a title")
        assert path.read_bytes().startswith(b"\x89PNG")


def test_a_panel_with_small_groups_alone_is_not_drawn(tmp_path: Path) -> None:
    def cell(panel: str, n: int) -> Cell:
        ends = {"n": n, "baseline": 0.1, "candidate": 0.2, "effect": 0.1, "lo": 0.0, "hi": 0.2}
        return Cell.model_validate({"panel": panel, "label": "one", "attempts": 3, "turns": 5, **ends})

    shapes = []
    for families in (9, 10):
        path = tmp_path / f"{families}.png"
        draw_surface(path, [cell("difficulty", 10), cell("family", families)], "a title")
        shapes.append(imread(path).shape[1])
    assert shapes[1] == 2 * shapes[0]
