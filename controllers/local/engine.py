"""dspy engines that speak Chat Completions to one server: a local model, or any OpenAI-compatible endpoint.

dspy's own route to `openai/NAME` says of a model it does not know that it takes no JSON schema, and then sends none.
These engines declare that the server takes one, and leave reading and writing the wire to dspy's native adapter.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, Self

from controllers.local.options import ServerOptions
from controllers.local.server import Endpoint, server_of
from signatures.errors import ProviderError

if TYPE_CHECKING:
    from dspy._vendor.lm15.types import StreamEvent
    from dspy.lm15 import AsyncOpenAIChatLM, OpenAIChatCompat, OpenAIChatLM, Request, Response

PARAMS: Final = frozenset(
    {"temperature", "max_tokens", "top_p", "top_k", "stop", "seed", "logprobs", "top_logprobs", "response_format"}
    | {"presence_penalty", "frequency_penalty", "logit_bias"}
)


class Source(Protocol):
    """Where requests go."""

    @property
    def timeout_s(self) -> float:
        """How long an answer may take."""

    @property
    def on_this_host(self) -> bool:
        """Whether to go past every proxy."""

    def endpoint(self) -> Endpoint:
        """The server as it is now. Raises ProviderError where there is none."""

    def failure(self) -> str | None:
        """Why the server cannot answer, where that is known."""

    def dump(self) -> dict[str, object]:
        """What makes an equal source, without secrets."""


@dataclass(frozen=True)
class LocalSource:
    """The child process that serves a GGUF file."""

    options: ServerOptions
    on_this_host: ClassVar[bool] = True

    @property
    def timeout_s(self) -> float:
        """As the options say."""
        return self.options.timeout_s

    def endpoint(self) -> Endpoint:
        """The server's, which is started where it does not run."""
        return server_of(self.options).endpoint()

    def failure(self) -> str | None:
        """The child's last lines, where it has ended."""
        return server_of(self.options).failure()

    def dump(self) -> dict[str, object]:
        """The options."""
        return {"options": self.options.model_dump(mode="json")}


@dataclass(frozen=True)
class FixedSource:
    """A server that somebody else runs."""

    base_url: str
    model: str
    api_key: str = field(default="none", repr=False)
    timeout_s: float = 600.0
    on_this_host: ClassVar[bool] = False

    def endpoint(self) -> Endpoint:
        """As it was given."""
        return Endpoint(self.base_url, self.api_key, self.model)

    def failure(self) -> str | None:
        """Nothing is known of it."""
        return None

    def dump(self) -> dict[str, object]:
        """The address, without the key."""
        return {"base_url": self.base_url, "model": self.model, "timeout_s": self.timeout_s}


def source_from(state: dict[str, Any]) -> LocalSource | FixedSource:
    """The source that `dump` wrote down."""
    if "options" in state:
        return LocalSource(ServerOptions.model_validate(state["options"]))
    return FixedSource(**state)


class ChatEngine:
    """One attempt at a request, on a connection of its own. It keeps nothing, so it can be copied and pickled."""

    supports_response_schema: Final = True
    supported_params: Final = PARAMS

    def __init__(self, source: LocalSource | FixedSource, grammar: str = "") -> None:
        """`grammar`: GBNF that every answer is held to, for a server of ours."""
        self.source = source
        self.grammar = grammar

    def complete(self, request: Request) -> Response:
        """The whole answer. Raises lm15's errors."""
        with self._provider() as (provider, model):
            return _as_asked(request, provider.complete(_on_the_wire(request, model, self.grammar)))

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        """The events of a response."""
        with self._provider() as (provider, model):
            yield from provider.stream(_on_the_wire(request, model, self.grammar))

    def close(self) -> None:
        """Nothing to close."""

    def dump_state(self) -> dict[str, object]:
        """What a saved program keeps: no key."""
        return self.source.dump()

    @classmethod
    def load_state(cls, state: dict[str, object]) -> Self:
        """The engine that was saved."""
        return cls(source_from(state))

    @contextmanager
    def _provider(self) -> Iterator[tuple[OpenAIChatLM, str]]:
        from dspy._vendor.lm15.transports import StdlibTransport
        from dspy.lm15 import OpenAIChatLM

        with _named(self.source):
            found = self.source.endpoint()
            transport = StdlibTransport(read_timeout=self.source.timeout_s, trust_env=not self.source.on_this_host)
            try:
                provider = OpenAIChatLM(
                    api_key=found.api_key, base_url=found.base_url, compat=_compat(), transport=transport
                )
                yield provider, found.model
            finally:
                transport.close()


