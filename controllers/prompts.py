"""The one boundary where evidence becomes prompt text: observations in, anything else is a breach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from controllers.redaction import may_hold_secrets, redacted
from signatures.errors import FirewallBreach
from signatures.records import CheckerResult, Observation, TraceEvent

TEXT_CAP: Final = 600
"""Characters kept of each side of one observation's text; the record keeps it whole."""

SHOWN: Final = 60
"""Observations shown at most, the latest."""


_MARKS: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"), ("[[", "&#91;["))
"""Delimiters of observations, and of dspy's fields: a model that quotes a worker must not write a field by it."""


def render(observations: Sequence[Observation], *, cap: int = TEXT_CAP, last: int = SHOWN) -> list[str]:
    """The last `last` observations as delimited, length-capped lines without secrets.

    Raises FirewallBreach for anything that is not an `Observation` born of a trace or a checker: text of
    unknown origin and verdicts have no way in, whatever they say.
    """
    for item in observations:
        require_observation(item)
    texts = [_texts(item) for item in observations[max(0, len(observations) - last) :]]
    if may_hold_secrets(part for text in texts for part in text):
        texts = [(redacted(head), redacted(body)) for head, body in texts]
    return [f"<observation source='{_escape(head, 120)}'>{_escape(body, cap)}</observation>" for head, body in texts]


def require_observation(item: object) -> None:
    """Raises FirewallBreach unless `item` is an observation whose source is a trace event or a checker result.

    The source is validated again: a record made without validation could carry anything in its fields.
    """
    if type(item) is not Observation:
        raise FirewallBreach(f"only observations may be shown; this is a {type(item).__name__}")
    if type(item.source) not in (TraceEvent, CheckerResult):
        raise FirewallBreach(f"an observation of unknown origin: {type(item.source).__name__}")
    try:
        type(item.source).__pydantic_validator__.validate_python(item.source.__dict__)
    except ValidationError as error:
        raise FirewallBreach(f"an observation that was never validated: {error.errors()[0]['loc']}") from error


def _texts(item: Observation) -> tuple[str, str]:
    """Where it comes from, and what it says."""
    source = item.source
    if isinstance(source, TraceEvent):
        failed = " failed" if source.failed else ""
        head = f"{source.kind} {source.name}{failed} turn={source.turn}"
        body = f"{source.arguments} -> {source.text}" if source.arguments else source.text
    else:
        head = f"checker {source.objective}"
        body = f"value={source.value} {source.unit} passed={source.passed} {source.detail}"
    return head, body


def _escape(text: str, cap: int) -> str:
    """Nothing can close the delimiter or open a field of an answer; the middle of a long text is left out."""
    if len(text) > 2 * cap:
        text = f"{text[:cap]} [... {len(text) - 2 * cap} characters left out ...] {text[-cap:]}"
    for mark, plain in _MARKS:
        text = text.replace(mark, plain)
    return text
