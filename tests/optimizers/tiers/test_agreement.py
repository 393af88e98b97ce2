"""Agreement on tasks that a rule has not seen."""

from __future__ import annotations

import random

import pytest

from optimizers.tiers.agreement import agreement_of, cross_fitted, folds_of
from optimizers.tiers.answered import Answered, Row
from optimizers.tiers.fitting import Size
from signatures.errors import NoSupport

LEGAL = ("a", "b")
FOLDS = 5


async def agreement(rows: list[Row], **size: int) -> float:
    fold = folds_of([row.task for row in rows], FOLDS)
    constants = cross_fitted(rows, fold, FOLDS, Size(rules=1))
    fitted = cross_fitted(rows, fold, FOLDS, Size(**size))
    found = await agreement_of(Answered(rows, undecided=2), fold, fitted, constants)
    assert found.share.mean is not None and (found.decisions, found.undecided) == (len(rows), 2)
    assert found.share.lo is not None and found.share.lo <= found.share.mean
    return found.share.mean


def test_folds_are_equal_and_depend_on_the_digests_alone() -> None:
    tasks = [f"t{n}" for n in range(23)]
    fold = folds_of(tasks, FOLDS)
    assert fold == folds_of(tasks[::-1], FOLDS)
    sizes = [list(fold.values()).count(number) for number in range(FOLDS)]
    assert max(sizes) - min(sizes) <= 1


async def test_what_a_rule_can_say_is_agreed_on() -> None:
    rows = [Row(f"t{n}", {"x": float(n % 2)}, LEGAL, LEGAL[n % 2]) for n in range(40)]
    assert await agreement(rows) == 1.0


async def test_what_was_learned_by_heart_is_not_agreement() -> None:
    """Each task has a random answer and a feature that names it: a rule that has seen it would be perfect."""
    rng = random.Random(1)
    rows = [Row(f"t{n}", {"x": float(n)}, LEGAL, rng.choice(LEGAL)) for n in range(60) for _ in range(6)]
    assert await agreement(rows, depth=6, rules=32, least=1) < 0.75


async def test_a_rule_that_names_nothing_legal_does_not_agree() -> None:
    rows = [Row(f"t{n}", {}, ("a", "b"), "a") for n in range(18)] + [Row(f"u{n}", {}, ("b", "c"), "b") for n in (1, 2)]
    assert await agreement(rows) == pytest.approx(0.9)


async def test_agreement_that_always_saying_the_same_has_as_well_is_told_apart() -> None:
    """The model says `b` on one task in ten, where no feature says so: .9 is what saying `a` reaches."""
    rows = [Row(f"t{n}", {"x": float(n % 3)}, LEGAL, "b" if n % 10 == 0 else "a") for n in range(300)]
    fold = folds_of([row.task for row in rows], FOLDS)
    constants = cross_fitted(rows, fold, FOLDS, Size(rules=1))
    blind = await agreement_of(Answered(rows), fold, cross_fitted(rows, fold, FOLDS, Size()), constants)
    assert blind.share.mean == blind.constant == pytest.approx(0.9)
    assert (blind.elsewhere, blind.elsewhere_n) == (0.0, 30)
    told = [row._replace(features={"x": float(row.action == "b")}) for row in rows]
    sees = await agreement_of(Answered(told), fold, cross_fitted(told, fold, FOLDS, Size()), constants)
    assert (sees.share.mean, sees.elsewhere) == (1.0, 1.0) and sees.constant == pytest.approx(0.9)
    same = [row._replace(action="a") for row in rows]
    always = cross_fitted(same, fold, FOLDS, Size(rules=1))
    assert (await agreement_of(Answered(same), fold, always, always)).elsewhere is None


async def test_too_few_tasks_are_said() -> None:
    rows = [Row("t", {}, LEGAL, "a")] * 9
    with pytest.raises(NoSupport, match="decisions on 1 tasks"):
        cross_fitted(rows, folds_of(["t"], FOLDS), FOLDS, Size())
    with pytest.raises(NoSupport):
        await agreement_of(Answered(), {}, [], [])
