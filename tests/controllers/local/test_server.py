"""The whole path with a real child process and a model of no skill: it starts, answers, dies, and leaves nothing."""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import dspy
import pytest

from controllers.choosing import choice_logprobs
from controllers.lm import billed, constrained, make_lm
from controllers.local.options import ServerOptions
from controllers.local.server import LocalServer, healthy, server_of
from controllers.policies import View
from controllers.policies.lm import LMPolicy
from controllers.testing_workers import a_context
from controllers.workers.chat import ChatWorker
from controllers.worlds import ToolSpec
from signatures.errors import ProviderError
from signatures.records import Task
from tests.controllers.serving import small_model

SMALL = {"slots": 2, "context_tokens": 2048, "threads": 2, "grace_s": 0.5, "temperature": 0.8}
TASK = Task(digest="d", benchmark="b", prompt="Write one line on rain.")
ENDLESS = 'root ::= [a-z ]* "~"'
"""A grammar under which a model does not come to an end."""


@pytest.fixture(scope="module")
def lm() -> Iterator[dspy.LM]:
    model = make_lm(f"local:{small_model()}", SMALL)
    yield model
    server_of(model.engine.source.options).close()


@pytest.fixture(scope="module")
def server(lm: dspy.LM) -> LocalServer:
    return server_of(lm.engine.source.options)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def begun(server: LocalServer, lm: dspy.LM) -> asyncio.Task[object]:
    """A request that the server works on now, and for long."""
    await asyncio.to_thread(server.endpoint)
    assert server.pid is not None
    before = cpu(server.pid)
    endless = constrained(lm.copy(max_tokens=1900), ENDLESS)
    asked: asyncio.Task[object] = asyncio.create_task(billed(endless, lambda own: own.acall("Tell a story.")))
    for _ in range(1000):
        await asyncio.sleep(0.02)
        if cpu(server.pid) > before + 30:  # ticks of 10 ms: past what it costs to take a request in
            break
    assert not asked.done()
    return asked


