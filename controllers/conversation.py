"""One attempt of a chat model: its messages, what it called, what it cost and how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

from controllers.finishing import to_the_end
from controllers.lm import billed
from controllers.replies import Answer, ToolCall, Unreadable, encodable, read_reply, tool_call, tool_result
from controllers.worlds import Session
from controllers.worlds.calling import called
from signatures.digest import canonical_json
from signatures.errors import ProviderError, UsageError
from signatures.records import Cost, TraceEvent

if TYPE_CHECKING:
    import dspy
    from dspy.lm15 import Message, Request, Response

GO_ON: Final = "Go on with the task."
Protocol = Literal["json", "native"]


class Conversation:
    """Asks, runs the tools that are asked for, and keeps the trace. Cancelled, `run` ends a call under way first."""

    def __init__(
        self,
        lm: dspy.LM,
        make_request: Callable[[list[Message]], Request],
        session: Session | None,
        protocol: Protocol,
    ) -> None:
        self._lm = lm
        self._make_request = make_request
        self._session = session
        self._protocol = protocol
        self._messages: list[Message] = []
        self.events: list[TraceEvent] = []
        self.cost = Cost()
        self.turns = 0
        self.answer = ""
        self.outcome: Literal["ok", "refusal", "empty", "timeout"] = "empty"

    def open(self, prompt: str, steer: str, start: str | None) -> None:
        """Say what the task is, or go on from the conversation `start`. Raises UsageError where it is none."""
        from dspy.lm15 import Message

        if start is None:
            self._messages = [Message.user(f"{prompt}\n\n{steer}" if steer else prompt)]
            return
        try:
            said = [(str(turn["role"]), str(turn["text"])) for turn in json.loads(start)]
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"the start state is not a conversation: {error!r}") from error
        self._messages = [Message.assistant(text) if role == "assistant" else Message.user(text) for role, text in said]
        self._messages.append(Message.user(steer or GO_ON))

    def text(self) -> str:
        """The conversation as JSON, for `open` to go on from."""
        return json.dumps([{"role": m.role, "text": _text_of(m)} for m in self._messages], ensure_ascii=False)

    async def run(self, turns_limit: int) -> None:
        """Talk until the model answers or refuses, or the turns are used up. Raises ProviderError."""
        while self.turns < turns_limit:
            response = await self._ask()
            if response is None:
                return
            said = _text_of(response.message)
            if said or response.tool_calls:  # an empty message would be refused when it is sent back
                self._messages.append(response.message)
            self.note("message", said, name="assistant")
            if response.finish_reason == "length":
                self.note("error", "the reply was cut at the model's limit of tokens", name="length")
            if refusal := _refusal(response):
                self.note("error", refusal, name="refusal")
                self.outcome = "refusal"
                return
            asked = self._asked(response, said)
            if isinstance(asked, Answer):
                self._end(asked)
                return
            await self._reply(asked, turns_limit)

    async def _ask(self) -> Response | None:
        """One call, billed. None where the conversation has outgrown the model: that is the worker's own doing."""
        from dspy.utils.exceptions import ContextWindowExceededError

        request = self._make_request(self._messages)
        try:
            response, cost = await billed(self._lm, lambda lm: lm.acall(request=request))
        except ProviderError as error:
            if len(self._messages) == 1 or not isinstance(error.__cause__, ContextWindowExceededError):
                raise
            self.note("error", "the conversation is longer than the model's context window", name="context")
            return None
        self.cost = self.cost.plus(cost.model_copy(update={"wall_s": None, "usd": _usd(cost, response, request)}))
        return response

    def _asked(self, response: Response, said: str) -> Answer | Unreadable | list[ToolCall]:
        """What the reply asks for, by the protocol in use."""
        if self._session is None:
            return Answer(said)
        if self._protocol == "native":
            calls = [tool_call(call.name, call.input, call.id) for call in response.tool_calls]
            return calls or Answer(said)
        asked = read_reply(said)
        return [asked] if isinstance(asked, ToolCall) else asked

    def _end(self, answer: Answer) -> None:
        self.answer = answer.text
        if self._session is None:
            self.turns += 1  # where there are no tools, the reply is the turn
        if answer.text.strip():
            self.outcome = "ok"

    async def _reply(self, asked: Unreadable | list[ToolCall], turns_limit: int) -> None:
        """Run the tools, or say what was wrong with the reply; each takes a turn."""
        from dspy.lm15 import Message

        if isinstance(asked, Unreadable):
            self.note("error", f"unreadable reply: {asked.why}", name="reply")
            self.turns += 1
            self._messages.append(Message.user(f"Your reply could not be read: {asked.why}."))
            return
        results = [(call, *await to_the_end(self._call(call))) for call in asked[: turns_limit - self.turns]]
        if self._protocol == "native":
            from dspy.lm15 import ToolResultPart
            from dspy.lm15 import tool_result as part

            parts: list[ToolResultPart] = [part(call.id, text, is_error=failed) for call, text, failed in results]
            self._messages.append(Message.tool(parts))
        else:
            self._messages += [Message.user(tool_result(call.name, text, failed)) for call, text, failed in results]

    async def _call(self, call: ToolCall) -> tuple[str, bool]:
        """Run one tool. To be waited for in any case: it changes the session, so it belongs on the trace."""
        assert self._session is not None  # only a session makes tool calls readable
        text, failed = await called(self._session, call.name, call.arguments)
        arguments = canonical_json(call.arguments)
        self.events.append(
            TraceEvent(turn=self.turns, kind="tool", name=call.name, arguments=arguments, text=text, failed=failed)
        )
        self.turns += 1
        self.outcome = "ok"
        return text, failed

    def note(self, kind: Literal["message", "error"], text: str, *, name: str = "") -> None:
        """Put an event on the trace."""
        self.events.append(TraceEvent(turn=self.turns, kind=kind, name=name, text=text, failed=kind == "error"))


def _text_of(message: Message) -> str:
    from dspy.lm15 import TextPart

    return encodable("\n".join(part.text for part in message.parts if isinstance(part, TextPart)))


def _refusal(response: Response) -> str:
    """What the model said in refusing, or the empty text."""
    from dspy.lm15 import RefusalPart

    refused = [part.text for part in response.message.parts if isinstance(part, RefusalPart)]
    if refused or response.finish_reason == "content_filter":
        return encodable(" ".join(refused)) or "refused by the provider's content filter"
    return ""


def _usd(cost: Cost, response: Response, request: Request) -> float | None:
    """The price dspy gave, or, where it left a LiteLLM call unpriced, its estimate from the same table."""
    if cost.usd is not None:
        return cost.usd
    from dspy.clients.costs import estimate_cost

    provider, _, model = request.model.partition("/")
    found: float | None = estimate_cost(response, provider=provider, requested_model=model, request=request)[0]
    return found
