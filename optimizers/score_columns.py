"""Scores as columns: how a journal writes those of one candidate that were replayed whole and cost nothing.

Ten thousand such scores are a few lists and not ten thousand objects. What is said of one alone, such as a failure or
what a model was asked, has no column: such a score is written as a record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from optimizers.records import TaskScore
from signatures.records import Amounts, Probability, Record, Split


class Columns(Record):
    """Scores of one candidate, one row per task. The key of a row is `head` and the task's digest."""

    head: str
    candidate: str
    condition: str
    seed: int
    split: Split
    tasks: tuple[str, ...]
    values: Mapping[str, tuple[Probability | None, ...]]
    "by objective"
    attempts: tuple[int | None, ...]
    turns: tuple[int | None, ...]
    unsupported: Mapping[str, Probability] = Field(default_factory=dict)
    "by task, where it is not 0"

    def scores(self) -> dict[str, TaskScore]:
        """The records, by key."""
        names = list(self.values)
        rows = zip(*self.values.values(), strict=True) if names else ((),) * len(self.tasks)
        return {
            f"{self.head}{task}": TaskScore(
                candidate=self.candidate,
                condition=self.condition,
                task_digest=task,
                seed=self.seed,
                split=self.split,
                values=dict(zip(names, row, strict=True)),
                source="replay",
                unsupported=self.unsupported.get(task, 0.0),
                used=Amounts(attempts=attempts, turns=turns),
            )
            for task, row, attempts, turns in zip(self.tasks, rows, self.attempts, self.turns, strict=True)
        }


def plain(key: str, score: TaskScore) -> bool:
    """Whether the columns say all that the score says."""
    spent, used = score.spent, score.used
    return (
        score.source == "replay"
        and not (score.set_aside or score.cut or score.fault or score.asked or score.saved)
        and score.episode_id is None
        and score.failure is None
        and spent.attempts is spent.turns is spent.tokens is spent.usd is spent.wall_s is None
        and used.tokens is used.usd is used.wall_s is None
        and key.endswith(score.task_digest)
    )


def columns_of(scored: Mapping[str, TaskScore]) -> list[dict[str, object]]:
    """The columns of plain scores as JSON, one entry per candidate, condition, seed and split."""
    groups: dict[tuple[object, ...], list[TaskScore]] = {}
    for key, score in scored.items():
        head = key[: len(key) - len(score.task_digest)]
        names = tuple(score.values)
        groups.setdefault((head, score.candidate, score.condition, score.seed, score.split, names), []).append(score)
    return [_columns(group, scores) for group, scores in groups.items()]


def _columns(group: tuple[object, ...], scores: Sequence[TaskScore]) -> dict[str, object]:
    head, candidate, condition, seed, split, names = group
    assert isinstance(names, tuple)
    found: dict[str, object] = {
        "head": head,
        "candidate": candidate,
        "condition": condition,
        "seed": seed,
        "split": split,
        "tasks": [score.task_digest for score in scores],
        "values": {name: [score.values[name] for score in scores] for name in names},
        "attempts": [score.used.attempts for score in scores],
        "turns": [score.used.turns for score in scores],
    }
    missing = {score.task_digest: score.unsupported for score in scores if score.unsupported}
    return {**found, "unsupported": missing} if missing else found
