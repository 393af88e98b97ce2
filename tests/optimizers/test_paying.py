from __future__ import annotations

from pathlib import Path

import pytest

from optimizers.meter import Limits
from optimizers.paying import require_budget
from optimizers.testing_world import Problem
from signatures.errors import UsageError


def test_attempts_must_pay_for_the_start_and_one_iteration(tmp_path: Path) -> None:
    problem = Problem()
    plan = problem.plan()
    need = (len(plan.val) + 2 * plan.minibatch) * 2
    with (
        problem.evaluator(tmp_path / "less", Limits(attempts=need - 1)) as evaluator,
        pytest.raises(UsageError, match=f"{need - 1} attempts is too small.* {need}"),
    ):
        require_budget(plan, evaluator)
    for name, limits in (("enough", Limits(attempts=need)), ("tokens", Limits(tokens=1)), ("none", None)):
        with problem.evaluator(tmp_path / name, limits) as evaluator:
            require_budget(plan, evaluator)
