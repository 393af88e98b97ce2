from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from experiments.serve.app import guarded
from experiments.serve.service import Service
from tests.experiments.serve.conftest import Opening
from tests.worlds.harness import TOKEN, attempted, begin_body, headers
from tests.worlds.planted import PlantedBenchmark

WORLD = PlantedBenchmark()
TASK = WORLD.tasks("search")[0]


@asynccontextmanager
async def client_of(service: Service, **given: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=guarded(service, TOKEN))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://t", headers=headers(), **given) as client:
        yield client


async def test_an_episode_over_http(opening: Opening) -> None:
    async with opening() as service, client_of(service) as client:
        begun = await client.post("/episodes", json=begin_body(TASK, "k"))
        assert begun.status_code == 201
        at = f"/episodes/{begun.json()['episode_id']}"
        while not (move := (await client.post(f"{at}/decide")).json())["done"]:
            for due in move["attempts"]:
                body = await attempted(due, TASK, WORLD.worker(None, None))
                told = await client.post(f"{at}/attempts", json=body)
                assert (told.status_code, set(told.json()["checks"])) == (200, {"correct", "fast", "cheap", "clean"})
        assert set(move["selected"]) == {"attempt_id", "output"}
        meters = (await client.get("/metrics")).text
        assert 'tiller_requests_total{call="episodes",status="201"} 1.0' in meters
        assert 'tiller_request_seconds_count{call="decide"}' in meters


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/episodes", {"task": {"prompt": ""}}, 422, "BadRequest"),
        ("/episodes", {"task": {"prompt": WORLD.tasks("holdout")[0].prompt}}, 422, "UsageError"),
        ("/episodes", {"task": {"prompt": "x"}, "release": "/etc"}, 422, "BadRequest"),
        ("/episodes/..%2f..%2fetc/decide", None, 404, "BadRequest"),
        ("/episodes/short/decide", None, 422, "BadRequest"),
        ("/episodes/000000000000000000000000/decide", None, 404, "UnknownEpisode"),
        ("/episodes/000000000000000000000000/attempts", {"attempt_id": "0" * 24}, 404, "UnknownEpisode"),
        ("/nothing", None, 404, "BadRequest"),
        ("/healthz", None, 405, "BadRequest"),
    ],
)
async def test_every_refusal_is_json_of_one_shape(
    opening: Opening, path: str, body: Any, status: int, kind: str
) -> None:
    async with opening() as service, client_of(service) as client:
        answer = await client.post(path, json=body)
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
        assert "\n" not in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[" * 100_000,
        b'{"task": {"prompt": "\\ud800"}}',
        b'{"task": {"prompt": NaN}}',
        b"\xff\xfe",
        b"null",
        b'{"task": {"prompt": ' + b"9" * 10_000 + b"}}",
    ],
)
async def test_what_is_no_body_is_refused_and_the_server_lives(opening: Opening, raw: bytes) -> None:
    async with opening() as service, client_of(service) as client:
        sent = {"content-type": "application/json"}
        answer = await client.post("/episodes", content=raw, headers=sent)
        assert answer.status_code in (400, 422)
        assert set(answer.json()["error"]) == {"type", "message"}
        assert (await client.get("/healthz")).status_code == 200


async def test_all_but_health_needs_the_token(opening: Opening) -> None:
    async with opening() as service, client_of(service) as client:
        for method, path in (("GET", "/metrics"), ("GET", "/openapi.json"), ("POST", "/episodes"), ("GET", "/none")):
            answer = await client.request(method, path, headers={"authorization": "Bearer no"})
            assert answer.status_code == 401
        health = await client.get("/healthz", headers={"authorization": ""})
        assert (health.status_code, health.json()["status"]) == (200, "ok")


async def test_a_disk_that_fails_is_503_and_says_nothing_of_it(
    opening: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    async with opening() as service, client_of(service) as client:
        id = (await client.post("/episodes", json=begin_body(TASK))).json()["episode_id"]
        service.stores.corpus.close()
        answer = await client.post(f"/episodes/{id}/decide")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "corpus" not in answer.text
        assert "corpus-planted.db" in caplog.text


async def test_openapi_describes_every_call_its_bodies_and_the_token(opening: Opening) -> None:
    async with opening() as service, client_of(service) as client:
        schema = (await client.get("/openapi.json")).json()
        assert set(schema["paths"]) == {
            "/episodes",
            "/episodes/{id}/decide",
            "/episodes/{id}/attempts",
            "/healthz",
            "/metrics",
        }
        assert schema["security"] == [{"token": []}]
        assert schema["paths"]["/healthz"]["get"]["security"] == []
        body = schema["paths"]["/episodes/{id}/attempts"]["post"]["requestBody"]["content"]["application/json"][
            "schema"
        ]
        assert body == {"$ref": "#/components/schemas/AttemptGiven"}
        assert json.dumps(schema["components"]["schemas"]["MoveTold"])
