"""The server as a process of its own: killed under load, over MCP by the official client, refused by the command."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from controllers.corpus import SqliteCorpus
from signatures.records import Attempt, Decision, Episode, Task
from tests.worlds.harness import (
    BENCHMARK,
    Harness,
    ServerProcess,
    attempted,
    begin_body,
    environment,
    headers,
    serve_command,
    serving,
    until,
)
from tests.worlds.planted import PlantedBenchmark
from tests.worlds.shipped import ship

WORLD = PlantedBenchmark()
TASKS = WORLD.tasks("search")
LANES, ROUNDS = 6, 3


async def episodes_by_tools(client: Client, tasks: tuple[Task, ...]) -> list[dict[str, Any]]:
    """The last moves of episodes that were played by the two tools."""

    async def called(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer = await client.call_tool(tool, arguments)
        assert not answer.is_error, answer.content
        return dict(answer.structured_content or {})

    ends = []
    for number, task in enumerate(tasks):
        move = await called("next_move", {"begin": begin_body(task, f"k{number}")})
        while not move["done"]:
            for due in move["attempts"]:
                body = await attempted(due, task, WORLD.worker(None, None))
                await called("report_attempt", {"episode_id": move["episode_id"], "attempt": body})
            move = await called("next_move", {"episode_id": move["episode_id"]})
        ends.append(move)
    return ends


async def killed_while_it_works(server: ServerProcess, harness: Harness, after: list[int]) -> None:
    for count in after:
        await until(lambda wanted=count: len(harness.acknowledged) >= wanted)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)


async def test_kill_9_under_load_loses_no_acknowledged_attempt_and_no_episode(tmp_path: Path) -> None:
    ship(tmp_path / "release")
    with serving(tmp_path) as server:
        harness = Harness(server.port, WORLD.worker(None, None), think_s=0.01)
        lanes = [harness.lane(TASKS[lane * ROUNDS : (lane + 1) * ROUNDS], str(lane)) for lane in range(LANES)]
        *played, _ = await asyncio.gather(*lanes, killed_while_it_works(server, harness, [5, 20]))
        assert server.stop() == 0
    ends = [end for lane in played for end in lane or []]
    assert harness.retries > 0
    async with SqliteCorpus.open_readonly(tmp_path / "runs" / "corpus-planted.db") as corpus:
        attempts = [one async for one in corpus.scan(Attempt)]
        decisions = [one async for one in corpus.scan(Decision)]
        episodes = {one.id: one async for one in corpus.scan(Episode)}
    assert set(harness.acknowledged) <= {one.id for one in attempts}
    assert len(ends) == len(episodes) == LANES * ROUNDS
    for end in ends:
        episode = episodes[end["episode_id"]]
        assert (end["selected"]["attempt_id"], end["failure"]) == (episode.selected_id, None)
        assert set(episode.attempt_ids) == {one.id for one in attempts if one.episode_id == episode.id}
        assert set(episode.decision_ids) == {one.id for one in decisions if one.episode_id == episode.id}
    places = Counter((one.episode_id, one.index) for one in attempts)
    assert max(places.values()) == 1


async def test_mcp_over_http_by_the_official_client_with_the_token_alone(tmp_path: Path) -> None:
    ship(tmp_path / "release")
    with serving(tmp_path) as server:
        async with (
            httpx2.AsyncClient(headers=headers()) as http,
            Client(streamable_http_client(f"{server.url}/mcp", http_client=http)) as client,
        ):
            ends = await episodes_by_tools(client, TASKS[:2])
        async with httpx2.AsyncClient() as http:
            assert (await http.post(f"{server.url}/mcp", json={})).status_code == 401
        assert server.stop() == 0
    assert all(end["selected"] for end in ends)
    assert "Traceback" not in server.log


async def test_mcp_over_stdio_by_the_official_client_and_again_after_it_ended(tmp_path: Path) -> None:
    ship(tmp_path / "release")
    command, *arguments = serve_command("--mcp", "stdio")
    server = StdioServerParameters(command=command, args=arguments, env=environment(), cwd=tmp_path)
    async with Client(server) as client:
        ends = await episodes_by_tools(client, TASKS[:2])
    async with Client(server) as client:
        assert await episodes_by_tools(client, TASKS[:2]) == ends
    async with SqliteCorpus.open_readonly(tmp_path / "runs" / "corpus-planted.db") as corpus:
        assert {one.id async for one in corpus.scan(Episode)} == {end["episode_id"] for end in ends}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["release=release", "host=0.0.0.0"], 2, "error: 0.0.0.0 can be reached from elsewhere"),
        (["release=nowhere"], 3, "error: nowhere"),
        (["release=release", "benchmark=nothing"], 2, "error: unknown benchmark 'nothing'"),
        (["--mcp", "carrier-pigeon"], 2, "error: "),
        (["port=x"], 2, "error: "),
    ],
)
def test_what_cannot_be_served_is_one_line(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    ship(tmp_path / "release")
    kept = {name: value for name, value in os.environ.items() if name != "TILLER_TOKEN"}
    command = [sys.executable, "-m", "experiments.serve_run", f"benchmark={BENCHMARK}", "root=runs", *arguments]
    env = {**kept, "PYTHONPATH": environment()["PYTHONPATH"]}
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr.count("\n")) == (code, 1)
    assert ended.stderr.startswith(said)
