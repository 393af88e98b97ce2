"""Params, tags and metrics in a shape that a tracker keeps whole: legal names, short text, four digits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import floor, log10
from typing import Final

SHORT: Final = 1_000
"""Characters of a param or tag. MLflow cuts params at 6,000 and tags at 8,000, without a word."""
EXCERPT: Final = 200
KEY: Final = 250
"""Characters of a name that MLflow takes."""


def key(name: str) -> str:
    """`name` with what MLflow refuses in names replaced by `_`."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:KEY]


def rounded(value: float) -> float:
    """`value` to four decimals, or to four digits where that would lose a small one, such as a price."""
    if value == 0 or abs(value) >= 0.01:
        return round(value, 4)
    return round(value, 3 - floor(log10(abs(value))))


def named(metrics: Mapping[str, float]) -> dict[str, float]:
    """`metrics` with legal names and rounded values."""
    return {key(name): rounded(value) for name, value in metrics.items()}


def fit(fields: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(fields with each long text replaced by its beginning, artifact name -> each long text whole)."""
    short: dict[str, str] = {}
    long: dict[str, str] = {}
    for name, text in fields.items():
        if len(text) <= SHORT:
            short[key(name)] = text
            continue
        file = f"long/{key(name).replace('/', '_')}.txt"
        short[key(name)] = f"{text[:EXCERPT]} ... (whole: {file})"
        long[file] = text
    return short, long
