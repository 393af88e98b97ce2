"""OpenCode: `opencode run --format json`, written against version 1.18.33."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from controllers.accounts import Found, Notes, as_json, at, count, ending_of, price, text_at, total
from controllers.profiles import Account, Ask, Ending, Said
from signatures.records import Cost

__all__ = ["OpencodeProfile"]

LIMITS: Final = ("MessageOutputLengthError", "ContextOverflowError")
FINISHED: Final[Mapping[str, Ending]] = {
    "length": Ending("limit", "the model's limit of output tokens"),
    "content-filter": Ending("refusal", "stopped by the provider's content filter"),
}


class OpencodeProfile:
    """One JSON object a line: `step_start`, `text`, `reasoning`, `tool_use`, `step_finish`, `error`, `done`.

    The answer is the last text; every `step_finish` has its tokens and its price. What its permissions would ask for
    is refused (lines that are no JSON say so), unless the user's own words hold `--auto`.
    """

    def words(self, ask: Ask) -> tuple[str, ...]:
        """The task comes on standard input."""
        words = ("run", "--format", "json")
        return words if ask.model is None else (*words, "--model", ask.model)

    def settings(self, ask: Ask) -> Mapping[str, str]:
        """Its provider `openai` is sent to another endpoint where there is one."""
        settings = {"OPENCODE_DISABLE_AUTOUPDATE": "1"}
        if ask.base_url is not None:
            config = {"provider": {"openai": {"options": {"baseURL": ask.base_url}}}}
            settings["OPENCODE_CONFIG_CONTENT"] = json.dumps(config)
        return settings

    def read(self, said: Said) -> Account:
        """The account of one prompt."""
        notes = Notes()
        cost = Cost()
        error: Found = None
        finished = ""
        for event in notes.lines(said.stdout):
            part = event.get("part")
            match event.get("type"):
                case "text":
                    notes.message(text_at(part, "text"))
                case "reasoning":
                    notes.message(text_at(part, "text"), name="reasoning")
                case "tool_use":
                    _tool(notes, part)
                case "step_finish":
                    finished = text_at(part, "reason")
                    cost = cost.plus(_cost(part))
                case "done":
                    finished = finished if finished in FINISHED else "done"
                case "error":
                    error = event.get("error")
        return notes.account(notes.last, cost, _ending(error, finished))


def _tool(notes: Notes, part: Found) -> None:
    failed = at(part, "state", "status") == "error"
    text = text_at(part, "state", "error" if failed else "output")
    notes.tool(text_at(part, "tool"), at(part, "state", "input"), text, failed=failed)


def _cost(part: Found) -> Cost:
    """Of one step: cached tokens are counted beside its input tokens, reasoning beside its output tokens."""
    fresh, out, reasoning = (count(at(part, "tokens", name)) for name in ("input", "output", "reasoning"))
    read, written = (count(at(part, "tokens", "cache", name)) for name in ("read", "write"))
    return Cost(
        tokens_in=total(fresh, read, written),
        tokens_out=total(out, reasoning),
        tokens_cached=read,
        usd=price(at(part, "cost")),
    )


def _ending(error: Found, finished: str) -> Ending:
    if error is not None:
        name = text_at(error, "name")
        text = f"{name}: {text_at(error, 'data', 'message') or as_json(error)}"
        if name in LIMITS:
            return Ending("limit", text)
        if name == "ContentFilterError":
            return Ending("refusal", text)
        if name == "ProviderAuthError":
            return Ending("provider", text)
        if name == "APIError" and at(error, "data", "isRetryable") is True:
            return Ending("provider", text, retryable=True)
        status = count(at(error, "data", "statusCode"))
        return ending_of(f"{text} (status {status})" if status else text)
    if finished in FINISHED:
        return FINISHED[finished]
    return Ending("done") if finished and finished != "tool-calls" else Ending("cut", "the output ends within a step")
