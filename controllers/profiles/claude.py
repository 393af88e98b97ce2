"""Claude Code: `claude --print --output-format stream-json --verbose`, written against version 2.1.330."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controllers.accounts import Found, Notes, as_text, at, count, ending_of, items, price, text_at, total
from controllers.profiles import Account, Ask, Ending, Said
from signatures.records import Cost

__all__ = ["ClaudeProfile"]

PROVIDER: Final[Mapping[str, bool]] = {
    "rate_limit": True,
    "overloaded": True,
    "server_error": True,
    "authentication_failed": False,
    "oauth_org_not_allowed": False,
    "account_on_hold": False,
    "verification_required": False,
    "billing_error": False,
    "model_not_found": False,
    "cloud_credential_error": False,
}
"an assistant message's `error` that is the provider's -> whether it passes"
LIMITS: Final = ("error_max_turns", "error_max_budget_usd", "error_max_structured_output_retries")


class ClaudeProfile:
    """One JSON object a line: `system`, `assistant`, `user` (tool results) and, last, `result`.

    The answer, the price and the tokens of all its models stand in `result`. It may edit the workspace; what else it
    may do without asking is said in the user's own words, such as `--permission-mode bypassPermissions`.
    """

    def words(self, ask: Ask) -> tuple[str, ...]:
        """The task comes on standard input."""
        words = ["--print", "--output-format", "stream-json", "--verbose"]
        if not ask.has("--permission-mode", "--dangerously-skip-permissions"):
            words += ["--permission-mode", "acceptEdits"]
        if ask.model is not None:
            words += ["--model", ask.model]
        if ask.turns_limit is not None and not ask.has("--max-turns"):
            words += ["--max-turns", str(ask.turns_limit)]
        return tuple(words)

    def settings(self, ask: Ask) -> Mapping[str, str]:
        """No updates and no reports while it works."""
        return {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}

    def read(self, said: Said) -> Account:
        """The account that the last `result` closes."""
        notes = Notes()
        result: Found = None
        error = ""
        for event in notes.lines(said.stdout):
            match event.get("type"):
                case "assistant":
                    error = text_at(event, "error")
                    _assistant(notes, at(event, "message", "content"))
                case "user":
                    _results(notes, at(event, "message", "content"))
                case "system" if event.get("subtype") == "api_retry":
                    notes.error("retry", f"{text_at(event, 'error')} {text_at(event, 'error_status')}".strip())
                case "result":
                    result = event
        answer = text_at(result, "result") if at(result, "subtype") == "success" else notes.last
        return notes.account(answer, _cost(result), _ending(result, error))


def _assistant(notes: Notes, content: Found) -> None:
    for block in items(content):
        match at(block, "type"):
            case "text":
                notes.message(text_at(block, "text"))
            case "thinking":
                notes.message(text_at(block, "thinking"), name="thinking")
            case "tool_use":
                notes.call(text_at(block, "id"), text_at(block, "name"), at(block, "input"))


def _results(notes: Notes, content: Found) -> None:
    for block in items(content):
        if at(block, "type") == "tool_result":
            text = as_text(at(block, "content"))
            notes.result(text_at(block, "tool_use_id"), text, failed=at(block, "is_error") is True)


def _cost(result: Found) -> Cost:
    """Of all models together; of the main one where no others are listed."""
    listed = at(result, "modelUsage")
    usages = list(listed.values()) if isinstance(listed, Mapping) else []
    names = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens", "outputTokens")
    if not usages:
        usages = [at(result, "usage")]
        names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    fresh, read, written, out = (total(*(count(at(usage, name)) for usage in usages)) for name in names)
    return Cost(
        tokens_in=total(fresh, read, written),
        tokens_out=out,
        tokens_cached=read,
        usd=price(at(result, "total_cost_usd")),
    )


def _ending(result: Found, error: str) -> Ending:
    if result is None:
        return Ending("cut", "the output ends without a result")
    subtype = text_at(result, "subtype")
    text = text_at(result, "result") or as_text(at(result, "errors")) or subtype
    if at(result, "stop_reason") == "refusal":
        return Ending("refusal", text)
    if subtype in LIMITS:
        return Ending("limit", subtype)
    if at(result, "is_error") is not True and subtype == "success":
        return Ending("done")
    if error in PROVIDER:
        return Ending("provider", f"{error}: {text}", retryable=PROVIDER[error])
    if error == "max_output_tokens":
        return Ending("limit", text)
    return ending_of(text, provider=count(at(result, "api_error_status")) is not None)
