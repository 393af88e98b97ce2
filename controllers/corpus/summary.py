"""What a corpus file holds, in numbers: counted by SQLite, without reading a record."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from controllers.corpus.blobs import BlobFolder
from controllers.corpus.schema import TABLES, connect
from controllers.sqlite import store_errors


@dataclass(frozen=True)
class CorpusSummary:
    """Counts of one corpus at one moment."""

    records: Mapping[str, int]
    "table -> records"
    episodes: Mapping[tuple[str, str], int]
    "(split, condition) -> episodes"
    outcomes: Mapping[str, int]
    "outcome class -> attempts"
    blobs: int
    blob_bytes: int
    "raw, before compression"
    disk_bytes: int
    "the database, its log and the files beside it"


def summarise(path: Path) -> CorpusSummary:
    """Count what the corpus at `path` holds. Raises StoreError."""
    with closing(connect(path, readonly=True)) as db, store_errors(path, "count"):
        db.execute("BEGIN")  # one moment for all counts
        records = {t.name: db.execute(f"SELECT count(*) FROM {t.name}").fetchone()[0] for t in TABLES.values()}
        episodes = db.execute("SELECT split, condition, count(*) FROM episodes GROUP BY 1, 2 ORDER BY 1, 2").fetchall()
        outcomes = db.execute("SELECT outcome, count(*) FROM attempts GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
        blobs, blob_bytes = db.execute("SELECT count(*), coalesce(sum(size), 0) FROM blobs").fetchone()
        return CorpusSummary(
            records=records,
            episodes={(split, condition): count for split, condition, count in episodes},
            outcomes=dict(outcomes),
            blobs=blobs,
            blob_bytes=blob_bytes,
            disk_bytes=_disk_bytes(path),
        )


def _disk_bytes(path: Path) -> int:
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists()) + BlobFolder(path).size()
