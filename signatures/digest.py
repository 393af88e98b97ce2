"""Content digests: the one way anything in Tiller is named by what it is."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from pydantic import BaseModel

DIGEST_CHARS: Final = 24
"""Hex characters kept of SHA-256: 96 bits, no collision expected below 10**13 records."""


def digest_bytes(data: bytes) -> str:
    """The first 24 hex characters of the SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()[:DIGEST_CHARS]


def digest_text(text: str) -> str:
    """The digest of `text` in UTF-8 (lone surrogates kept, so that any worker output has a digest)."""
    return digest_bytes(text.encode("utf-8", "surrogatepass"))


def canonical_json(value: object) -> str:
    """`value` as JSON with sorted keys and no spaces: equal values give equal text."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(*parts: object) -> str:
    """The digest of several JSON-able values or records, in order."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    return digest_text(canonical_json(plain))


def seed_of(*parts: object) -> int:
    """A 63-bit seed that is a function of `parts`: how every random draw gets its own stream."""
    data = canonical_json(list(parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") >> 1
