"""The three calls that agents make, straight from the wire; every other request is FastAPI's.

What FastAPI does around a handler (routing, dependencies, middleware, a body parsed and then validated) costs more than
the handler. Here a body is parsed and validated in one go; one that is not right in every way is handed on whole, so
that there is one way to be refused.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, TypeVar

from pydantic import ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controllers.served import LONG
from experiments.serve.answers import Answer, Answers
from experiments.serve.bodies import AttemptGiven, Body, NewEpisode
from experiments.serve.limits import once

BodyT = TypeVar("BodyT", bound=Body)
_OF_EPISODE: Final = re.compile(r"/episodes/([0-9a-f]{24})/(decide|attempts)")
_JSON: Final = re.compile(rb"(?i)application/json(?:;\s*charset=utf-8)?")


class Quick:
    """An ASGI application around another one. It wants to be handed a request whole, as `Guard` does."""

    def __init__(self, app: ASGIApp, answers: Answers) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        path: str = scope["path"]
        if scope["method"] == "POST" and path.startswith("/episodes"):
            message = await receive()
            if answer := await self._answer(path, scope, message):
                await _tell(send, answer)
                return
            receive = once(message, receive)
        await self._app(scope, receive, send)

    async def _answer(self, path: str, scope: Scope, message: Message) -> Answer | None:
        """None where it is to be passed on."""
        if path == "/episodes":
            begin = await _read(NewEpisode, scope, message)
            return None if begin is None else await self._answers.begin(begin)
        found = _OF_EPISODE.fullmatch(path)
        if found is None:
            return None
        if found[2] == "decide":
            return await self._answers.decide(found[1])
        attempt = await _read(AttemptGiven, scope, message)
        return None if attempt is None else await self._answers.report(found[1], attempt)


async def _read(kind: type[BodyT], scope: Scope, message: Message) -> BodyT | None:
    """The body, or None where it is not right in every way."""
    if message.get("more_body") or not any(
        name == b"content-type" and _JSON.fullmatch(value) for name, value in scope["headers"]
    ):
        return None
    body: bytes = message.get("body", b"")
    try:
        if len(body) < LONG:
            return kind.model_validate_json(body)
        return await asyncio.to_thread(kind.model_validate_json, body)
    except ValidationError:
        return None


async def _tell(send: Send, answer: Answer) -> None:
    headers = [(b"content-length", b"%d" % len(answer.body)), (b"content-type", b"application/json")]
    headers += [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
