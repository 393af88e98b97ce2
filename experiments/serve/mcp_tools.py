"""The MCP side: two tools over the same service, so that an agent harness can ask without a line of Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, Final

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from experiments.serve.bodies import AttemptGiven, Id, MoveTold, NewEpisode, Recorded
from experiments.serve.problems import line_of
from experiments.serve.service import Service
from signatures.errors import TillerError, UsageError

INSTRUCTIONS: Final = (
    "A learned controller says what an agent should try next on a task. Call next_move with a task to begin an episode;"
    " make every attempt it lists (start from start_state if there is one, tell the agent steer.text if there is any,"
    " keep to turns_limit); report each with report_attempt; call next_move with the episode_id again, until done."
)
NAME: Final = "tiller"


def mcp_server(service: Service) -> MCPServer:
    """The server with its two tools. Not running yet."""
    server: MCPServer = MCPServer(
        NAME, instructions=INSTRUCTIONS, version=version("tiller"), log_level="WARNING", subscriptions=False
    )
    calls = _Calls(service)
    server.add_tool(calls.next_move)
    server.add_tool(calls.report_attempt)
    return server


class _Calls:
    """The tools. A refusal is the tool's error, in one line that a model can read."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def next_move(
        self,
        episode_id: Annotated[Id | None, Field(description="of an episode that was begun")] = None,
        begin: Annotated[NewEpisode | None, Field(description="to begin one, instead of its id")] = None,
    ) -> MoveTold:
        """What to do next: the attempts to make now, or done with the attempt that was kept.

        Give `begin` with a task to begin an episode, and its episode_id from then on. Asked again, it says the same
        until the attempts are reported.
        """
        with _told():
            if (begin is None) == (episode_id is None):
                raise UsageError("give begin, with a task, or the episode_id of an episode that was begun")
            if begin is not None:
                episode_id = (await self._service.open(begin)).episode_id
            return await self._service.next_move(episode_id or "")

    # The attempt is one argument: of plain ones, a text that happens to be JSON would be taken apart on its way here.
    async def report_attempt(self, episode_id: Id, attempt: AttemptGiven) -> Recorded:
        """Report one attempt that next_move asked for. It is on disk when this answers; sent twice, it counts once."""
        with _told():
            return await self._service.report(episode_id, attempt)


@contextmanager
def _told() -> Iterator[None]:
    """Raises ToolError, which the caller reads, for what the service refuses."""
    try:
        yield
    except TillerError as error:
        raise ToolError(f"{type(error).__name__}: {line_of(error)}") from error
