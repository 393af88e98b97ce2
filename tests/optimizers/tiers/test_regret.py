"""The loss of a rule in a model's place, with an interval that knows how little a record may say."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.baselines import controller_components
from controllers.observe import NoObserver
from controllers.policies.lm import LMPolicy
from controllers.program import controller_of
from controllers.scripted_engine import scripted_lm
from optimizers.replay.asking import Asking
from optimizers.replay.tree import Replayed, TreeReplay
from optimizers.setup import Grant
from optimizers.tiers.asked import Answers
from optimizers.tiers.regret import Policies, Regret, Replayer, regrets_of
from signatures.records import Amounts, Candidate, PolicyName
from tests.worlds.recorded import OBJECTIVES, TASK, Node, tree_of

ALPHA = 0.025


def replayed(values: list[float], unsupported: float = 0.0) -> dict[str, Replayed]:
    return {f"t{n:03}": Replayed({"correct": v}, unsupported, Amounts()) for n, v in enumerate(values)}


def regret(model: list[float], rule: list[float], unsupported: float = 0.0) -> Regret:
    (one,) = regrets_of(replayed(model, unsupported), replayed(rule, unsupported), alpha=ALPHA)
    return one


def test_no_difference_on_few_tasks_is_no_proof() -> None:
    few, many = regret([0.5] * 12, [0.5] * 12), regret([0.5] * 200, [0.5] * 200)
    assert few.loss == many.loss == 0.0
    assert few.hi > 0.2 and 0 < many.hi < 0.03


def test_the_loss_is_the_models_value_less_the_rules() -> None:
    one = regret([1.0] * 50, [0.8] * 50)
    assert one.loss == pytest.approx(0.2) and one.hi > 0.2 and one.evidence.losses == 50
    better = regret([0.2] * 100, [0.9] * 100)
    assert better.loss is not None and better.loss < better.hi < 0


def test_what_is_not_on_record_counts_at_its_worst() -> None:
    sure, unsure = regret([0.5] * 200, [0.5] * 200), regret([0.5] * 200, [0.5] * 200, 0.1)
    assert sure.hi < 0.02 and unsure.hi > 0.1 + 0.9 * sure.hi - 0.001 and unsure.unsupported == pytest.approx(0.1)
    nothing = {f"t{n:03}": Replayed({"correct": None}, 1.0, Amounts()) for n in range(200)}
    (one,) = regrets_of(nothing, nothing, alpha=ALPHA)
    assert one.loss is None and one.hi > 0.98


def test_what_was_not_judged_is_left_out_and_counted() -> None:
    model = {**replayed([0.5] * 100), "x": Replayed({"correct": None}, 0.0, Amounts())}
    rule = {**replayed([0.5] * 100), "x": Replayed({"correct": 1.0}, 0.0, Amounts())}
    (one,) = regrets_of(model, rule, alpha=ALPHA)
    assert (one.evidence.n, one.evidence.missing, one.tasks) == (100, 1, 101)


def test_where_only_the_model_could_be_judged_the_rule_counts_as_nothing() -> None:
    model, rule = replayed([0.5] * 200), replayed([0.5] * 200)
    rule |= {task: one._replace(values={"correct": None}) for task, one in list(rule.items())[:40]}
    (one,) = regrets_of(model, rule, alpha=ALPHA)
    assert one.loss == 0.0 and one.evidence.missing == 40
    assert one.hi > 0.1, "a fifth of the tasks may have lost all of their .5"
    neither = {task: one._replace(values={"correct": None}) for task, one in model.items()}
    (two,) = regrets_of(neither, neither, alpha=ALPHA)
    assert (two.loss, two.hi) == (None, 1.0)


@pytest.mark.parametrize("worlds", [200])
def test_the_upper_end_is_below_the_true_loss_no_more_often_than_it_says(worlds: int) -> None:
    """Each task's two values are means over a few recorded attempts: a record's noise, with rare large losses."""
    rng = np.random.default_rng(5)
    true, missed = 0.06, 0
    for _ in range(worlds):
        n = 40
        model = rng.binomial(4, 0.6, n) / 4
        lost = rng.random(n) < true / 0.6
        missed += regret(model.tolist(), np.where(lost, 0.0, model).tolist()).hi < true
    assert missed / worlds <= 0.06, "2.5 % and what 200 worlds may add by chance"


NODES = [Node("a"), Node("b", parent="a", action="none"), Node("c", correct=1.0, parent="a", action="fan")]
TREES = TreeReplay({TASK.digest: tree_of(NODES)}, NoObserver(), OBJECTIVES, Grant(2, None, ("none", "fan")))
ANSWER = "[[ ## action ## ]]\nfan\n\n[[ ## confidence ## ]]\n1.0\n\n[[ ## completed ## ]]"


async def test_a_walk_that_needs_an_answer_that_nobody_gave_is_unsupported() -> None:
    rules = controller_of(Candidate(components=controller_components(refine=True, steer={"none": 1.0})))
    lm, engine = scripted_lm(lambda prompt: ANSWER)
    by_model: dict[PolicyName, object] = {**rules.policies, "steer": LMPolicy("steer", lm)}

    async def value(policies: object, most: int) -> Replayed:
        replayer = Replayer(TREES, [TASK], Answers(Asking(), most=most), walks=2)
        return (await replayer.values(lambda task: typed(policies)))[TASK.digest]

    def typed(policies: object) -> Policies:
        assert isinstance(policies, dict)
        return policies

    silent = await value(by_model, 0)
    assert silent.unsupported == 1.0 and silent.values["correct"] is None and not engine.prompts
    asked, ruled = await value(by_model, 5), await value(dict(rules.policies), 0)
    assert (asked.values["correct"], ruled.values["correct"]) == (1.0, 0.0)
    assert len(engine.prompts) == 1
