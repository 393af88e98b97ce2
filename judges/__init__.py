"""Verdicts: a terminal scorer that is write-only for everything that steers."""

from __future__ import annotations

from typing import Protocol

from judges.records import Judgement
from signatures.records import Task


class Judge(Protocol):
    """Scores the selected output after the episode. It is never told the steer, the arm or the candidate."""

    @property
    def revision(self) -> str:
        """Name and revision: equal revisions mean the same judge."""

    @property
    def deterministic(self) -> bool:
        """Whether judging the same output twice must give the same judgement."""

    async def judge(self, task: Task, output: str) -> Judgement:
        """Score one output. It raises plain Python errors when it cannot be asked."""
