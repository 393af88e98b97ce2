"""Secrets blotted out of text before it leaves the process: keys, tokens, passwords, private keys.

By shape alone: what does not look like a secret is not found. What was found reads `[redacted]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from pydantic import JsonValue

from signatures.records import CheckerResult, TraceEvent

MARK: Final = "[redacted]"
_NAMES: Final = (
    r"password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?secret"
    r"|auth[_-]?token|access[_-]?token|refresh[_-]?token|bearer[_-]?token|[_-]token"
)
_QUOTE: Final = r"\\{0,2}[\"']?"
_SECRET_NAME: Final = re.compile(rf"(?i)(?:{_NAMES}|^token|^authorization)$")


class _Shape(NamedTuple):
    """A kind of secret: text in lower case without which it cannot be there, and what to blot out (group `secret`)."""

    triggers: tuple[str, ...]
    pattern: re.Pattern[str]


def _shape(pattern: str, *triggers: str) -> _Shape:
    return _Shape(triggers, re.compile(pattern))


# Each repeat has a bound, so that no text takes more than linear time.
_SHAPES: Final = (
    _shape(
        r"(?P<secret>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[^-]|-(?!----)){0,20000}"
        r"(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?)",
        "private key-----",
    ),
    _shape(r"(?P<secret>\b(?:AKIA|ASIA)[0-9A-Z]{16}\b)", "akia", "asia"),
    _shape(
        r"(?P<secret>\bgh[pousr]_[A-Za-z0-9]{20,255}|\bgithub_pat_[A-Za-z0-9_]{20,255})",
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    _shape(r"(?P<secret>\bglpat-[\w-]{16,255})", "glpat-"),
    _shape(r"(?P<secret>\bsk-[A-Za-z0-9_-]{16,255})", "sk-"),
    _shape(r"(?P<secret>\b[rs]k_(?:live|test)_[A-Za-z0-9]{10,255})", "k_live_", "k_test_"),
    _shape(r"(?P<secret>\bhf_[A-Za-z0-9]{20,255})", "hf_"),
    _shape(r"(?P<secret>\bxox[abeoprs]-[A-Za-z0-9-]{10,255})", "xox"),
    _shape(r"(?P<secret>\bAIza[0-9A-Za-z_-]{35})", "aiza"),
    # It begins where a run of such characters does: tried at each `-eyJ` of a long one, it would take half a minute.
    _shape(
        r"(?<![\w-])(?P<secret>(?:[\w-]{0,60}-)?eyJ[\w-]{8,4000}\.eyJ[\w-]{8,8000}\.[\w-]{4,2000})",
        "eyj",
    ),
    _shape(r"://(?P<secret>[^\s/:@\"']{1,100}:[^\s/@\"']{1,200})@", "://"),
    _shape(r"(?i)\bbearer\s{1,3}(?=\S{0,300}\d)(?P<secret>[\w.~+/=-]{12,4000})", "bearer"),
    _shape(
        rf"(?i)\bauthorization{_QUOTE}\s{{0,3}}[:=]\s{{0,3}}{_QUOTE}"
        r"(?:(?:bearer|basic|token)\s{1,3})?(?P<secret>[\w.~+/=-]{8,4000})",
        "authorization",
    ),
    _shape(
        rf"(?i)(?:{_NAMES}){_QUOTE}\s{{0,3}}[:=]\s{{0,3}}{_QUOTE}(?P<secret>[^\s\"'\\,;(){{}}\[\]<>&]{{4,500}})",
        *("password", "passwd", "passphrase", "secret", "apikey", "api_key", "api-key", "accesskey", "access_key"),
        *("access-key", "privatekey", "private_key", "private-key", "token"),
    ),
)
_TRIGGERS: Final = tuple(trigger for shape in _SHAPES for trigger in shape.triggers)


def redacted(text: str) -> str:
    """`text` with every secret of a known shape replaced by `[redacted]`; twice is once."""
    lower = text.lower()
    if not _triggered(lower):
        return text
    for triggers, pattern in _SHAPES:
        if any(trigger in lower for trigger in triggers):
            text = pattern.sub(_blotted, text)
    return text


def may_hold_secrets(texts: Iterable[str]) -> bool:
    """False where none of the texts can hold a secret, seen in one quick pass: so it is with most."""
    return _triggered("\n".join(texts).lower())


def redacted_trace(trace: tuple[TraceEvent, ...]) -> tuple[TraceEvent, ...]:
    """The same events; arguments that were JSON still are."""
    if not may_hold_secrets(text for event in trace for text in (event.name, event.arguments, event.text)):
        return trace
    return tuple(redacted_event(event) for event in trace)


def redacted_checks(checks: tuple[CheckerResult, ...]) -> tuple[CheckerResult, ...]:
    """The same results, their details without secrets."""
    return tuple(check.model_copy(update={"detail": redacted(check.detail)}) for check in checks)


def redacted_event(event: TraceEvent) -> TraceEvent:
    """The event without secrets; the event itself where there are none."""
    clean = {"name": redacted(event.name), "arguments": _arguments(event.arguments), "text": redacted(event.text)}
    if all(getattr(event, name) == value for name, value in clean.items()):
        return event
    return event.model_copy(update=clean)


def _triggered(lower: str) -> bool:
    """A plain loop, because a generator costs more than the look-ups in a short text."""
    for trigger in _TRIGGERS:  # noqa: SIM110
        if trigger in lower:
            return True
    return False


def _blotted(match: re.Match[str]) -> str:
    start, end = match.start("secret") - match.start(), match.end("secret") - match.start()
    return match[0][:start] + MARK + match[0][end:]


def _arguments(text: str) -> str:
    if redacted(text) == text:
        return text
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return redacted(text)
    return json.dumps(_walk(whole), ensure_ascii=False) if isinstance(whole, dict | list) else redacted(text)


def _walk(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list):
        return [_walk(one) for one in value]
    if isinstance(value, dict):
        return {redacted(key): _under(key, one) for key, one in value.items()}
    return value


def _under(key: str, value: JsonValue) -> JsonValue:
    """What stands under a name: whole if the name says that it is secret."""
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return MARK if plain and _SECRET_NAME.search(key) else _walk(value)
