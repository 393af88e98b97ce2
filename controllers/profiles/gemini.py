"""Gemini CLI: `gemini --output-format stream-json`, written against version 0.61.0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controllers.accounts import Found, Notes, at, count, ending_of, text_at
from controllers.profiles import Account, Ask, Ending, Said
from signatures.records import Cost

__all__ = ["GeminiProfile"]

BLOCKED: Final = "The model response was blocked"
LIMITS: Final = ("FatalTurnLimitedError",)
PROVIDER: Final = ("FatalAuthenticationError", "TerminalQuotaError")
TOO_LONG: Final = "Maximum session turns exceeded"


class GeminiProfile:
    """One JSON object a line: `init`, `message` (pieces), `tool_use`, `tool_result`, `error` and, last, `result`.

    The answer is what it said after its last tool; `result` has the tokens (without those of thinking), nothing has a
    price. It may edit files; what else it may do without asking is said in the user's own words, such as `--yolo`.
    """

    def words(self, ask: Ask) -> tuple[str, ...]:
        """The task comes on standard input; `@path` and a leading `/` in it have their own meaning to Gemini."""
        words: tuple[str, ...] = ("--output-format", "stream-json", "--skip-trust")
        if not ask.has("--approval-mode", "--yolo", "-y"):
            words = (*words, "--approval-mode", "auto_edit")
        return words if ask.model is None else (*words, "--model", ask.model)

    def settings(self, ask: Ask) -> Mapping[str, str]:
        """None."""
        return {}

    def read(self, said: Said) -> Account:
        """The account that `result` closes."""
        notes = Notes()
        pieces: list[str] = []
        result: Found = None
        error = ""
        for event in notes.lines(said.stdout):
            kind = event.get("type")
            if kind == "message" and event.get("role") == "assistant":
                pieces.append(text_at(event, "content"))
                continue
            _spoken(notes, pieces)
            if kind == "tool_use":
                notes.call(text_at(event, "tool_id"), text_at(event, "tool_name"), at(event, "parameters"))
            elif kind == "tool_result":
                text = text_at(event, "output") or text_at(event, "error", "message")
                notes.result(text_at(event, "tool_id"), text, failed=event.get("status") == "error")
            elif kind == "error":
                notes.error(text_at(event, "severity"), text_at(event, "message"))
                error = text_at(event, "message") if event.get("severity") == "error" else error
            elif kind == "result":
                result = event
        _spoken(notes, pieces)
        return notes.account(notes.last, _cost(at(result, "stats")), _ending(result, error))


def _spoken(notes: Notes, pieces: list[str]) -> None:
    notes.message("".join(pieces))
    pieces.clear()


def _cost(stats: Found) -> Cost:
    """Nothing where all is 0: then no model was reached."""
    if not count(at(stats, "total_tokens")):
        return Cost()
    return Cost(
        tokens_in=count(at(stats, "input_tokens")),
        tokens_out=count(at(stats, "output_tokens")),
        tokens_cached=count(at(stats, "cached")),
    )


def _ending(result: Found, error: str) -> Ending:
    if result is None:
        return Ending("cut", "the output ends without a result")
    kind = text_at(result, "error", "type")
    text = ": ".join(part for part in (kind, text_at(result, "error", "message") or error) if part)
    if BLOCKED in text:
        return Ending("refusal", text)
    if kind in LIMITS or TOO_LONG in text:
        return Ending("limit", text)
    if at(result, "status") == "success":
        return Ending("done")
    return Ending("provider", text) if kind in PROVIDER else ending_of(text)