class AsyncChatEngine:
    """The same for `acall`."""

    def __init__(self, source: LocalSource | FixedSource, grammar: str = "") -> None:
        self.source = source
        self.grammar = grammar

    async def complete(self, request: Request) -> Response:
        """As the sync engine."""
        async with self._provider() as (provider, model):
            return _as_asked(request, await provider.complete(_on_the_wire(request, model, self.grammar)))

    async def stream(self, request: Request) -> AsyncIterator[StreamEvent]:
        """As the sync engine."""
        async with self._provider() as (provider, model):
            async for event in provider.stream(_on_the_wire(request, model, self.grammar)):
                yield event

    async def aclose(self) -> None:
        """Nothing to close."""

    def dump_state(self) -> dict[str, object]:
        """As the sync engine."""
        return self.source.dump()

    @classmethod
    def load_state(cls, state: dict[str, object]) -> Self:
        """As the sync engine."""
        return cls(source_from(state))

    @asynccontextmanager
    async def _provider(self) -> AsyncIterator[tuple[AsyncOpenAIChatLM, str]]:
        from dspy._vendor.lm15.transports import StdlibAsyncTransport
        from dspy.lm15 import AsyncOpenAIChatLM

        with _named(self.source):
            found = await asyncio.to_thread(self.source.endpoint)  # a first use loads the model
            transport = StdlibAsyncTransport(read_timeout=self.source.timeout_s, trust_env=not self.source.on_this_host)
            try:
                provider = AsyncOpenAIChatLM(
                    api_key=found.api_key, base_url=found.base_url, compat=_compat(), transport=transport
                )
                yield provider, found.model
            finally:
                await transport.aclose()


@contextmanager
def _named(source: Source) -> Iterator[None]:
    """Have a connection that broke say why the server is gone, in the words that dspy's errors are made from."""
    from dspy import lm15

    try:
        yield
    except ProviderError as error:
        raise lm15.ProviderError(str(error)) from error
    except lm15.TransportError as error:
        why = source.failure()
        if why is None:
            raise
        raise lm15.TransportError(f"{why} ({error})") from error


def _compat() -> OpenAIChatCompat:
    from dspy.lm15 import OpenAIChatCompat

    return OpenAIChatCompat(
        instruction_role="system",
        max_tokens_field="max_tokens",
        stream_usage="include",
        thinking_format="none",
        tool_result_name="omit",
        strict_tools="omit",
        cache_control="none",
        tool_result_media="reject",
    )


def _on_the_wire(request: Request, model: str, grammar: str) -> Request:
    """The request under the server's name of the model; what Chat Completions has no field for goes beside them."""
    config = request.config
    beside = dict(config.extensions or {})
    if config.top_k is not None:
        beside["top_k"] = config.top_k
    if grammar:
        beside["grammar"] = grammar
    return replace(request, model=model, config=replace(config, top_k=None, extensions=beside or None))


def _as_asked(request: Request, response: Response) -> Response:
    """The response; one that was asked for a single token is not cut short, of which dspy would warn at each call."""
    cut = response.finish_reason == "length" and request.config.max_tokens == 1
    return replace(response, finish_reason="stop") if cut else response
