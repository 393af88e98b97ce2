"""A worker around another that sees its model calls: its program is pointed at a local proxy for each attempt."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Protocol

from controllers import Worker
from controllers.capture.blotting import blotted, blotted_trace, long_enough
from controllers.capture.prices import usd_of
from controllers.capture.server import Capture, CaptureConfig
from controllers.capture.session import Session
from signatures.errors import InfraError, UsageError
from signatures.records import AttemptContext, AttemptResult, Cost, Task, TraceEvent, WorkerFingerprint

__all__ = ["ProxyWorker"]


class GivenWorker(Worker, Protocol):
    """A worker whose program can be given variables for one attempt, as `CommandWorker` can."""

    def given(self, variables: Mapping[str, str | None]) -> Worker:
        """The same worker with these variables in its program's environment; None takes one away."""


class ProxyWorker:
    """Runs the inner worker against a proxy of its own and adds what the proxy saw to the result.

    The program is told the proxy's address and a token in the variables that clients of OpenAI, Anthropic and Gemini
    read; the real key stays here. Tokens, price and turns are those on the wire, where all calls of the attempt have
    them, else the inner worker's. An attempt that fails takes its calls with it.
    """

    def __init__(self, inner: GivenWorker, *, upstream: str | CaptureConfig, key_variable: str | None = None) -> None:
        """`upstream`: base URL of an API; `key_variable`: holds its key in this process's environment.

        Raises UsageError where the URL is none and where the variable is not set.
        """
        self._inner = inner
        self._config = CaptureConfig(upstream=upstream) if isinstance(upstream, str) else upstream
        self._key_variable = key_variable
        Capture(self._config, self._key())

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The inner worker's, and the upstream, since it decides which model answers."""
        inner = self._inner.fingerprint
        return inner.model_copy(update={"params": {**inner.params, "upstream": self._config.upstream}})

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """One attempt of the inner worker, with its model calls on the trace."""
        key = self._key()
        async with Capture(self._config, key) as capture:
            session = capture.open()
            known = long_enough(key or "", session.token)
            try:
                variables = _variables(capture.url, session.token, self._key_variable)
                result = await self._inner.given(variables).attempt(task, context, start)
            except InfraError as error:  # an upstream may quote the key, and an agent the upstream
                told = blotted(str(error), known)
                raise type(error)(told, retryable=error.retryable, retry_after_s=error.retry_after_s) from None
            finally:
                capture.close(session)
        result = result.model_copy(
            update={"output": blotted(result.output, known), "trace": blotted_trace(result.trace, known)}
        )
        usd = None if capture.local else await asyncio.to_thread(_usd, session)
        return _seen(result, session, usd)

    def _key(self) -> str | None:
        if self._key_variable is None:
            return None
        key = os.environ.get(self._key_variable)
        if not key:
            raise UsageError(f"the upstream's key is to stand in {self._key_variable}, which is not set")
        return key


def _variables(url: str, token: str, key_variable: str | None) -> dict[str, str | None]:
    """What clients read; a key of the user's own that they would prefer is taken away."""
    others = [os.environ.get(name, "") for name in ("NO_PROXY", "no_proxy")]
    near = ",".join(dict.fromkeys(part for part in (*others, "127.0.0.1", "localhost") if part))
    return {
        **dict.fromkeys(("OPENAI_BASE_URL", "OPENAI_API_BASE"), f"{url}/v1"),
        **dict.fromkeys(("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE", "GOOGLE_GEMINI_BASE_URL"), url),
        **dict.fromkeys(("ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "GOOGLE_API_KEY", "CODEX_API_KEY")),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), near),
        **({key_variable: None} if key_variable else {}),
        **dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"), token),
    }


def _usd(session: Session) -> float | None:
    """The sum over the calls that were answered; None where one of them has no known price."""
    prices = [usd_of(call.model, call.usage) for call in session.calls if call.answered]
    known = [price for price in prices if price is not None]
    return sum(known) if known and len(known) == len(prices) else None


def _seen(result: AttemptResult, session: Session, usd: float | None) -> AttemptResult:
    wire = session.tokens.model_copy(update={"usd": usd, "turns": session.turns if session.calls else None})
    told = result.cost
    tokens = wire if wire.tokens_in is not None else told
    cost = Cost(
        turns=wire.turns if told.turns is None else told.turns,
        tokens_in=tokens.tokens_in,
        tokens_out=tokens.tokens_out,
        tokens_cached=tokens.tokens_cached,
        usd=told.usd if wire.usd is None else wire.usd,
        wall_s=told.wall_s,
    )
    return result.model_copy(update={"cost": cost, "trace": _together(result.trace, session.trace)}).encodable()


def _together(told: tuple[TraceEvent, ...], seen: tuple[TraceEvent, ...]) -> tuple[TraceEvent, ...]:
    """Both by turn. A tool call that the worker tells of itself is not shown a second time."""
    if any(event.kind == "tool" for event in told):
        seen = tuple(event for event in seen if event.kind != "tool")
    return tuple(sorted((*told, *seen), key=lambda event: event.turn))
