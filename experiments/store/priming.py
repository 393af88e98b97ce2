"""Naive priming: facts of past episodes pasted into the worker's context, instead of a strategy that is executed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from controllers import Worker
from controllers.history import Seen
from controllers.prompts import render, require_observation
from controllers.steers import report
from signatures.digest import digest_of
from signatures.records import (
    AttemptContext,
    AttemptResult,
    CheckerResult,
    Cost,
    Steer,
    Task,
    TraceEvent,
    WorkerFingerprint,
)

ACTION: Final = "facts"
MOST_EPISODES: Final = 3
MOST_CHARACTERS: Final = 2_000
"""Of each episode."""


@dataclass(frozen=True)
class Past:
    """One episode of the search split: what was asked, and what was seen. No verdict is at hand here."""

    prompt: str
    history: tuple[Seen, ...]


class FactsSteer:
    """The past episodes whose tasks are most like this one, told as facts: calls, failures, checker results."""

    def __init__(self, past: Sequence[Past]) -> None:
        """Raises FirewallBreach for a history that holds anything but attempts, traces and checker results."""
        self.past = tuple(past)
        for one in self.past:
            for seen in one.history:
                for observation in seen.observations():
                    require_observation(observation)
        self._told: dict[str, str] = {}

    @property
    def digest(self) -> str:
        """Names what may be told."""
        return digest_of([[one.prompt, [seen.attempt.id for seen in one.history]] for one in self.past])

    async def steer(self, task: Task, history: Sequence[Seen], seed: int) -> tuple[Steer, Cost]:
        """The facts for a task, whatever happened in this episode."""
        return Steer(kind="report", action=ACTION, text=self.facts(task.prompt)), Cost()

    def facts(self, prompt: str) -> str:
        """What is pasted; empty where there is no past."""
        if prompt not in self._told:
            nearest = _nearest(prompt, self.past)
            lines = [f"On a task like this one ({_short(one.prompt, 300)}):\n{_told(one)}" for one in nearest]
            self._told[prompt] = "\n\n".join(["Facts from past runs:", *lines]) if lines else ""
        return self._told[prompt]


class PrimedWorker:
    """The same worker with facts before whatever it is told, on fresh attempts too, which get no steer.

    Its fingerprint says that it is primed and by what, and each attempt's trace begins with the text that was pasted.
    """

    def __init__(self, inner: Worker, facts: FactsSteer) -> None:
        self.inner = inner
        self.facts = facts

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The inner worker's, and the digest of what it is primed with."""
        own = self.inner.fingerprint
        return own.model_copy(update={"params": {**own.params, "primed": self.facts.digest}})

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One attempt of the inner worker. Raises what it raises."""
        facts, _ = await self.facts.steer(task, (), context.seed)
        text = "\n\n".join(part for part in (facts.text, context.steer.text) if part)
        steer = context.steer.model_copy(update={"text": text})
        result = await self.inner.attempt(task, context.model_copy(update={"steer": steer}), start)
        pasted = TraceEvent(turn=0, kind="message", name=ACTION, text=facts.text)
        return result.model_copy(update={"trace": (pasted, *result.trace)})


def _nearest(prompt: str, past: Sequence[Past]) -> list[Past]:
    """At most three, by TF-IDF cosine of the prompts; of equals the earlier."""
    if not past:
        return []
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english")
    try:
        vectors = vectorizer.fit_transform([one.prompt for one in past])
    except ValueError:  # no word in any of them
        return list(past[:MOST_EPISODES])
    cosines = (vectorizer.transform([prompt]) @ vectors.T).toarray()[0].tolist()
    order = sorted(range(len(past)), key=lambda n: (-round(cosines[n], 9), n))
    return [past[n] for n in order[:MOST_EPISODES]]


def _told(one: Past) -> str:
    """Calls and failures by name, then what the checkers said, in the form in which prompts show it."""
    every = (observation for seen in one.history for observation in seen.observations())
    checks = render([observation for observation in every if isinstance(observation.source, CheckerResult)])
    return _short("\n".join([report(one.history), *checks]), MOST_CHARACTERS)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + " ..."
