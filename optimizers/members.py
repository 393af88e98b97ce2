"""What a search has looked at: every candidate once, and of the accepted ones their scores on the val tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optimizers.records import TaskScore
from signatures.records import Candidate


class Members:
    """Kept by the evaluator beside its archive, so that engines that take turns share it."""

    def __init__(self) -> None:
        self.candidates: dict[str, Candidate] = {}
        "accepted, by digest"
        self.scores: dict[str, Mapping[str, TaskScore]] = {}
        "of each of them: task digest -> score on the val tasks"
        self.base: tuple[TaskScore, ...] = ()
        "scores of the first of them: means are of the tasks that it has values of"
        self._considered: dict[str, str] = {}

    def first(self, key: str) -> str | None:
        """The digest of the candidate that was considered first under this digest or behaviour."""
        return self._considered.get(key)

    def consider(self, candidate: Candidate, keys: Sequence[str]) -> None:
        """The candidate is being looked at; the first under each key stands."""
        for key in keys:
            self._considered.setdefault(key, candidate.digest)

    def accept(self, candidate: Candidate, scores: Mapping[str, TaskScore]) -> None:
        """The candidate is in the archive, with these scores by task."""
        self.candidates[candidate.digest] = candidate
        self.base = self.base or tuple(scores.values())
        self.scores[candidate.digest] = scores
