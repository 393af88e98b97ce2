"""What the tests of importing share: bringing a file into a corpus, and everything that the corpus then says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from controllers.corpus import SqliteCorpus
from controllers.corpus.columns import KINDS, table_of
from controllers.history import Seen
from controllers.observe import NoObserver, observe
from experiments.importing import Given
from experiments.importing.appending import Brought, bring
from experiments.importing.building import task_of
from experiments.importing.catalogue import load_format
from experiments.importing.recording import Recording
from experiments.places import ledger_beside
from judges.chain import bodies_of_episodes, connect
from judges.records import Verdict
from optimizers.collect.gathering import seen_of
from signatures.records import Amounts, Attempt, Decision, Episode

DATA = Path(__file__).resolve().parents[2] / "data"
NOTHING = Given()

Read = Callable[..., list[Recording]]
BringIn = Callable[..., Brought]


@pytest.fixture
def data() -> Path:
    """The folder of real recordings."""
    return DATA


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Where a corpus is to be."""
    return tmp_path / "corpus.db"


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Write JSON, or text as it stands, to a file."""

    def write(content: object, name: str = "source.json") -> Path:
        file = tmp_path / name
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return file

    return write


@pytest.fixture
def read() -> Read:
    """The recordings of a file."""

    def run(format: str, file: Path, given: Given = NOTHING) -> list[Recording]:
        return [recording for _, recording in load_format(format).recordings(file, given)]

    return run


@pytest.fixture
def bring_in(corpus: Path) -> BringIn:
    """Import a file into the corpus."""

    def run(format: str, file: Path, given: Given = NOTHING) -> Brought:
        return asyncio.run(bring(load_format(format), file, corpus, given))

    return run


@pytest.fixture
def verdicts(corpus: Path) -> Callable[[], list[Verdict]]:
    """All verdicts beside the corpus."""

    def run() -> list[Verdict]:
        async def ids() -> list[str]:
            async with SqliteCorpus.open_readonly(corpus) as held:
                return [one.id async for one in held.scan(Episode)]

        if not ledger_beside(corpus).is_file():
            return []
        db = connect(ledger_beside(corpus))
        try:
            return [Verdict.model_validate_json(body) for body in bodies_of_episodes(db, asyncio.run(ids()))]
        finally:
            db.close()

    return run


@pytest.fixture
def everything(corpus: Path) -> Callable[[], str]:
    """All that a corpus says to anybody: records, blobs, columns, features, prompts and tasks."""

    async def run() -> str:
        async with SqliteCorpus.open_readonly(corpus) as held:
            found = [record.model_dump_json() async for record in held.arrivals()]
            found += [(await held.blob(digest)).decode() async for digest in held.blob_digests()]
            attempts = [one async for one in held.scan(Attempt)]
            seen = [await seen_of(held, one) for one in attempts]
            for one in seen:
                found += [shown.line for shown in one.shown()]
                found.append(json.dumps(observe([one], NoObserver(), granted=Amounts(), left=Amounts())))
            found += [(await task_of(held, one.task_digest)).model_dump_json() for one in attempts]
            decisions = [one async for one in held.scan(Decision)]
            episodes = [one async for one in held.scan(Episode)]
            for kind, records in zip(KINDS, (attempts, decisions, episodes), strict=True):
                found.append(str(table_of(kind, records).to_pylist()))
            assert all(isinstance(one, Seen) for one in seen)
            return "\n".join(found)

    return lambda: asyncio.run(run())