def cpu(pid: int) -> int:
    """Ticks that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def test_a_chat_call_is_answered_and_billed(lm: dspy.LM, server: LocalServer) -> None:
    first, cost = await billed(lm.copy(max_tokens=8), lambda own: own.acall("Say hello."))
    assert first[0]
    assert healthy(server.endpoint().base_url.removesuffix("/v1"))
    assert cost.tokens_in is not None
    assert cost.tokens_in > 5
    assert cost.tokens_out is not None
    assert 0 < cost.tokens_out <= 8
    assert cost.usd is None
    again, cost = await billed(lm.copy(max_tokens=8), lambda own: own.acall("Say hello."))
    assert again[0]
    assert cost.tokens_cached is not None
    assert cost.tokens_cached > 5


async def test_only_who_knows_the_key_is_answered(lm: dspy.LM, server: LocalServer) -> None:
    stranger = make_lm("openai/stranger", {"api_base": server.endpoint().base_url, "api_key": "guess"})
    with pytest.raises(Exception, match="api_key"):
        await stranger.acall("Hi")


async def test_an_attempt_is_a_function_of_its_seed(lm: dspy.LM) -> None:
    worker = ChatWorker(lm.copy(max_tokens=12))
    await worker.attempt(TASK, a_context(seed=0), None)  # from now on the prompt is cached, which moves the rounding
    outputs = [(await worker.attempt(TASK, a_context(seed=seed), None)).output for seed in (1, 1, 2, 3)]
    assert outputs[0] == outputs[1]
    assert len(set(outputs)) > 1


async def test_choices_have_log_probabilities_that_no_temperature_moves(lm: dspy.LM) -> None:
    choices = ["a car", "an apple", "a house"]
    found, cost = await choice_logprobs(lm, "You choose.", "Which is a fruit?", choices)
    again, _ = await choice_logprobs(lm.copy(temperature=2.0), "You choose.", "Which is a fruit?", choices)
    assert sum(math.exp(value) for value in found.values()) == pytest.approx(1.0)
    assert len(set(found.values())) == 3
    assert again == pytest.approx(found, abs=0.05)
    assert cost.tokens_out == 1


async def test_a_policy_on_a_local_model_always_parses(lm: dspy.LM) -> None:
    legal = ("refine_last", "refine_best", "fanout_1")
    for seed in range(2):
        policy = LMPolicy("topology", lm.copy(seed=seed), instructions="Decide.")
        found = await policy.decide(View(TASK, {"attempts": 1.0}, legal, ()))
        assert len(set(found.weights.values())) > 1  # uniform is what an answer that does not parse gives
        assert sum(found.weights.values()) == pytest.approx(1.0)


class Notebook:
    """A world of one tool, which keeps the colours that it was given."""

    def __init__(self) -> None:
        self.colours: list[object] = []

    def session(self, task_digest: str, start: str | None) -> Notebook:
        return self

    def tools(self) -> tuple[ToolSpec, ...]:
        colour = {"$ref": "#/$defs/Colour"}
        about = {"type": "object", "properties": {"colour": colour}, "required": ["colour"]}
        about["$defs"] = {"Colour": {"enum": ["red", "green"]}}
        return (ToolSpec(name="write", description="Write a colour.", parameters_json=json.dumps(about)),)

    def call(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        self.colours.append(arguments.get("colour"))
        return "written", tool != "write"

    def snapshot(self) -> str:
        return repr(self.colours)


async def test_a_model_of_no_skill_calls_the_tools_that_there_are(lm: dspy.LM) -> None:
    kinds = set()
    for seed in range(4):
        world = Notebook()
        worker = ChatWorker(lm.copy(max_tokens=40), world=world)
        result = await worker.attempt(TASK, a_context(seed=seed, turns_limit=2), None)
        cut = [event for event in result.trace if event.name == "length"]
        kinds |= {event.kind for event in result.trace}
        assert set(world.colours) <= {"red", "green"}
        assert not [event for event in result.trace if event.failed and event not in cut and event.name != "reply"]
        assert cut or not [event for event in result.trace if event.name == "reply"]
    assert "message" in kinds


async def test_a_killed_child_is_a_provider_error_and_the_next_call_starts_another(
    lm: dspy.LM, server: LocalServer
) -> None:
    asked = await begun(server, lm)
    first = server.pid
    assert first is not None
    os.kill(first, 9)
    with pytest.raises(ProviderError, match="ended with code -9") as caught:
        await asked
    assert caught.value.retryable
    answer, _ = await billed(lm.copy(max_tokens=2), lambda own: own.acall("Hi"))
    assert answer
    assert server.pid not in (None, first)


async def test_a_stop_with_a_request_in_flight_ends_within_the_grace_period(lm: dspy.LM, server: LocalServer) -> None:
    asked = await begun(server, lm)
    pid = server.pid
    assert pid is not None
    await asyncio.wait_for(asyncio.to_thread(server.close), 20)
    assert not alive(pid)
    with pytest.raises(ProviderError, match="was stopped"):
        await asked


async def test_nothing_is_computed_for_a_caller_that_went_away(lm: dspy.LM, server: LocalServer) -> None:
    asked = await begun(server, lm)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert server.pid is not None
    for _ in range(20):
        before = cpu(server.pid)
        await asyncio.sleep(0.15)
        if cpu(server.pid) <= before + 1:
            return
    pytest.fail("the server still works on a request that nobody waits for")


def test_a_file_that_is_no_model_inside_is_an_error_with_the_childs_last_lines(tmp_path: Path) -> None:
    small_model()
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + bytes(1000))
    server = LocalServer(ServerOptions(path=str(bad), threads=1))
    with pytest.raises(ProviderError, match=r"the server of bad ended with code 1: .*Failed to"):
        server.endpoint()
    assert server.pid is None
    server.close()


def test_a_model_that_takes_too_long_to_load_is_given_up_and_killed() -> None:
    server = LocalServer(ServerOptions(path=str(small_model()), threads=1, start_timeout_s=0.01))
    with pytest.raises(ProviderError, match=r"not loaded within 0\.01 s"):
        server.endpoint()
    assert server.pid is None
    server.close()


def test_equal_options_are_one_server() -> None:
    assert server_of(ServerOptions(path="/m.gguf", threads=1)) is server_of(ServerOptions(path="/m.gguf", threads=1))
    assert server_of(ServerOptions(path="/m.gguf", threads=1)) is not server_of(
        ServerOptions(path="/m.gguf", threads=2)
    )


@pytest.mark.parametrize("ending", ["return", "kill"])
def test_the_child_goes_with_its_parent(ending: str) -> None:
    code = f"""
import os, signal, sys
from controllers.local.options import ServerOptions
from controllers.local.server import server_of
server = server_of(ServerOptions(path={str(small_model())!r}, threads=1, slots=1, context_tokens=256))
server.endpoint()
print(server.pid, flush=True)
if {ending!r} == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path.cwd(), timeout=120)
    pid = int(done.stdout)
    give_up = time.monotonic() + 20
    while alive(pid) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not alive(pid)
