"""From a selected output to a verdict in the ledger."""

from __future__ import annotations

from controllers.boundary import boundary
from judges import Judge
from judges.ledger import VerdictLedger
from judges.records import Judgement, Verdict
from signatures.digest import digest_of
from signatures.errors import InfraError, UsageError
from signatures.records import Episode, Failure, Task


async def ask(judge: Judge, task: Task, output: str) -> Judgement:
    """Ask the judge once. Raises JudgeUnavailable (or ProviderError, from a judge's model) when it cannot be asked."""
    from signatures.errors import JudgeUnavailable

    with boundary(JudgeUnavailable, _where(judge)):
        return _judgement(await judge.judge(task, output))


def verdict_id(episode: Episode, judge: Judge) -> str:
    """Names the one verdict of this judge on the episode's selected attempt."""
    return digest_of(episode.id, episode.selected_id, judge.revision)
