"""A real program, pointed at the proxy for one attempt: what the result shows of its model calls."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controllers import Worker
from controllers.testing_workers import WorkerContract, a_context
from controllers.workers.command import CommandConfig, CommandWorker
from controllers.workers.proxy import ProxyWorker
from signatures.errors import ProviderError, UsageError
from signatures.records import AttemptContext, AttemptResult, Task
from tests.controllers.standin import stand_in
from tests.controllers.upstream import CHAT, STREAM_HEAD, Asked, answer, delta, send_event, upstream

TASK = Task(digest="d", benchmark="b", prompt="Say hello.")
KEY = "real-key-canary-0123456789"
VARIABLE = "TILLER_TEST_UPSTREAM_KEY"

AGENT = """
import json, os, sys, urllib.request
task = sys.stdin.read()
headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"}
for _ in range(int(sys.argv[1])):
    body = json.dumps({"model": "m-1", "messages": [{"role": "user", "content": task}]}).encode()
    request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body, headers)
    try:
        with urllib.request.urlopen(request) as reply:
            print(json.load(reply)["choices"][0]["message"]["content"])
    except urllib.error.HTTPError as error:
        print("failed with", error.code, error.read().decode())
print(sorted(name for name in os.environ if os.environ[name] == os.environ["OPENAI_API_KEY"]))
print("env", json.dumps(dict(os.environ)))
"""

OPENAI = """
import openai
client = openai.OpenAI(max_retries=0)
with client.chat.completions.create(model="m-1", messages=[{"role": "user", "content": "Hi."}], stream=True) as pieces:
    print("".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices))
