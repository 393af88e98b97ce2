"""Work that is not left half done: whoever is cancelled while it is under way ends when it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


async def to_the_end(work: Coroutine[object, None, T]) -> T:
    """The value of `work`, or what it raises; on cancellation it is waited for, and the cancellation then goes on."""
    job = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(job)
    finally:
        await asyncio.wait({job})
