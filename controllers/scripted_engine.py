"""A language model that answers from a script: a dspy engine for tests, examples and dry runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dspy
    from dspy._vendor.lm15.types import StreamEvent
    from dspy.lm15 import Request, Response


class ScriptedEngine:
    """Answers each request with `script(prompt)`, where the prompt is all message texts joined by newlines.

    Usage is counted in whitespace-separated words, so that budgets can be tested. An exception that the
    script raises leaves the engine as it is.
    """

    def __init__(self, script: Callable[[str], str]) -> None:
        self.script = script
        self.prompts: list[str] = []

    def complete(self, request: Request) -> Response:
        """What the script says."""
        from dspy.lm15 import Message, Response, TextPart, Usage

        prompt = prompt_text(request)
        self.prompts.append(prompt)
        text = self.script(prompt)
        words_in, words_out = len(prompt.split()), len(text.split())
        usage = Usage(input_tokens=words_in, output_tokens=words_out, total_tokens=words_in + words_out)
        message = Message.assistant([TextPart(text)])
        return Response(id=None, model="scripted", message=message, finish_reason="stop", usage=usage)

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        """The whole response as events."""
        from dspy.lm15 import response_to_events

        yield from response_to_events(self.complete(request))

    def close(self) -> None:
        """Nothing to close."""


class AsyncScriptedEngine:
    """The same script for `acall`."""

    def __init__(self, sync: ScriptedEngine) -> None:
        self.sync = sync

    async def complete(self, request: Request) -> Response:
        """As the sync engine."""
        return self.sync.complete(request)

    async def stream(self, request: Request) -> AsyncIterator[StreamEvent]:
        """As the sync engine."""
        for event in self.sync.stream(request):
            yield event

    async def aclose(self) -> None:
        """Nothing to close."""


def prompt_text(request: Request) -> str:
    """All text of a request, system first."""
    system = request.system
    parts = [] if system is None else [system if isinstance(system, str) else "".join(p.text for p in system)]
    parts.extend(message.text or "" for message in request.messages)
    return "\n".join(parts)


def scripted_lm(script: Callable[[str], str]) -> tuple[dspy.LM, ScriptedEngine]:
    """A `dspy.LM` on a ScriptedEngine, and the engine, whose `prompts` say what was asked."""
    import dspy

    engine = ScriptedEngine(script)
    lm = dspy.LM("scripted", engine=engine, async_engine=AsyncScriptedEngine(engine), cache=False, num_retries=0)
    return lm, engine