"""


@pytest.fixture(autouse=True)
def the_key() -> Iterator[None]:
    before = dict(os.environ)
    os.environ[VARIABLE] = KEY
    yield
    os.environ.clear()
    os.environ.update(before)


def agent(source: str = AGENT, calls: int = 1) -> CommandWorker:
    return CommandWorker(CommandConfig(argv=(sys.executable, "-I", "-c", source, str(calls))))


async def attempt(inner: CommandWorker, url: str, context: AttemptContext | None = None) -> AttemptResult:
    worker = ProxyWorker(inner, upstream=url, key_variable=VARIABLE)
    return await worker.attempt(TASK, context or a_context(), None)


class TestContract(WorkerContract):
    deterministic = False  # times are on the trace

    @pytest.fixture
    def worker(self) -> Worker:
        return ProxyWorker(agent(calls=0), upstream="http://127.0.0.1:9/v1")

    @pytest.fixture
    def task(self) -> Task:
        return TASK


async def test_every_call_is_on_the_trace_and_the_meter() -> None:
    async with upstream(answer(CHAT)) as far:
        result = await attempt(agent(calls=2), far.url)
    assert result.output.startswith("Hello.\nHello.\n['ANTHROPIC_API_KEY', 'GEMINI_API_KEY', 'OPENAI_API_KEY']\n")
    assert (result.outcome, len(far.asked)) == ("ok", 2)
    assert [event.name for event in result.trace if event.name == "model call"] == ["model call"] * 2
    assert ("message", "user", "Say hello.") in [(e.kind, e.name, e.text) for e in result.trace]
    cost = result.cost
    assert (cost.turns, cost.tokens_in, cost.tokens_out, cost.tokens_cached, cost.usd) == (2, 22, 6, 10, None)
    assert [event.turn for event in result.trace] == sorted(event.turn for event in result.trace)


async def test_the_key_is_with_the_upstream_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    quoted = answer({"error": {"message": f"key {KEY} is over its limit"}}, status="429 Too Many Requests")
    async with upstream(quoted) as far:
        result = await attempt(agent(), far.url)
    assert far.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert "failed with 429" in result.output
    assert KEY not in result.model_dump_json()
    assert KEY not in caplog.text
    environment = json.loads(result.output.partition("env ")[2])
    assert VARIABLE not in environment


async def test_nor_in_the_error_of_an_agent_that_quotes_it(tmp_path: Path) -> None:
    codex = stand_in(tmp_path, "codex")
    codex.says({"type": "turn.failed", "error": {"message": f"status 401: key {KEY} is bad"}})
    with pytest.raises(ProviderError, match=r"401: key \[redacted\] is bad") as caught:
        await attempt(CommandWorker(codex.config()), "http://127.0.0.1:9/v1")
    assert (KEY not in repr(caught.value), caught.value.__cause__) == (True, None)


async def test_a_profile_is_told_the_endpoint_in_its_own_way(tmp_path: Path) -> None:
    codex = stand_in(tmp_path, "codex")
    codex.says({"type": "turn.completed", "usage": {"input_tokens": 5, "output_tokens": 1}})
    result = await attempt(CommandWorker(codex.config()), "http://127.0.0.1:9/v1")
    heard = codex.heard
    assert isinstance(heard["argv"], list)
    assert isinstance(heard["env"], dict)
    assert f'model_providers.tiller.base_url="{heard["env"]["OPENAI_BASE_URL"]}"' in heard["argv"]
    assert heard["env"]["OPENAI_API_KEY"] not in json.dumps(heard["argv"])
    assert result.cost.tokens_in == 5  # its own word, where nothing was seen on the wire


async def test_a_tool_call_that_the_agent_tells_of_is_shown_once(tmp_path: Path) -> None:
    claude = stand_in(tmp_path, "claude")
    use = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}
    claude.says({"type": "assistant", "message": {"content": [use]}}, {"type": "result", "subtype": "success"})
    result = await attempt(CommandWorker(claude.config()), "http://127.0.0.1:9/v1")
    assert [event.name for event in result.trace if event.kind == "tool"] == ["Bash"]


async def test_attempts_at_once_do_not_mix() -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        words = json.loads(asked.body)["messages"][0]["content"]
        await answer({**CHAT, "choices": [{"message": {"content": f"re {words[-2:]}"}}]})(asked, writer)

    async with upstream(play) as far:
        worker = ProxyWorker(agent(calls=2), upstream=far.url, key_variable=VARIABLE)
        contexts = [a_context(seed, steer=f"s{seed}") for seed in range(3)]
        results = await asyncio.gather(*(worker.attempt(TASK, context, None) for context in contexts))
    for seed, result in enumerate(results):
        said = [event.text for event in result.trace if event.name == "assistant"]
        assert said == [f"re s{seed}"] * 2


async def test_the_openai_client_streams_through_it() -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        for event in (delta(content="Hel"), delta(content="lo."), {"choices": [], "usage": CHAT["usage"]}, "[DONE]"):
            await send_event(writer, event)
        writer.write(b"0\r\n\r\n")

    async with upstream(play) as far:
        result = await attempt(agent(OPENAI), far.url)
    assert (result.output, result.cost.tokens_in) == ("Hello.\n", 11)
    assert not any(event.failed for event in result.trace)


async def test_a_local_upstream_needs_no_key() -> None:
    async with upstream(answer(CHAT)) as far:
        worker = ProxyWorker(agent(), upstream=far.url)
        result = await worker.attempt(TASK, a_context(), None)
    assert (result.cost.tokens_in, "authorization" in far.asked[0].headers) == (11, False)


def test_a_key_that_is_not_there_and_a_bad_url_are_refused() -> None:
    with pytest.raises(UsageError, match="TILLER_TEST_NO_KEY, which is not set"):
        ProxyWorker(agent(), upstream="https://api.example.org/v1", key_variable="TILLER_TEST_NO_KEY")
    with pytest.raises(UsageError, match="http or https URL"):
        ProxyWorker(agent(), upstream="api.example.org")


def test_the_fingerprint_is_the_inner_workers_and_the_upstream() -> None:
    one, other = (ProxyWorker(agent(), upstream=f"https://{host}/v1") for host in ("a.org", "b.org"))
    assert one.fingerprint != other.fingerprint
    assert (one.fingerprint.name, KEY in one.fingerprint.model_dump_json()) == (agent().fingerprint.name, False)
