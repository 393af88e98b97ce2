"""How often a way is right, with exact intervals and tests: the numbers of a skill report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import Field

from optimizers.gate.exact import mcnemar_p
from optimizers.skill.question import Question
from optimizers.skill.ways import Reply
from signatures.records import Cost, Finite, PolicyName, Probability, Record

CONFIDENCE: Final = 0.95


class FamilyCount(Record):
    """Right answers on the tasks of one family; a task of several families counts in each."""

    family: str
    right: int = Field(ge=0)
    n: int = Field(ge=0)


class Scored(Record):
    """One way on the test questions of one policy."""

    way: str
    policy: PolicyName
    n: int = Field(ge=1)
    right: int = Field(ge=0)
    unread: int = Field(ge=0)
    "no action could be read from the answer: counted as wrong"
    accuracy: Probability
    lo: Probability
    hi: Probability
    "Clopper-Pearson, 95 %"
    chosen: Mapping[str, int]
    "how often each action was chosen"
    families: tuple[FamilyCount, ...]
    p_chance: Probability
    "exact binomial, one-sided: so many right by choosing evenly among the legal actions"
    p_baseline: Mapping[str, Probability]
    "exact McNemar, two-sided, against other ways on the same questions"
    tokens: Finite | None = None
    "in and out, per decision; None: not measured, or no model"
    seconds: Finite | None = None
    "per decision, on the machine of the run and with what else ran on it"


def scored(
    way: str, questions: Sequence[Question], chosen: Sequence[str | None], replies: Sequence[Reply | None]
) -> Scored:
    """The score of a way; `p_baseline` is left empty, see `compared`. Source: Clopper & Pearson 1934."""
    from scipy.stats import binomtest

    right = [one.label == action for one, action in zip(questions, chosen, strict=True)]
    n, hits = len(right), sum(right)
    chance = sum(1 / len(one.legal) for one in questions) / n
    bounds = binomtest(hits, n).proportion_ci(confidence_level=CONFIDENCE, method="exact")
    counts: dict[str, int] = {}
    for action in chosen:
        if action is not None:
            counts[action] = counts.get(action, 0) + 1
    cost = Cost()
    for reply in replies:
        cost = cost.plus(reply.cost) if reply is not None else cost
    tokens = [amount for amount in (cost.tokens_in, cost.tokens_out) if amount is not None]
    return Scored(
        way=way,
        policy=questions[0].policy,
        n=n,
        right=hits,
        unread=sum(action is None for action in chosen),
        accuracy=hits / n,
        lo=float(bounds.low),
        hi=float(bounds.high),
        chosen=counts,
        families=_by_family(questions, right),
        p_chance=min(1.0, float(binomtest(hits, n, chance, alternative="greater").pvalue)),
        p_baseline={},
        tokens=sum(tokens) / n if tokens else None,
        seconds=cost.wall_s / n if cost.wall_s is not None else None,
    )


def compared(right: Mapping[str, Sequence[bool]], way: str, baselines: Sequence[str]) -> dict[str, float]:
    """The exact McNemar p of a way against each baseline that is not itself."""
    found: dict[str, float] = {}
    for other in baselines:
        if other != way and other in right:
            pairs = list(zip(right[way], right[other], strict=True))
            found[other] = mcnemar_p(sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs), sides=2)
    return found


def _by_family(questions: Sequence[Question], right: Sequence[bool]) -> tuple[FamilyCount, ...]:
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for one, hit in zip(questions, right, strict=True):
        for family in one.families:
            found[family].append(hit)
    return tuple(FamilyCount(family=name, right=sum(hits), n=len(hits)) for name, hits in sorted(found.items()))
