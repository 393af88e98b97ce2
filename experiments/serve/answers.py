"""What is answered to each call: the body or the refusal as bytes, timed and counted. HTTP's two ways in share it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from time import perf_counter
from typing import Final, Literal, NamedTuple

from experiments.serve.bodies import AttemptGiven, Body, NewEpisode
from experiments.serve.problems import body_of, line_of, status_of, told
from experiments.serve.service import Service
from signatures.errors import TillerError

Call = Literal["episodes", "decide", "attempts", "other"]
_log: Final = logging.getLogger("tiller.serve")


class Answer(NamedTuple):
    """An answer of type application/json."""

    status: int
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Beside the type and the length."""
        return {"retry-after": "1"} if self.status in (429, 503) else {}


class Answers:
    """The service's calls, which raise nothing of ours any more."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def begin(self, given: NewEpisode) -> Answer:
        """POST /episodes."""
        return await self._timed("episodes", self.service.open(given), 201)

    async def decide(self, id: str) -> Answer:
        """POST /episodes/{id}/decide."""
        return await self._timed("decide", self.service.next_move(id), 200)

    async def report(self, id: str, given: AttemptGiven) -> Answer:
        """POST /episodes/{id}/attempts."""
        return await self._timed("attempts", self.service.report(id, given), 200)

    def refused(self, call: Call, error: TillerError) -> Answer:
        """What a client is told of an error; of one that is not the client's, whoever runs the server reads more."""
        if line_of(error) not in str(error):
            _log.error("%s: %s", type(error).__name__, error)
        return self._counted(call, Answer(status_of(error), told(error)))

    def bad(self, call: Call, status: int, line: str) -> Answer:
        """What is no request of ours."""
        return self._counted(call, Answer(status, body_of("BadRequest", line)))

    async def _timed(self, call: Call, asked: Awaitable[Body], status: int) -> Answer:
        began = perf_counter()
        try:
            body = await asked
        except TillerError as error:
            return self.refused(call, error)
        self.service.meters.took(call, perf_counter() - began)
        return self._counted(call, Answer(status, body.model_dump_json().encode()))

    def _counted(self, call: Call, answer: Answer) -> Answer:
        self.service.meters.answered(call, answer.status)
        return answer
