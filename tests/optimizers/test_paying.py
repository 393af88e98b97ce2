from __future__ import annotations

from pathlib import Path

import pytest

from optimizers.evaluator import evaluator_in
from optimizers.meter import Limits
from optimizers.paying import require_budget
from optimizers.replay.tree import TreeReplay
from optimizers.replaying import Replaying
from optimizers.testing_world import Problem
from signatures.errors import UsageError
from signatures.records import Amounts


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


def test_beside_a_record_no_attempt_at_all_is_meant(tmp_path: Path) -> None:
    problem = Problem()
    plan = problem.plan()
    replay = Replaying(TreeReplay({}, problem.setup.observer, problem.setup.objectives, problem.setup.grant))
    for name, answering in (("recorded", replay), ("nothing", None)):
        with evaluator_in(tmp_path / name, problem.setup, budget=Amounts(attempts=0), replay=answering) as evaluator:
            if answering is None:
                with pytest.raises(UsageError, match="0 attempts is too small"):
                    require_budget(plan, evaluator)
            else:
                require_budget(plan, evaluator)
