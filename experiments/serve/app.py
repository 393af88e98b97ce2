"""The HTTP side: FastAPI's routes over the service, typed refusals, OpenAPI, meters, and MCP at /mcp."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from time import perf_counter
from typing import Annotated, Any, Final, TypeVar

from fastapi import FastAPI, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from experiments.serve.bodies import (
    AttemptGiven,
    Body,
    Health,
    Id,
    MoveTold,
    NewEpisode,
    Opened,
    ProblemTold,
    Recorded,
)
from experiments.serve.limits import Guard
from experiments.serve.problems import body_of, line_of, status_of, told
from experiments.serve.service import Service
from signatures.errors import TillerError

BodyT = TypeVar("BodyT", bound=Body)
Asked = Annotated[Id, Path(description="as POST /episodes gave it")]
_log: Final = logging.getLogger("tiller.serve")
_DESCRIPTION: Final = (
    "Begin an episode, then ask what is next and report each attempt until `done`. "
    "Every answer is on disk before it is given, so that any request may be sent again."
)


def guarded(service: Service, token: str, *, mcp: list[BaseRoute] | None = None) -> ASGIApp:
    """The whole application: routes, those of MCP among them, behind the token and the limits."""
    app = application(service)
    app.router.routes.extend(mcp or [])
    return Guard(app, token, service.limits)


def application(service: Service) -> FastAPI:
    """The routes, without a guard."""
    app = FastAPI(
        title="Tiller",
        description=_DESCRIPTION,
        version=version("tiller"),
        docs_url=None,
        redoc_url=None,
        responses={code: {"model": ProblemTold} for code in (401, 404, 409, 413, 422, 429, 503)},
    )

    @app.post("/episodes", status_code=201, response_model=Opened)
    async def begin_episode(given: NewEpisode) -> Any:
        """Begin an episode about a task; with a key that was given before, the same one again."""
        return await _timed(service, "episodes", lambda: service.open(given), 201)

    @app.post("/episodes/{id}/decide", response_model=MoveTold)
    async def decide(id: Asked) -> Any:
        """What is next: attempts to make, or the end. The same until they are reported."""
        return await _timed(service, "decide", lambda: service.next_move(id))

    @app.post("/episodes/{id}/attempts", response_model=Recorded)
    async def report_attempt(id: Asked, given: AttemptGiven) -> Any:
        """Report an attempt. The same report again changes nothing, another one is refused."""
        return await _timed(service, "attempts", lambda: service.report(id, given))

    _add_looks(app, service)
    _add_refusals(app, service)
    _add_security(app)
    return app


def _add_looks(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", response_model=Health)
    async def healthz() -> Any:
        """Whether it serves, and which release; needs no token."""
        return _json(service.health(), 200)

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Any:
        """Prometheus meters."""
        return Response(service.meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_refusals(app: FastAPI, service: Service) -> None:
    def refusal(request: Request, status: int, body: bytes) -> Response:
        call = request.url.path.rsplit("/", 1)[-1]
        known = call if call in ("episodes", "decide", "attempts") else "other"
        service.meters.requests.labels(known, str(status)).inc()
        headers = {"retry-after": "1"} if status in (429, 503) else None
        return Response(body, status, headers, "application/json")

    @app.exception_handler(TillerError)
    async def refused(request: Request, error: TillerError) -> Response:
        if line_of(error) not in str(error):  # the client is not told; whoever runs the server is
            _log.error("%s: %s", type(error).__name__, error)
        return refusal(request, status_of(error), told(error))

    @app.exception_handler(RequestValidationError)
    async def misshapen(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
        return refusal(request, 422, body_of("BadRequest", f"{place[:200]}: {first['msg'][:300]}"))

    @app.exception_handler(HTTPException)
    async def elsewhere(request: Request, error: HTTPException) -> Response:
        return refusal(request, error.status_code, body_of("BadRequest", str(error.detail)[:300]))


def _add_security(app: FastAPI) -> None:
    """Say in OpenAPI that every call but /healthz needs the token. FastAPI keeps the schema that it made."""
    schema = app.openapi()
    schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"token": []}]
    schema["paths"]["/healthz"]["get"]["security"] = []


async def _timed(service: Service, call: str, answer: Callable[[], Awaitable[BodyT]], status: int = 200) -> Any:
    began = perf_counter()
    body = await answer()
    service.meters.seconds.labels(call).observe(perf_counter() - began)
    service.meters.requests.labels(call, str(status)).inc()
    return _json(body, status)


def _json(body: Body, status: int) -> Any:
    """An answer that is not validated a second time."""
    return Response(body.model_dump_json(), status, media_type="application/json")
