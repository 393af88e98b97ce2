"""A worker that is a language model: it writes an answer, or calls the benchmark's tools over many turns."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from controllers.conversation import Conversation, Protocol
from controllers.lm import make_lm
from controllers.local.options import SAVED
from controllers.replies import instructions, reply_schema
from controllers.worlds import World
from controllers.worlds.granted import granted
from signatures.digest import canonical_json, digest_of
from signatures.records import AttemptContext, AttemptResult, Cost, Record, Task, WorkerFingerprint

if TYPE_CHECKING:
    import dspy
    from dspy.lm15 import FunctionTool, Message, Request

__all__ = ["ChatWorker"]

NOT_SENT: Final = frozenset({"n", "rollout_id", "num_generations", "prompt_cache"})
SEEDS: Final = 1 << 31
"""Servers take seeds of 31 bits."""


def _not_said(value: object) -> bool:
    """Left out of the config's digest, so that a worker from before the field keeps its fingerprint."""
    return value is None


class ChatConfig(Record):
    """How a chat model is put to work."""

    system: str = "You do the task you are given, and nothing else."
    turns_limit: int = Field(default=12, ge=1)
    "where the context gives none: tool calls and unreadable replies, or replies where there are no tools"
    protocol: Protocol = "json"
    "json: one JSON object a turn, for any model; native: the provider's function calling"
    keep_conversation: bool = True
    "without a world: hand the conversation on as the state"
    send_seed: Annotated[bool | None, Field(exclude_if=_not_said)] = None
    "send the attempt's seed with each request, unless the model's settings hold one; None: to a local model alone"
    guided: Annotated[bool | None, Field(exclude_if=_not_said)] = None
    "with tools in json: send the JSON schema of a readable reply with each request; None: to a local model alone"


class ChatWorker:
    """Asks a model, with `dspy` retrying and caching nothing. Every call is billed from its own response.

    With a world the model calls its tools, those alone that the steer grants if it grants any; the output and the state
    are the session's snapshot. Without one, its first reply is the output and the conversation is the state. Refusals,
    empty and unreadable replies, a full context window and the attempt's own wall limit are outcomes on the trace.
    Raises ProviderError where a call fails.
    """

    def __init__(self, lm: str | dspy.LM, *, world: World | None = None, config: ChatConfig | None = None) -> None:
        """`lm`: a LiteLLM model string or a `dspy.LM`. Raises UsageError where the model's key is missing."""
        # Without it the first LiteLLM call waits ten seconds for a price list where there is no internet.
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        self._lm = make_lm(lm) if isinstance(lm, str) else lm.copy(cache=False, num_retries=0)
        self._world = world
        self._config = config or ChatConfig()

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The model string, its sampling settings, the protocol and the digests of what it is told."""
        params = {name: canonical_json(value) for name, value in sorted(self._settings().items())}
        tools = self._world.tools() if self._world else ()
        told = {"config": digest_of(self._config), "tools": digest_of(*tools), "protocol": self._config.protocol}
        if self._guided():
            told["replies"] = "json schema"
        return WorkerFingerprint(name="chat", model=self._lm.model, params={**params, **told})

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """Talk until the model answers or a limit is reached."""
        world = granted(self._world, context.steer.tools) if self._world else None
        session = world.session(task.digest, start) if world else None
        make_request = partial(self._request, world, self._seed(context))
        talk = Conversation(self._lm, make_request, session, self._config.protocol)
        talk.open(task.prompt, context.steer.text, None if session else start)
        limit = self._config.turns_limit if context.turns_limit is None else context.turns_limit
        started = time.perf_counter()
        try:
            async with asyncio.timeout(context.wall_limit_s) as clock:
                await talk.run(limit)
        except TimeoutError:
            if not clock.expired():
                raise
            talk.note("error", f"stopped at the wall limit of {context.wall_limit_s} s", name="timeout")
            talk.outcome = "timeout"
        snapshot = session.snapshot() if session else None
        kept = talk.text() if self._config.keep_conversation else None
        return AttemptResult(
            output=talk.answer if snapshot is None else snapshot,
            state=kept if snapshot is None else snapshot,
            trace=tuple(talk.events),
            cost=talk.cost.plus(Cost(turns=talk.turns, wall_s=time.perf_counter() - started)),
            outcome=talk.outcome,
        )

    def _seed(self, context: AttemptContext) -> int | None:
        """The seed to send: attempts differ by it, and the same attempt of a local model is sampled alike again."""
        send = self._by_default(self._config.send_seed)
        return context.seed % SEEDS if send and "seed" not in self._settings() else None

    def _guided(self) -> bool:
        """Whether replies are held to a schema: a model of half a billion weights calls tools that do not exist."""
        return bool(self._world) and self._config.protocol == "json" and self._by_default(self._config.guided)

    def _by_default(self, said: bool | None) -> bool:
        """What the config says, or whether the model is a local one."""
        return self._lm.model.startswith(SAVED) if said is None else said

    def _request(self, world: World | None, seed: int | None, messages: list[Message]) -> Request:
        """The request for `messages`, with the sampling settings of the model."""
        from dspy.lm15 import Config, FunctionTool, Request, request_from_openai_chat

        system = self._config.system
        tools: list[FunctionTool] = []
        if world and self._config.protocol == "native":
            tools = [FunctionTool(t.name, t.description, json.loads(t.parameters_json)) for t in world.tools()]
        elif world:
            system = f"{system}\n\n{instructions(world.tools())}"
        settings = self._settings()
        config = Config()
        if settings:
            body = {"model": self._lm.model, "messages": [{"role": "user", "content": "-"}], **settings}
            config = request_from_openai_chat(body).config
        if seed is not None:
            config = replace(config, seed=seed)
        if world and self._guided():
            config = replace(config, response_format={"type": "json_schema", "schema": reply_schema(world.tools())})
        return Request(model=self._lm.model, system=system, messages=messages, tools=tools, config=config)

    def _settings(self) -> dict[str, object]:
        """What the `dspy.LM` was given beside its connection: an explicit request does not take it from there."""
        from dspy.clients.backend_selection import CLIENT_KEYS

        left_out = CLIENT_KEYS | NOT_SENT
        return {k: v for k, v in self._lm.kwargs.items() if k not in left_out and v is not None}
