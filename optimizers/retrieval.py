"""Which certified strategy a task is given: the most relevant one that was measured here, or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from optimizers.setup import Grant
from optimizers.store import Stored
from signatures.records import Task, WorkerFingerprint

if TYPE_CHECKING:
    import numpy as np

THRESHOLD: Final = 0.15
"""Least relevance, on [0, 1], at which a strategy is executed. Chosen, not fitted: texts that share one word in many
stay below it."""
NEAREST: Final = 5
"""Texts of a class that its relevance is the mean over."""


class Here(NamedTuple):
    """Where a strategy would be executed: a certificate says nothing of another worker or another grant."""

    worker: WorkerFingerprint
    grant: Grant


class Retrieved(NamedTuple):
    """What a task is given."""

    stored: Stored | None
    "None: whoever asks plays its own controller"
    relevance: float
    "of the most relevant strategy that may be executed here, 0 where there is none"
    why: str


class Shelf:
    """The strategies that may be executed here, indexed by the words of their task classes.

    Relevance of a class to a task: the mean cosine of TF-IDF vectors (Salton & Buckley 1988) between the task's prompt
    and the five nearest prompts of the class, over classes of the task's benchmark.
    """

    def __init__(self, strategies: Sequence[Stored], here: Here, *, threshold: float = THRESHOLD) -> None:
        self.strategies = tuple(one for one in strategies if (one.worker, one.grant) == here)
        self.threshold = threshold
        self._others = len(strategies) - len(self.strategies)
        self._index = {one.task_class.benchmark: _Index() for one in self.strategies}
        for name, index in self._index.items():
            index.fit([one for one in self.strategies if one.task_class.benchmark == name])

    def retrieve(self, task: Task) -> Retrieved:
        """The most relevant strategy at or above the threshold; of equals the one that was stored last."""
        index = self._index.get(task.benchmark)
        if index is None:
            left_out = f"; {self._others} were measured with another worker or grant" if self._others else ""
            return Retrieved(None, 0.0, f"no strategy is certified for {task.benchmark} here{left_out}")
        stored, relevance = index.nearest(task.prompt)
        if relevance < self.threshold:
            return Retrieved(None, relevance, f"relevance {relevance:.2f} is below {self.threshold:g}")
        return Retrieved(stored, relevance, f"relevance {relevance:.2f}: {stored.name}")


class _Index:
    """The prompts of one benchmark's classes as vectors."""

    def fit(self, strategies: Sequence[Stored]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._strategies = strategies
        texts = [prompt for one in strategies for prompt in one.task_class.prompts]
        self._owners = [number for number, one in enumerate(strategies) for _ in one.task_class.prompts]
        self._vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english")
        try:
            self._vectors = self._vectorizer.fit_transform(texts)
        except ValueError:  # no word in any of them: then nothing is relevant
            self._vectors = None

    def nearest(self, prompt: str) -> tuple[Stored, float]:
        if self._vectors is None:
            return self._strategies[-1], 0.0
        cosines: np.ndarray[tuple[int], np.dtype[np.float64]] = (
            self._vectorizer.transform([prompt]) @ self._vectors.T
        ).toarray()[0]
        found: dict[int, list[float]] = {}
        for owner, cosine in zip(self._owners, cosines.tolist(), strict=True):
            found.setdefault(owner, []).append(cosine)
        means = {owner: _mean_of_nearest(each) for owner, each in found.items()}
        best = max(means, key=lambda owner: (round(means[owner], 9), owner))
        return self._strategies[best], means[best]


def _mean_of_nearest(cosines: Sequence[float]) -> float:
    nearest = sorted(cosines, reverse=True)[:NEAREST]
    return sum(nearest) / len(nearest)
