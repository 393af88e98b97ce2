"""The tools by the official client, in this process; over the wire in test_serve_run.py."""

from __future__ import annotations

from typing import Any

from mcp import Client

from experiments.serve.mcp_tools import mcp_server
from signatures.records import Episode
from tests.experiments.serve.conftest import Opening
from tests.worlds.harness import attempted, begin_body
from tests.worlds.planted import PlantedBenchmark

WORLD = PlantedBenchmark()
TASK = WORLD.tasks("search")[0]


async def called(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The structured answer of a call that must work."""
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    assert answer.structured_content is not None
    return answer.structured_content


async def refused(client: Client, tool: str, arguments: dict[str, Any]) -> str:
    """What a call that must fail says."""
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    return str(answer.content[0].text)  # type: ignore[union-attr]


async def test_there_are_two_tools_with_schemas(opening: Opening) -> None:
    async with opening() as service, Client(mcp_server(service)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"next_move", "report_attempt"}
        assert tools["report_attempt"].input_schema["required"] == ["episode_id", "attempt"]
        assert all(tool.output_schema and tool.description for tool in tools.values())


async def test_an_episode_by_tools(opening: Opening) -> None:
    async with opening() as service, Client(mcp_server(service)) as client:
        move = await called(client, "next_move", {"begin": begin_body(TASK, "k")})
        id = move["episode_id"]
        while not move["done"]:
            for due in move["attempts"]:
                body = await attempted(due, TASK, WORLD.worker(None, None))
                told = await called(client, "report_attempt", {"episode_id": id, "attempt": body})
                assert told["checks"]["correct"]["unit"] == "share"
            move = await called(client, "next_move", {"episode_id": id})
        assert await called(client, "next_move", {"begin": begin_body(TASK, "k")}) == move
        assert (await service.stores.corpus.get(Episode, id)) is not None


async def test_a_refusal_is_one_line_that_a_model_can_read(opening: Opening) -> None:
    async with opening() as service, Client(mcp_server(service)) as client:
        none = "0" * 24
        for tool, arguments, said in (
            ("next_move", {}, "give begin"),
            ("next_move", {"episode_id": none, "begin": begin_body(TASK)}, "give begin"),
            ("next_move", {"episode_id": none}, "UnknownEpisode"),
            ("next_move", {"episode_id": "../up"}, "pattern"),
            ("next_move", {"begin": {"task": {"prompt": WORLD.tasks("dev")[0].prompt}}}, "dev split"),
            ("report_attempt", {"episode_id": none, "attempt": {"attempt_id": none}}, "UnknownEpisode"),
            ("report_attempt", {"episode_id": none, "attempt": {"attempt_id": none, "path": "x"}}, "Extra inputs"),
        ):
            assert said in await refused(client, tool, arguments)
        service.stores.episodes._reader.close()
        said = await refused(client, "next_move", {"episode_id": none})
        assert "ask again" in said
        assert ".db" not in said
