"""Trying again: at most three times, at one layer, and a breaker that stops a run when nothing works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from signatures.errors import InfraError, Outage
from signatures.records import Failure

T = TypeVar("T")


class RetryPolicy(BaseModel):
    """How often and how long to wait: exponential backoff unless the provider named a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tries: int = Field(default=3, ge=1, le=3)
    base_s: float = Field(default=0.5, ge=0)
    cap_s: float = Field(default=30.0, ge=0)

    def wait_s(self, tried: int, asked_s: float | None) -> float:
        """Seconds to wait after `tried` failures; a provider's `Retry-After` wins, up to the cap."""
        planned = self.base_s * 2.0 ** (tried - 1)
        return min(self.cap_s, planned if asked_s is None else max(planned, asked_s))


async def with_retries(call: Callable[[], Awaitable[T]], where: str, policy: RetryPolicy) -> T | Failure:
    """The value of `call()`, or the `Failure` after the last try. Only retryable InfraErrors are tried again.

    An Outage is no failure of this call: it is raised.
    """
    tried = 0
    while True:
        tried += 1
        try:
            return await call()
        except Outage:
            raise
        except InfraError as error:
            if tried >= policy.tries or not error.retryable:
                failure = Failure(error=type(error).__name__, message=str(error), where=where, tries=tried)
                return failure.encodable()
            await asyncio.sleep(policy.wait_s(tried, error.retry_after_s))


class Breaker:
    """Counts failures in a row across a run; at `limit` it raises, so that an outage does not eat the budget."""

    def __init__(self, limit: int = 10) -> None:
        self.limit = limit
        self.in_a_row = 0

    def succeeded(self) -> None:
        """Something worked: the count starts again."""
        self.in_a_row = 0

    def failed(self, failure: Failure) -> None:
        """Count one failure. Raises Outage at the limit."""
        self.in_a_row += 1
        self.check(failure.message)

    def check(self, reason: str = "the run was stopped") -> None:
        """Raises Outage when the limit was reached, so that nothing new is launched."""
        if self.in_a_row >= self.limit:
            raise Outage(f"{self.in_a_row} infrastructure failures in a row; the last: {reason}")
