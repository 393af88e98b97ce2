"""A program that appends to a corpus and seals it, for tests that end it or run several of it.

sealing_child.py some PATH NAME ROUNDS       append an episode NAME-<n> and seal, ROUNDS times, then end
sealing_child.py forked PATH                 for each line of input, fork a child that does so until it is killed
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet  # noqa: F401  # before the fork, so that a child spends its short life sealing

from controllers.corpus.columns import table_of
from controllers.corpus.journal import SqliteCorpus
from controllers.corpus.segments import Sizes, seal, segments_of
from controllers.testing import a_decision, an_attempt, an_episode

SMALL = Sizes(least_rows=20, most_rows=50)


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def grow(corpus: SqliteCorpus, episode: str) -> None:
    for number in range(3):
        await corpus.append(a_decision(number, episode=episode), an_attempt(number, episode=episode))
    await corpus.append(an_episode(episode))


async def rounds(path: Path, name: str, numbers: Iterable[int]) -> None:
    async with SqliteCorpus(path) as corpus:
        for number in numbers:
            await grow(corpus, f"{name}-{number}")
            sealed = await seal(corpus, segments_of(path), sizes=SMALL)
            say("sealed", sealed.sealed_n)


def forked(path: Path) -> None:
    table_of("attempts", [an_attempt(0)])  # the first one imports the rest
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(rounds(path, line.strip(), itertools.count()))
        say("pid", child)
        os.waitpid(child, 0)
        say("dead")


if __name__ == "__main__":
    command, path, *rest = sys.argv[1:]
    if command == "forked":
        forked(Path(path))
    else:
        asyncio.run(rounds(Path(path), rest[0], range(int(rest[1]))))
