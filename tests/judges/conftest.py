from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from judges.records import Verdict
from signatures.records import Amounts, Episode, Split, Task, WorkerFingerprint

MakeVerdict = Callable[..., Verdict]
MakeEpisode = Callable[..., Episode]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "verdicts.sqlite"


@pytest.fixture
def make_verdict() -> MakeVerdict:
    def make(
        name: str, *, score: float | None = 1.0, split: Split = "search", judge: str = "exact 1", reason: str = ""
    ) -> Verdict:
        return Verdict(
            id=f"{name}/{judge}",
            episode_id=name,
            attempt_id=f"{name}-a",
            task_digest="t",
            benchmark="toy",
            split=split,
            judge=judge,
            score=score,
            reason=reason,
            parts={"right": score == 1.0},
        )

    return make


@pytest.fixture
def task() -> Task:
    return Task(digest="t1", benchmark="toy", prompt="Say the word.")


@pytest.fixture
def make_episode(task: Task) -> MakeEpisode:
    def make(name: str = "e1", **changed: object) -> Episode:
        episode = Episode(
            id=name,
            condition="random@1",
            seed=0,
            split="search",
            benchmark=task.benchmark,
            task_digest=task.digest,
            worker=WorkerFingerprint(name="toy"),
            decision_ids=(),
            attempt_ids=(f"{name}-a",),
            selected_id=f"{name}-a",
            granted=Amounts(),
            spent=Amounts(),
        )
        return episode.model_copy(update=changed)

    return make
