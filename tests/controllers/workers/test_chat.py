"""A language model as a worker, through real HTTP to a server that misbehaves on request."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dspy
import pytest

from controllers import Worker
from controllers.local.engine import AsyncChatEngine, ChatEngine, FixedSource
from controllers.replies import reply_schema
from controllers.scripted_engine import scripted_lm
from controllers.testing_workers import WorkerContract, a_context
from controllers.workers.chat import ChatConfig, ChatWorker
from controllers.worlds import ToolSpec
from signatures.errors import ProviderError, UsageError
from signatures.records import Steer, Task

TASK = Task(digest="d", benchmark="b", prompt="Light the lamp.")
PRESS = ToolSpec(name="press", description="Toggle the lamp.", parameters_json='{"type": "object", "properties": {}}')


class Provider(ThreadingHTTPServer):
    """An OpenAI-compatible server that answers each request as `manner` says, and counts them."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.manner = "good"
        self.replies: list[Mapping[str, object]] = []
        self.bodies: list[dict[str, Any]] = []
        self.release = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        match self.server.manner:
            case "429":
                self._send(429, b'{"error": {"message": "slow down"}}', {"Retry-After": "7"})
            case "500":
                self._send(500, b'{"error": {"message": "oops"}}')
            case "401":
                self._send(401, b'{"error": {"message": "bad key", "code": "invalid_api_key"}}')
            case "truncated":
                self._send(200, b'{"id": "x", "choices": [{"mess')
            case "dropped":
                self._send(200, b'{"id"', {"Content-Length": "500"})
            case "slow":
                self.server.release.wait(10)
                self.close_connection = True
            case _:
                message = self.server.replies.pop(0) if self.server.replies else {"content": "hello"}
                self._send(200, json.dumps(_completion(body["model"], message)).encode())

    def _send(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Length": str(len(data)),
            "Content-Type": "application/json",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True


def _completion(model: str, message: Mapping[str, object]) -> dict[str, object]:
    usage = {
        "prompt_tokens": 11,
        "completion_tokens": 5,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


@pytest.fixture(params=["auto", "litellm"])
async def lm(request: pytest.FixtureRequest, provider: Provider) -> AsyncIterator[dspy.LM]:
    """A model of that server, through dspy's own client and through LiteLLM, with retries and cache left on."""
    url = f"http://127.0.0.1:{provider.server_port}/v1"
    model = dspy.LM("openai/gpt-4o-mini", api_base=url, api_key="k", timeout=2.0, engine=request.param, temperature=0.5)
    yield model
    await model.aclose()


class LampWorld:
    """A world of one lamp."""

    def session(self, task_digest: str, start: str | None) -> LampSession:
        if task_digest != TASK.digest:
            raise UsageError(f"no task {task_digest}")
        return LampSession(start == "lit")

    def tools(self) -> tuple[ToolSpec, ...]:
        return (PRESS,)


class LampSession:
    def __init__(self, lit: bool) -> None:
        self._lit = lit

    def call(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        self._lit ^= tool == "press"
        return self.snapshot(), tool != "press"

    def snapshot(self) -> str:
        return "lit" if self._lit else "dark"


async def test_a_good_answer_is_billed_from_its_own_response(lm: dspy.LM, provider: Provider) -> None:
    result = await ChatWorker(lm).attempt(TASK, a_context(steer="Now."), None)
    assert (result.output, result.outcome, len(provider.bodies)) == ("hello", "ok", 1)
    cost = result.cost
    assert (cost.turns, cost.tokens_in, cost.tokens_out, cost.tokens_cached) == (1, 11, 5, 3)
    assert cost.usd == pytest.approx(8 * 0.15e-6 + 3 * 0.075e-6 + 5 * 0.6e-6)
    sent = provider.bodies[0]
    assert sent["temperature"] == 0.5
    assert [m["role"] for m in sent["messages"]] == ["system", "user"]
    assert sent["messages"][1]["content"] == "Light the lamp.\n\nNow."


@pytest.mark.parametrize(
    ("manner", "cause", "retry_after_s"),
    [
        ("429", "LMRateLimitError", 7.0),
        ("500", "LMServerError", None),
        ("truncated", "LMProviderError|LMServerError", None),
        ("dropped", "LMTransportError|LMServerError", None),
        ("slow", "LMTransportError|LMTimeoutError", None),
    ],
)
async def test_a_failing_provider_is_asked_once_and_named(
    manner: str, cause: str, retry_after_s: float | None, provider: Provider, lm: dspy.LM
) -> None:
    provider.manner = manner
    impatient = lm.copy(timeout=0.3)
    with pytest.raises(ProviderError) as raised:
        await ChatWorker(impatient).attempt(TASK, a_context(), None)
    await impatient.aclose()
    assert type(raised.value.__cause__).__name__ in cause.split("|")
    if lm.engine == "auto":  # LiteLLM's own error does not hand the header on
        assert raised.value.retry_after_s == retry_after_s
    assert len(provider.bodies) == 1


async def test_a_refused_key_is_the_callers_mistake(provider: Provider, lm: dspy.LM) -> None:
    provider.manner = "401"
    with pytest.raises(UsageError, match="LMAuthError"):
        await ChatWorker(lm).attempt(TASK, a_context(), None)
    assert len(provider.bodies) == 1


async def test_the_same_question_twice_is_asked_twice(provider: Provider, lm: dspy.LM) -> None:
    worker = ChatWorker(lm)
    provider.replies = [{"content": "one"}, {"content": "two"}]
    assert [(await worker.attempt(TASK, a_context(), None)).output for _ in range(2)] == ["one", "two"]


async def test_attempts_at_once_are_billed_apart(provider: Provider, lm: dspy.LM) -> None:
    worker = ChatWorker(lm)
    results = await asyncio.gather(*(worker.attempt(TASK, a_context(seed), None) for seed in range(6)))
    assert [result.cost.tokens_in for result in results] == [11] * 6


async def test_tools_are_played_in_json_over_turns(provider: Provider, lm: dspy.LM) -> None:
    provider.replies = [{"content": 'I will. {"tool": "press"}'}, {"content": "?"}, {"content": '{"answer": "done"}'}]
    result = await ChatWorker(lm, world=LampWorld()).attempt(TASK, a_context(), None)
    assert (result.output, result.state, result.outcome) == ("lit", "lit", "ok")
    assert (result.cost.turns, result.cost.tokens_in) == (2, 33)
    assert "press() - Toggle the lamp." in provider.bodies[0]["messages"][0]["content"]
    assert "tools" not in provider.bodies[0]


async def test_native_tools_are_sent_and_answered(provider: Provider) -> None:
    url = f"http://127.0.0.1:{provider.server_port}/v1"
    lm = dspy.LM("openai/gpt-4o-mini", api_base=url, api_key="k")
    function = {"name": "press", "arguments": "{}"}
    provider.replies = [
        {"content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
        {"content": "It is lit."},
    ]
    worker = ChatWorker(lm, world=LampWorld(), config=ChatConfig(protocol="native"))
    result = await worker.attempt(TASK, a_context(), None)
    await lm.aclose()
    assert (result.output, result.cost.turns) == ("lit", 1)
    assert [tool["function"]["name"] for tool in provider.bodies[0]["tools"]] == ["press"]
    assert provider.bodies[1]["messages"][-1] == {"role": "tool", "tool_call_id": "c1", "content": "lit"}


async def test_past_the_wall_limit_it_is_a_timeout_that_keeps_the_world(provider: Provider) -> None:
    url = f"http://127.0.0.1:{provider.server_port}/v1"
    lm = dspy.LM("openai/x", api_base=url, api_key="k")
    provider.manner = "slow"
    context = a_context().model_copy(update={"wall_limit_s": 0.2})
    result = await ChatWorker(lm, world=LampWorld()).attempt(TASK, context, "lit")
    await lm.aclose()
    assert (result.outcome, result.output, result.trace[-1].name) == ("timeout", "lit", "timeout")


async def test_the_state_of_the_world_is_gone_on_from() -> None:
    lm, engine = scripted_lm(lambda prompt: '{"tool": "press"}')
    worker = ChatWorker(lm, world=LampWorld(), config=ChatConfig(turns_limit=3))
    context = a_context(turns_limit=None)
    first = await worker.attempt(TASK, context, None)
    assert (first.state, first.cost.turns, len(engine.prompts)) == ("lit", 3, 3)
    assert (await worker.attempt(TASK, context, first.state)).state == "dark"


async def test_without_a_world_the_conversation_is_the_state() -> None:
    lm, engine = scripted_lm(lambda prompt: f"answer {prompt.count('answer') + 1}")
    worker = ChatWorker(lm)
    first = await worker.attempt(TASK, a_context(), None)
    second = await worker.attempt(TASK, a_context(steer="Check it."), first.state)
    assert (first.output, second.output) == ("answer 1", "answer 2")
    assert engine.prompts[1].splitlines()[-3:] == ["Light the lamp.", "answer 1", "Check it."]
    forgetful = ChatWorker(lm, config=ChatConfig(keep_conversation=False))
    assert (await forgetful.attempt(TASK, a_context(), None)).state is None


class TestContract(WorkerContract):
    @pytest.fixture(params=[None, LampWorld()], ids=["answer", "tools"])
    def worker(self, request: pytest.FixtureRequest) -> Worker:
        lm, _ = scripted_lm(lambda prompt: '{"tool": "press"}' if prompt.count("lit") < 2 else '{"answer": "ok"}')
        return ChatWorker(lm, world=request.param)

    @pytest.fixture
    def task(self) -> Task:
        return TASK


def test_the_fingerprint_tells_models_and_settings_apart_and_holds_no_key() -> None:
    def fingerprint(**settings: object) -> Any:
        return ChatWorker(dspy.LM("openai/x", api_key="secret", **settings)).fingerprint

    assert fingerprint(temperature=0.1) != fingerprint(temperature=0.2)
    assert fingerprint(temperature=0.1) == fingerprint(temperature=0.1)
    assert "secret" not in fingerprint(temperature=0.1).model_dump_json()
    lm = dspy.LM("openai/x")
    assert ChatWorker(lm).fingerprint != ChatWorker(lm, world=LampWorld()).fingerprint


def test_a_worker_from_before_seeds_were_sent_keeps_its_fingerprint() -> None:
    assert "send_seed" not in ChatConfig().content()
    assert ChatConfig(send_seed=True).content_digest() != ChatConfig().content_digest()


async def test_the_seed_of_an_attempt_is_sent_where_the_config_says_so(provider: Provider, lm: dspy.LM) -> None:
    for config in (ChatConfig(), ChatConfig(send_seed=True), ChatConfig(send_seed=False)):
        await ChatWorker(lm, config=config).attempt(TASK, a_context(seed=(1 << 40) + 7), None)
    assert [body.get("seed") for body in provider.bodies] == [None, 7, None]


async def test_a_seed_among_the_models_settings_is_kept(provider: Provider, lm: dspy.LM) -> None:
    await ChatWorker(lm.copy(seed=3), config=ChatConfig(send_seed=True)).attempt(TASK, a_context(seed=7), None)
    assert provider.bodies[0]["seed"] == 3


async def test_a_local_model_gets_the_seed_of_each_attempt(provider: Provider) -> None:
    source = FixedSource(f"http://127.0.0.1:{provider.server_port}/v1", "small")
    lm = dspy.LM("local/small", engine=ChatEngine(source), async_engine=AsyncChatEngine(source))
    for seed in (1, 2):
        await ChatWorker(lm).attempt(TASK, a_context(seed=seed), None)
    await ChatWorker(lm, config=ChatConfig(send_seed=False)).attempt(TASK, a_context(seed=3), None)
    assert [body.get("seed") for body in provider.bodies] == [1, 2, None]


async def test_a_local_model_is_held_to_the_tools_that_it_may_call(provider: Provider) -> None:
    source = FixedSource(f"http://127.0.0.1:{provider.server_port}/v1", "small")
    lm = dspy.LM("local/small", engine=ChatEngine(source), async_engine=AsyncChatEngine(source))
    guided, free = (ChatWorker(lm, world=LampWorld(), config=ChatConfig(guided=guided)) for guided in (None, False))
    for worker in (guided, free, ChatWorker(lm)):
        await worker.attempt(TASK, a_context(turns_limit=1), None)
    sent = [body.get("response_format") for body in provider.bodies]
    assert sent[0] == {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": reply_schema(LampWorld().tools())},
    }
    assert sent[1:] == [None, None]
    assert guided.fingerprint.params["replies"] == "json schema"
    assert "replies" not in free.fingerprint.params


async def test_a_provider_is_sent_a_schema_only_where_the_config_says_so(provider: Provider, lm: dspy.LM) -> None:
    for guided in (None, True):
        config = ChatConfig(guided=guided)
        await ChatWorker(lm, world=LampWorld(), config=config).attempt(TASK, a_context(turns_limit=1), None)
    assert ["response_format" in body for body in provider.bodies] == [False, True]
    assert "guided" not in ChatConfig().content()


def test_a_named_model_without_its_key_is_refused() -> None:
    key = os.environ.pop("OPENAI_API_KEY", None)
    try:
        with pytest.raises(UsageError, match="OPENAI_API_KEY"):
            ChatWorker("openai/gpt-4o-mini")
    finally:
        if key is not None:
            os.environ["OPENAI_API_KEY"] = key


async def test_an_unknown_task_is_refused_by_the_world() -> None:
    lm, _ = scripted_lm(lambda prompt: "x")
    with pytest.raises(UsageError, match="no task"):
        await ChatWorker(lm, world=LampWorld()).attempt(TASK.model_copy(update={"digest": "e"}), a_context(), None)


async def test_a_tool_that_the_steer_does_not_grant_is_neither_shown_nor_run(provider: Provider, lm: dspy.LM) -> None:
    provider.replies = [{"content": '{"tool": "press"}'}, {"content": '{"answer": "done"}'}]
    context = a_context().model_copy(update={"steer": Steer(action="look", tools=("look",))})
    result = await ChatWorker(lm, world=LampWorld()).attempt(TASK, context, None)
    assert (result.output, [event.failed for event in result.trace if event.kind == "tool"]) == ("dark", [True])
    assert "press() - Toggle the lamp." not in provider.bodies[0]["messages"][0]["content"]
