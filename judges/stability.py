"""Judging the same outputs again: how often a judge agrees with itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from pydantic import Field

from judges import Judge
from judges.records import Judgement
from judges.scoring import ask
from signatures.errors import EvidenceError, InfraError, UsageError
from signatures.records import Probability, Record, Task


class Stability(Record):
    """A judge's agreement with itself."""

    judge: str
    "name and revision"
    agreement: Probability | None
    "mean over outputs of the share of pairs of judgements that agree; None: no output was judged twice"
    n: int = Field(ge=0)
    "outputs judged at least twice"
    times: int = Field(ge=2)
    "how often each output was handed in"
    unavailable: int = Field(ge=0)
    "times the judge could not be asked: neither agreement nor disagreement"


async def rejudge(judge: Judge, outputs: Sequence[tuple[Task, str]], times: int) -> Stability:
    """Judge each output `times` times. Judgements agree when score and parts are equal; reasons are free.

    "Cannot say" agrees with itself only. Raises UsageError on no outputs or fewer than two times; EvidenceError
    when a judge that claims to be deterministic disagrees with itself: its scores carry no conclusion.
    """
    if not outputs or times < 2:
        raise UsageError(f"a judge is re-judged on at least one output, twice: got {len(outputs)}, {times} times")
    rates: list[float] = []
    unstable: list[str] = []
    unavailable = 0
    for task, output in outputs:
        judgements = [j for j in [await _try(judge, task, output) for _ in range(times)] if j is not None]
        unavailable += times - len(judgements)
        pairs = [_same(one, other) for one, other in combinations(judgements, 2)]
        if pairs:
            rates.append(sum(pairs) / len(pairs))
        if not all(pairs):
            unstable.append(task.digest)
    if unstable and judge.deterministic:
        raise EvidenceError(
            f"judge {judge.revision} claims to be deterministic but gave different judgements on "
            f"{len(unstable)} of {len(rates)} outputs; tasks: {', '.join(unstable[:10])}"
        )
    agreement = sum(rates) / len(rates) if rates else None
    return Stability(judge=judge.revision, agreement=agreement, n=len(rates), times=times, unavailable=unavailable)


async def _try(judge: Judge, task: Task, output: str) -> Judgement | None:
    try:
        return await ask(judge, task, output)
    except InfraError:
        return None


def _same(one: Judgement, other: Judgement) -> bool:
    return one.score == other.score and one.parts == other.parts
