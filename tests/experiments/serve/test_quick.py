"""The quick way and FastAPI's own give the same answers, and the quick way needs FastAPI for no good request."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from experiments.serve.answers import Answers
from experiments.serve.app import application
from experiments.serve.config import LimitsConfig
from experiments.serve.limits import Guard
from experiments.serve.quick import Quick
from tests.experiments.serve.conftest import Opening
from tests.worlds.harness import TOKEN, attempted, begin_body, headers
from tests.worlds.planted import PlantedBenchmark

WORLD = PlantedBenchmark()
TASK = WORLD.tasks("search")[0]
JSON = {"content-type": "application/json"}
BEGIN = json.dumps(begin_body(TASK, "k")).encode()


async def nobody(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError(f"{scope['path']} was passed on")


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=Guard(app, TOKEN, LimitsConfig()))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://t", headers=headers())


async def test_a_whole_episode_is_answered_without_fastapi_and_as_fastapi_answers_it(opening: Opening) -> None:
    async with opening() as service:
        answers = Answers(service)
        async with client_of(Quick(nobody, answers)) as quick, client_of(application(answers)) as plain:

            async def same(path: str, body: Any = None) -> Any:
                one, other = [await client.post(path, json=body) for client in (quick, plain)]
                assert (one.status_code, one.content, one.headers) == (other.status_code, other.content, other.headers)
                return one.json()

            at = f"/episodes/{(await same('/episodes', begin_body(TASK, 'k')))['episode_id']}"
            while not (move := await same(f"{at}/decide"))["done"]:
                for due in move["attempts"]:
                    told = await same(f"{at}/attempts", await attempted(due, TASK, WORLD.worker(None, None)))
                    assert told["attempt_id"] == due["attempt_id"]
            await same(f"{at}/attempts", {"attempt_id": "0" * 24, "output": "x"})
            await same(f"/episodes/{'0' * 24}/decide")


@pytest.mark.parametrize(
    ("path", "body", "sent"),
    [
        ("/episodes", b"{", JSON),
        ("/episodes", b"[" * 100_000, JSON),
        ("/episodes", b'{"task": {"prompt": "\\ud800"}}', JSON),
        ("/episodes", b'{"task": {"prompt": "x"}, "release": "/etc"}', JSON),
        ("/episodes", b'{"task": {"prompt": 5}}', JSON),
        ("/episodes", b"\xff\xfe", JSON),
        ("/episodes", BEGIN, {}),
        ("/episodes", BEGIN, {"content-type": "text/plain"}),
        ("/episodes", BEGIN.decode().encode("utf-16"), JSON),
        ("/episodes", BEGIN, {"content-type": "application/json; charset=utf-8"}),
        ("/episodes/", BEGIN, JSON),
        ("/episodes/short/decide", b"", {}),
        ("/episodes/" + "0" * 24 + "/attempts", b'{"attempt_id": "0"}', JSON),
        ("/episodes/" + "0" * 24 + "/attempts", b'{"attempt_id": "' + b"0" * 24 + b'", "cost": {"usd": NaN}}', JSON),
        ("/episodes/" + "0" * 24 + "/attempts%0A", b"", JSON),
        ("/nothing", b"", {}),
    ],
)
async def test_odd_requests_are_answered_as_fastapi_answers_them(
    opening: Opening, path: str, body: bytes, sent: dict[str, str]
) -> None:
    async with opening() as service:
        answers = Answers(service)
        app = application(answers)
        async with client_of(Quick(app, answers)) as quick, client_of(app) as plain:
            one, other = [await client.post(path, content=body, headers=sent) for client in (quick, plain)]
            assert (one.status_code, one.content) == (other.status_code, other.content)


async def test_what_is_no_post_is_passed_on(opening: Opening) -> None:
    async with opening() as service:
        answers = Answers(service)
        async with client_of(Quick(application(answers), answers)) as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/episodes")).status_code == 405
