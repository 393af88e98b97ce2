"""mini-swe-agent: `mini -t ... -y --exit-immediately -o FILE`, written against version 2.4.6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controllers.accounts import Found, Notes, as_text, at, count, items, parsed, price, text_at, total
from controllers.profiles import Account, Ask, Ending, Said
from signatures.records import Cost

__all__ = ["MiniProfile"]

ENDINGS: Final[Mapping[str, Ending]] = {
    "Submitted": Ending("done"),
    "LimitsExceeded": Ending("limit"),
    "TimeExceeded": Ending("limit"),
    "ContextWindowExceededError": Ending("limit"),
    "ContentPolicyViolationError": Ending("refusal"),
    "AuthenticationError": Ending("provider"),
    "PermissionDeniedError": Ending("provider"),
    "NotFoundError": Ending("provider"),
    "RateLimitError": Ending("provider", retryable=True),
    "APIConnectionError": Ending("provider", retryable=True),
    "Timeout": Ending("provider", retryable=True),
    "ServiceUnavailableError": Ending("provider", retryable=True),
    "BadGatewayError": Ending("provider", retryable=True),
    "InternalServerError": Ending("provider", retryable=True),
}
"`exit_status`, which is `Submitted`, a limit or the class of an exception"


class MiniProfile:
    """Standard output is for people; all is read from the trajectory file, which is written anew after each step.

    The answer is the submission, or else the last thing its model said. It runs any command without asking.
    """

    def words(self, ask: Ask) -> tuple[str, ...]:
        """The task is an argument, so it cannot be longer than one may be."""
        words = ["-t", "{task}", "-y", "--exit-immediately", "-o", "{report}"]
        if ask.model is not None:
            words += ["-m", ask.model]
        if ask.turns_limit is not None:
            words += ["-c", "mini.yaml", "-c", f"agent.step_limit={ask.turns_limit}"]
        return tuple(words)

    def settings(self, ask: Ask) -> Mapping[str, str]:
        """No questions at the first start, and models without a price are allowed."""
        return {"MSWEA_CONFIGURED": "true", "MSWEA_SILENT_STARTUP": "1", "MSWEA_COST_TRACKING": "ignore_errors"}

    def read(self, said: Said) -> Account:
        """The account that the trajectory gives."""
        notes = Notes()
        whole = parsed(said.report) if said.report is not None else None
        if not isinstance(whole, dict):
            why = "no trajectory file" if said.report is None else "the trajectory file cannot be read"
            return notes.account("", Cost(), Ending("cut", why))
        notes.started = True
        messages = items(at(whole, "messages"))
        for message in messages:
            _message(notes, message)
        stats = at(whole, "info", "model_stats")
        cost = _tokens(messages).plus(Cost(usd=price(at(stats, "instance_cost"))))
        return notes.account(text_at(whole, "info", "submission") or notes.last, cost, _ending(whole, messages))


def _message(notes: Notes, message: Found) -> None:
    role, text = text_at(message, "role"), as_text(at(message, "content"))
    code = at(message, "extra", "returncode")
    if at(message, "type") == "function_call_output":
        notes.result(text_at(message, "call_id"), text_at(message, "output"), failed=code not in (None, 0))
    elif role == "tool" or code is not None:
        notes.result(text_at(message, "tool_call_id"), text, failed=code not in (None, 0))
    elif role != "exit":
        said = text or "\n".join(as_text(at(part, "content")) for part in items(at(message, "output")))
        notes.message(said, name=role or "assistant")
        for action in items(at(message, "extra", "actions")):
            notes.call(text_at(action, "tool_call_id"), "bash", {"command": at(action, "command")})


def _tokens(messages: tuple[Found, ...]) -> Cost:
    """Sums over the replies that are kept with each message, chat and Responses alike."""
    cost = Cost()
    for message in messages:
        usage = at(message, "extra", "response", "usage") or at(message, "usage")
        read = at(usage, "prompt_tokens_details", "cached_tokens")
        cost = cost.plus(
            Cost(
                tokens_in=total(count(at(usage, "prompt_tokens")), count(at(usage, "input_tokens"))),
                tokens_out=total(count(at(usage, "completion_tokens")), count(at(usage, "output_tokens"))),
                tokens_cached=total(count(read), count(at(usage, "input_tokens_details", "cached_tokens"))),
            )
        )
    return cost


def _ending(whole: Found, messages: tuple[Found, ...]) -> Ending:
    status = text_at(whole, "info", "exit_status")
    if not status:
        return Ending("cut", "the trajectory ends before the agent did")
    said = text_at(messages[-1], "content") if messages else ""
    text = said if said.startswith(status) else f"{status}: {said}".removesuffix(": ")
    return ENDINGS.get(status, Ending("error"))._replace(text="" if status == "Submitted" else text)
