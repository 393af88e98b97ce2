"""How often a rule says what the model said, on tasks that the rule was not fitted to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field

from controllers.arms import distribution
from controllers.policies import View
from controllers.policies.rule import RulePolicy
from optimizers.intervals import Interval, mean_interval
from optimizers.tiers.answered import Answered, Row, most_likely
from optimizers.tiers.fitting import Size, fit_rules
from signatures.digest import digest_of
from signatures.errors import NoSupport
from signatures.records import Finite, Record, Task


class Agreement(Record):
    """The share of decisions that a fitted rule reproduces, cross-validated over tasks."""

    share: Interval
    "the mean over tasks of each task's share, with its 95 % interval"
    decisions: int = Field(ge=0)
    undecided: int = Field(ge=0)
    "left out: the model named no single action"
    constant: Finite | None = None
    "the same share of a rule that always names the most frequent answer, fitted in the same folds"
    elsewhere: Finite | None = None
    "the share among the decisions that such a rule gets wrong, mean over tasks; None: it gets all right"
    elsewhere_n: int = Field(default=0, ge=0)
    "these decisions"


def folds_of(tasks: Iterable[str], folds: int) -> dict[str, int]:
    """Each task's fold, of sizes as equal as can be. It depends on the digests alone, not on their order."""
    dealt = sorted(set(tasks), key=lambda task: digest_of("fold", task))
    return {task: number % folds for number, task in enumerate(dealt)}


def cross_fitted(rows: Sequence[Row], fold: Mapping[str, int], folds: int, size: Size) -> list[RulePolicy]:
    """For each fold the rule fitted to the tasks outside it.

    Raises NoSupport where a fold leaves no decision outside it.
    """
    outside = [[row for row in rows if fold[row.task] != number] for number in range(folds)]
    if not all(outside):
        tasks = len({row.task for row in rows})
        raise NoSupport(f"decisions on {tasks} tasks: too few to fit a rule on some and to try it on others")
    return [RulePolicy(fit_rules(some, size)) for some in outside]


async def agreement_of(
    mine: Answered, fold: Mapping[str, int], rules: Sequence[RulePolicy], constants: Sequence[RulePolicy]
) -> Agreement:
    """Each decision against the rule of its task's fold. Raises NoSupport without any decision.

    The rule is asked as an episode would ask it: where none of what it names is legal, it does not agree.
    `constants`: for each fold the rule that always names the same action. Agreement that it has as well says nothing.
    """
    if not mine.rows:
        raise NoSupport("no recorded decision to agree with")
    by_task, constant, elsewhere = (defaultdict[str, list[float | None]](list) for _ in range(3))
    for row in mine.rows:
        agrees = float(await _named(rules[fold[row.task]], row) == row.action)
        usual = await _named(constants[fold[row.task]], row) == row.action
        by_task[row.task].append(agrees)
        constant[row.task].append(float(usual))
        if not usual:
            elsewhere[row.task].append(agrees)
    return Agreement(
        share=mean_interval(by_task),
        decisions=len(mine.rows),
        undecided=mine.undecided,
        constant=mean_interval(constant).mean,
        elsewhere=mean_interval(elsewhere).mean,
        elsewhere_n=sum(len(some) for some in elsewhere.values()),
    )


async def _named(rule: RulePolicy, row: Row) -> str | None:
    view = View(Task(digest=row.task, benchmark="", prompt=""), row.features, row.legal)
    answer = await rule.decide(view)
    return most_likely(distribution(answer.weights, row.legal))
