"""From a selected output to a verdict in the ledger."""

from __future__ import annotations

from typing import Final

from controllers.boundary import boundary
from controllers.retry import RetryPolicy, with_retries
from judges import Judge
from judges.ledger import VerdictLedger
from judges.records import Judgement, Verdict
from signatures.digest import digest_of
from signatures.errors import JudgeUnavailable, UsageError
from signatures.records import Episode, Failure, Task

RETRY: Final = RetryPolicy()


async def ask(judge: Judge, task: Task, output: str) -> Judgement:
    """Ask once. Raises JudgeUnavailable, or ProviderError from a judge's model: then there is no score, not 0."""
    with boundary(JudgeUnavailable, _where(judge)):
        judgement = await judge.judge(task, output)
        if not isinstance(judgement, Judgement):
            raise TypeError(f"a judge returns a Judgement, not {type(judgement).__name__}")
        return judgement


async def judge_episode(
    judge: Judge,
    ledger: VerdictLedger,
    task: Task,
    episode: Episode,
    output: str,
    *,
    retry: RetryPolicy = RETRY,
) -> Verdict | Failure:
    """Score `output`, the selected attempt's, and return the verdict once the ledger holds it.

    An episode judged before is not judged again. A judge that cannot be asked, and an episode without a selected
    attempt, leave a Failure and nothing in the ledger. Raises UsageError on another episode's task, StoreError.
    """
    if task.digest != episode.task_digest:
        raise UsageError(f"episode {episode.id} is of task {episode.task_digest}, not {task.digest}")
    if episode.selected_id is None:
        nothing = f"episode {episode.id} selected no attempt, so there is nothing to judge"
        return episode.failure or Failure(error="JudgeUnavailable", message=nothing, where=_where(judge))
    id = digest_of(episode.id, episode.selected_id, judge.revision)
    if (held := await ledger.held(id)) is not None:
        return held
    answer = await with_retries(lambda: ask(judge, task, output), _where(judge), retry)
    if isinstance(answer, Failure):
        return answer
    verdict = Verdict(
        id=id,
        episode_id=episode.id,
        attempt_id=episode.selected_id,
        task_digest=task.digest,
        benchmark=episode.benchmark,
        split=episode.split,
        judge=judge.revision,
        score=answer.score,
        reason=answer.reason,
        parts=answer.parts,
    )
    await ledger.append(verdict)
    return verdict


def _where(judge: Judge) -> str:
    return f"judge {judge.revision}"
