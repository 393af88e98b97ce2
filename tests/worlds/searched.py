"""A small search of any engine as a process of its own, to be killed and started again: what it ends with is a file.

    python -m tests.worlds.searched ENGINE FOLDER [WRITE before|after]

searches the planted world, partly replayed, partly live, on a corpus, a ledger and a journal in FOLDER. With WRITE it
kills itself (SIGKILL) just before or just after the journal's entry of that number, counted in this execution.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from controllers.budget import Budget
from controllers.corpus import SqliteCorpus
from controllers.jsonlog import JsonLog
from optimizers.engines import ENGINES, engine_of
from optimizers.evaluator import Evaluator
from optimizers.journal import Journal
from optimizers.meter import Limits
from optimizers.proposers.mined import MinedProposer
from optimizers.replay.tree import TreeReplay
from optimizers.replaying import Replaying
from optimizers.search import Kit
from signatures.records import Amounts
from tests.worlds.lab import STEERS, Lab, Listening, small_plan

ENDED: Final = "ended.json"
JOURNAL: Final = "search.jsonl"
TREES: Final = 10
"""Tasks with a recorded tree: those to reflect on, and four of those to compare on."""
COMPUTE: Final = 110
KILLED: Final = tuple(engine for engine in ENGINES if engine not in ("mipro_search", "null_search"))
"""Engines that search without a model."""
Ended = dict[str, Any]


class DoomedLog(JsonLog):
    """A log whose process is killed at one of its writes: a real signal at a chosen commit point."""

    def __init__(self, path: Path, write: int, when: str) -> None:
        super().__init__(path)
        self._write, self._when, self._writes = write, when, 0

    def append(self, entry: dict[str, object]) -> None:
        """As the log's, or the end."""
        self._writes += 1
        self._die("before")
        super().append(entry)
        self._die("after")

    def _die(self, when: str) -> None:
        if when == self._when and self._writes == self._write:
            os.kill(os.getpid(), signal.SIGKILL)


class DoomedJournal(Journal):
    """A journal on such a log."""

    def __init__(self, path: Path, write: int, when: str) -> None:
        super().__init__(path)
        self._log.close()
        self._log = DoomedLog(path, write, when)


async def search_in(lab: Lab, replay: TreeReplay, engine: str, journal: Journal) -> Ended:
    """The whole search on a journal that may hold a part of it; what it ended with."""
    tasks = lab.benchmark.tasks("search")
    replaying, space = Replaying(replay), lab.space(replay)
    evaluator = Evaluator(
        lab.setup(),
        lab.ledger,
        journal.part(engine),
        split="search",
        budget=Budget(Amounts(attempts=400)),
        replay=replaying,
        limits=Limits(compute=COMPUTE),
    )
    proposer, listener = MinedProposer(space), Listening()
    view = lab.folder / "view"
    view.mkdir(exist_ok=True)
    kit = Kit(space=space, folder=view, replay=replaying, steer_legal=STEERS)
    archive = await engine_of(engine, kit).search(small_plan(tasks), evaluator, proposer, listener)
    return {
        "front": [entry.model_dump(mode="json") for entry in archive.front()],
        "entries": len(archive),
        "found": [
            [one.name, one.decision, one.candidate.digest, [*one.parents], one.hypothesis, len(one.scores)]
            for one in listener.found_all
        ],
        "fronts": [[*front] for front in listener.fronts],
        "spent": [evaluator.meter.spent().compute, evaluator.meter.spent().attempts],
    }


async def searched(engine: str, folder: Path, journal: Journal) -> Ended:
    """One execution in a folder that may hold a part of the search."""
    with closing(SqliteCorpus(folder / "corpus.db")) as corpus:
        lab = Lab(folder, corpus=corpus)
        try:
            replay = await lab.replay(lab.benchmark.tasks("search")[:TREES])
            return await search_in(lab, replay, engine, journal)
        finally:
            lab.close()


def main() -> None:
    """One execution."""
    engine, folder = sys.argv[1], Path(sys.argv[2])
    path = folder / JOURNAL
    doomed = len(sys.argv) > 4
    with closing(DoomedJournal(path, int(sys.argv[3]), sys.argv[4]) if doomed else Journal(path)) as journal:
        ended = asyncio.run(searched(engine, folder, journal))
    (folder / ENDED).write_text(json.dumps(ended, sort_keys=True), encoding="utf-8")


if __name__ == "__main__":
    main()
