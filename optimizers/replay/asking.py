"""Asking policies under replay: one call per distinct decision input, kept in memory and, where wanted, in a file."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pydantic import ValidationError

from controllers.jsonlog import JsonLog, read_jsonlog
from controllers.policies import Policy, View, Weights
from controllers.policies.lm import LMPolicy
from controllers.prompts import SHOWN, render
from controllers.retry import Breaker, RetryPolicy, with_retries
from signatures.digest import digest_of, digest_text
from signatures.errors import InfraError, ProviderError, StoreError
from signatures.records import Cost, Failure, Record

_ALWAYS: Final = RetryPolicy()


class _Answer(Record):
    """One line of the file."""

    key: str
    weights: Mapping[str, float]
    shown: tuple[str, ...]
    cost: Cost

    def as_weights(self) -> Weights:
        return Weights(self.weights, self.shown, self.cost)


class Asking:
    """The one way in which replay asks a policy. Rules are answered at once; a model is asked once per input.

    `calls` and `saved` count, for models, inputs that were asked and inputs that were answered without. `cost` is the
    sum over `calls`; what was answered from the file of an earlier run cost `recalled_cost` then, once per input
    that came up again.
    """

    def __init__(
        self, path: Path | None = None, *, retry: RetryPolicy = _ALWAYS, breaker: Breaker | None = None
    ) -> None:
        """With a `path`, answers are kept there and found again. Raises StoreError for a file that is damaged."""
        self.calls = 0
        self.saved = 0
        self.cost = Cost()
        self.recalled_cost = Cost()
        self._retry = retry
        self._breaker = breaker or Breaker()
        self._known: dict[str, _Answer] = {}
        self._recalled = {} if path is None else _read(path)
        self._log = None if path is None else JsonLog(path)
        self._under_way: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def weights(self, policy: Policy, view: View) -> Weights:
        """The policy's answer; `shown` of an answer that was known names what the first asker was shown.

        Raises ProviderError (or InfraError) after the last try, Outage after too many failures in a row, UsageError
        for a model that is not configured, StoreError where the file cannot be written.
        """
        if policy.tier == "rule":
            return await policy.decide(view)
        key = input_digest(policy, view)
        lock = self._under_way[key]
        async with lock:  # who asks the same meanwhile waits for the one answer
            known = self._recall(key)
            if known is not None:
                self.saved += 1
                return known.as_weights()
            answer = await self._asked(policy, view)
            self.calls += 1
            self.cost = self.cost.plus(answer.cost)
            kept = _Answer(key=key, weights=dict(answer.weights), shown=answer.shown, cost=answer.cost)
            if self._log is not None:
                self._log.append(kept.model_dump(mode="json"))
            self._known[key] = kept
        self._under_way.pop(key, None)
        return kept.as_weights()

    def close(self) -> None:
        """Close the file."""
        if self._log is not None:
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recall(self, key: str) -> _Answer | None:
        if key not in self._known and key in self._recalled:
            self._known[key] = self._recalled[key]
            self.recalled_cost = self.recalled_cost.plus(self._recalled[key].cost)
        return self._known.get(key)

    async def _asked(self, policy: Policy, view: View) -> Weights:
        async def checked() -> Weights:
            self._breaker.check()
            return await policy.decide(view)

        answer = await with_retries(checked, "policy under replay", self._retry)
        if isinstance(answer, Failure):
            self._breaker.failed(answer)
            kind = ProviderError if answer.error == ProviderError.__name__ else InfraError
            raise kind(f"{answer.where}: {answer.message} (tried {answer.tries} times)")
        self._breaker.succeeded()
        return answer


def input_digest(policy: Policy, view: View) -> str:
    """Names a policy with everything it sees: equal digests get equal questions.

    A model sees its prompt: the task, features, legal actions and the latest observations as rendered, not their ids.
    What a policy of another kind reads is not known, so whole attempts and traces count; a rule reads features only.
    """
    parts: list[object] = [digest_text(policy.text), dict(view.features), list(view.legal)]
    if policy.tier == "rule":
        return digest_of("rule", *parts)
    if isinstance(policy, LMPolicy):
        observations = tuple(item for seen in view.history for item in seen.observations())[-SHOWN:]
        return digest_of("model", *parts, policy.name, view.task.prompt, render(observations))
    history = [(seen.attempt, [event.model_dump(mode="json") for event in seen.trace]) for seen in view.history]
    whole = [[attempt.model_dump(mode="json"), events] for attempt, events in history]
    return digest_of("policy", *parts, view.task, whole)


def _read(path: Path) -> dict[str, _Answer]:
    found: dict[str, _Answer] = {}
    for number, entry in enumerate(read_jsonlog(path), 1):
        try:
            answer = _Answer.model_validate(entry, strict=False)
        except ValidationError as error:
            raise StoreError(f"{path}:{number}: not a recorded answer: {error.errors()[0]['msg']}") from error
        found[answer.key] = answer
    return found
