"""A program that appends to a corpus and says so, for tests that end it, starve it or run several of it.

    appending_child.py some PATH NAME COUNT      append COUNT attempts of episode NAME, then end
    appending_child.py starved PATH BYTES        append until no file may grow beyond BYTES; read what was acknowledged
    appending_child.py forked PATH               for each line of input, fork a child that appends until it is killed

Each acknowledged append gives a line `ack EPISODE NUMBER DIGEST...`, written at once.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from controllers.corpus.journal import SqliteCorpus
from controllers.testing import an_attempt
from signatures.digest import digest_bytes
from signatures.errors import StoreError
from signatures.records import Attempt


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def blobs_of(episode: str, number: int) -> list[bytes]:
    """A small blob, and for every fifth attempt one that becomes a file."""
    small = f"{episode} {number} ".encode() * 40
    return [small, small * 200] if number % 5 == 0 else [small]


async def append(corpus: SqliteCorpus, episode: str, numbers: Iterator[int]) -> None:
    for number in numbers:
        blobs = blobs_of(episode, number)
        await corpus.append(an_attempt(number, episode=episode), blobs=blobs)
        say("ack", episode, number, *map(digest_bytes, blobs))


async def some(path: Path, name: str, count: int) -> None:
    async with SqliteCorpus(path) as corpus:
        numbers = iter(range(count))
        await asyncio.gather(*(append(corpus, name, numbers) for _ in range(8)))


async def starved(path: Path, limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    async with SqliteCorpus(path) as corpus:
        try:
            await append(corpus, "starved", itertools.count())
        except StoreError as error:
            say("refused", error)
        say("readable", len([attempt async for attempt in corpus.scan(Attempt)]))


def forked(path: Path) -> None:
    async def until_killed(round_: str) -> None:
        corpus = SqliteCorpus(path)
        numbers = itertools.count()
        await asyncio.gather(*(append(corpus, round_, numbers) for _ in range(8)))

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(until_killed(line.strip()))
        say("pid", child)
        os.waitpid(child, 0)
        say("dead")


if __name__ == "__main__":
    command, path, *rest = sys.argv[1:]
    if command == "forked":
        forked(Path(path))
    elif command == "starved":
        asyncio.run(starved(Path(path), int(rest[0])))
    else:
        asyncio.run(some(Path(path), rest[0], int(rest[1])))
