"""The HTTP side: FastAPI's routes over the service, typed refusals, OpenAPI, meters, and MCP at /mcp."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Final, get_args

from fastapi import FastAPI, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from experiments.serve.answers import Answer, Answers, Call
from experiments.serve.bodies import AttemptGiven, Health, Id, MoveTold, NewEpisode, Opened, ProblemTold, Recorded
from experiments.serve.limits import Guard
from experiments.serve.quick import Quick
from experiments.serve.service import Service
from signatures.errors import TillerError

Asked = Annotated[Id, Path(description="as POST /episodes gave it")]
_DESCRIPTION: Final = (
    "Begin an episode, then ask what is next and report each attempt until `done`. "
    "Every answer is on disk before it is given, so that any request may be sent again."
)


def guarded(service: Service, token: str, *, mcp: list[BaseRoute] | None = None) -> ASGIApp:
    """The whole application: routes, those of MCP among them, behind the token and the limits."""
    answers = Answers(service)
    app = application(answers)
    app.router.routes.extend(mcp or [])
    return Guard(Quick(app, answers), token, service.limits)


def application(answers: Answers) -> FastAPI:
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
    async def begin_episode(given: NewEpisode) -> Response:
        """Begin an episode about a task; with a key that was given before, the same one again."""
        return _response(await answers.begin(given))

    @app.post("/episodes/{id}/decide", response_model=MoveTold)
    async def decide(id: Asked) -> Response:
        """What is next: attempts to make, or the end. The same until they are reported."""
        return _response(await answers.decide(id))

    @app.post("/episodes/{id}/attempts", response_model=Recorded)
    async def report_attempt(id: Asked, given: AttemptGiven) -> Response:
        """Report an attempt. The same report again changes nothing, another one is refused."""
        return _response(await answers.report(id, given))

    _add_looks(app, answers.service)
    _add_refusals(app, answers)
    _add_security(app)
    return app


def _add_looks(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", response_model=Health)
    async def healthz() -> Response:
        """Whether it serves, and which release; needs no token."""
        return _response(Answer(200, service.health().model_dump_json().encode()))

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Prometheus meters."""
        return Response(service.meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_refusals(app: FastAPI, answers: Answers) -> None:
    @app.exception_handler(TillerError)
    async def refused(request: Request, error: TillerError) -> Response:
        return _response(answers.refused(_call(request), error))

    @app.exception_handler(RequestValidationError)
    async def misshapen(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
        return _response(answers.bad(_call(request), 422, f"{place[:200]}: {first['msg'][:300]}"))

    @app.exception_handler(HTTPException)
    async def elsewhere(request: Request, error: HTTPException) -> Response:
        return _response(answers.bad(_call(request), error.status_code, str(error.detail)[:300]))


def _add_security(app: FastAPI) -> None:
    """Say in OpenAPI that every call but /healthz needs the token. FastAPI keeps the schema that it made."""
    schema = app.openapi()
    schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"token": []}]
    schema["paths"]["/healthz"]["get"]["security"] = []


def _call(request: Request) -> Call:
    last = request.url.path.rsplit("/", 1)[-1]
    return next((call for call in get_args(Call) if call == last), "other")


def _response(answer: Answer) -> Response:
    """An answer that is not validated a second time."""
    return Response(answer.body, answer.status, answer.headers, "application/json")
