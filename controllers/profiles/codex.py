"""Codex: `codex exec --json`, written against version 0.163."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from controllers.accounts import Found, Notes, as_json, as_text, at, count, ending_of, text_at
from controllers.profiles import Account, Ask, Ending, Said
from signatures.records import Cost

__all__ = ["CodexProfile"]

PROVIDER: Final = "tiller"


class CodexProfile:
    """One JSON object a line: `thread.started`, `turn.*`, `item.*` and `error`.

    The answer is the last `agent_message`; `turn.completed` has the tokens, nothing has a price, and a refusal is not
    marked. Commands run in its own sandbox, which may write to the workspace alone.
    """

    def words(self, ask: Ask) -> tuple[str, ...]:
        """The task comes on standard input. Another endpoint must speak the Responses API, as Codex does."""
        words = ["exec", "--json", "--skip-git-repo-check", "--color", "never"]
        if not ask.has("--sandbox", "-s", "--dangerously-bypass-approvals-and-sandbox", "--yolo"):
            words += ["--sandbox", "workspace-write"]
        if ask.model is not None:
            words += ["--model", ask.model]
        if ask.base_url is not None:
            here = f"model_providers.{PROVIDER}"
            given = {
                "name": PROVIDER,
                "base_url": ask.base_url,
                "env_key": "OPENAI_API_KEY",
                "wire_api": "responses",
            }
            words += ["--config", f'model_provider="{PROVIDER}"', "--config", f"{here}.supports_websockets=false"]
            for name, value in given.items():
                words += ["--config", f"{here}.{name}={json.dumps(value)}"]
        return tuple(words)

    def settings(self, ask: Ask) -> Mapping[str, str]:
        """None."""
        return {}

    def read(self, said: Said) -> Account:
        """The account of the one turn that a call takes."""
        notes = Notes()
        cost, ending = Cost(), Ending("cut", "the output ends within the turn")
        for event in notes.lines(said.stdout):
            match event.get("type"):
                case "item.started":
                    if at(event, "item", "type") in TOOLS:
                        _begun(notes, at(event, "item"))
                case "item.completed":
                    _item(notes, at(event, "item"))
                case "turn.completed":
                    cost, ending = _cost(at(event, "usage")), Ending("done")
                case "turn.failed":
                    ending = ending_of(text_at(event, "error", "message"))
                case "error":
                    notes.error("stream", text_at(event, "message"))
        return notes.account(notes.last, cost, ending)


TOOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "command_execution": ("command",),
    "file_change": ("changes",),
    "mcp_tool_call": ("server", "tool", "arguments"),
    "collab_tool_call": ("tool", "prompt"),
    "web_search": ("query",),
}
"kind of item that is a tool call -> which of its fields are the arguments"


def _begun(notes: Notes, item: Found) -> None:
    kind = text_at(item, "type")
    notes.call(text_at(item, "id"), kind, {name: at(item, name) for name in TOOLS[kind]})


def _item(notes: Notes, item: Found) -> None:
    kind = text_at(item, "type")
    if kind == "agent_message":
        notes.message(text_at(item, "text"))
    elif kind == "error":
        notes.error("item", text_at(item, "message"))
    elif kind in TOOLS:
        _begun(notes, item)
        failed = at(item, "status") in ("failed", "declined") or at(item, "exit_code") not in (None, 0)
        notes.result(text_at(item, "id"), _came_back(item), failed=failed)
    else:
        notes.message(text_at(item, "text") or as_json(item), name=kind)


def _came_back(item: Found) -> str:
    found = text_at(item, "aggregated_output") or text_at(item, "error", "message")
    return found or as_text(at(item, "result", "content"))


def _cost(usage: Found) -> Cost:
    """Its input tokens hold the cached ones."""
    return Cost(
        tokens_in=count(at(usage, "input_tokens")),
        tokens_out=count(at(usage, "output_tokens")),
        tokens_cached=count(at(usage, "cached_input_tokens")),
    )
