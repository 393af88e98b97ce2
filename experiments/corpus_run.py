"""Look into a corpus, and carry it to and from a folder of HF `datasets`.

    python -m experiments.corpus_run ls runs/corpus.db
    python -m experiments.corpus_run show runs/corpus.db 5f0c --trace
    python -m experiments.corpus_run export runs/corpus.db runs/corpus-dataset
    python -m experiments.corpus_run import runs/corpus-dataset runs/other.db

`ls` prints counts, `show` one record by its id or the start of it. PATH may be left out: it is runs/corpus.db.

    runs/corpus.db   1.2 MB on disk
    records          attempts 1,200, decisions 3,600, episodes 400
    outcomes         ok 1,150, timeout 50
    blobs            2,400, 6.1 MB before compression
    search           random@3 200, refine@3 100
    dev              random@3 100
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from experiments.cli import exits, new_app
from signatures.errors import StoreError, UsageError

if TYPE_CHECKING:
    from controllers.corpus import SqliteCorpus
    from controllers.corpus.schema import AnyRecord
    from controllers.corpus.summary import CorpusSummary
    from signatures.records import Attempt

DEFAULT: Final = Path("runs/corpus.db")

PathArgument = Annotated[Path, typer.Argument(metavar="[PATH]", help="The corpus.", show_default=str(DEFAULT))]
app = new_app(help="Look into a corpus, and carry it to and from a folder of datasets.")


@app.command("ls")
def ls_command(path: PathArgument = DEFAULT) -> None:
    """Count records, episodes by split and condition, outcomes and bytes."""
    with exits():
        from controllers.corpus.summary import summarise

        print(summary_text(path, summarise(existing(path))))


@app.command("show")
def show_command(
    first: Annotated[str, typer.Argument(metavar="[PATH]", help="The corpus.", show_default=str(DEFAULT))],
    second: Annotated[str | None, typer.Argument(metavar="ID", help="A record's id, or the start of it.")] = None,
    trace: Annotated[bool, typer.Option(help="Print what happened in the attempt, too.")] = False,
) -> None:
    """Print one record as JSON."""
    with exits():
        path, id = (DEFAULT, first) if second is None else (Path(first), second)
        print(asyncio.run(show(path, id, trace=trace)))


@app.command("export")
def export_command(
    first: Annotated[Path, typer.Argument(metavar="[PATH]", help="The corpus.", show_default=str(DEFAULT))],
    second: Annotated[Path | None, typer.Argument(metavar="DEST", help="The folder to make.")] = None,
) -> None:
    """Write a corpus to a new folder of datasets."""
    with exits():
        path, folder = (DEFAULT, first) if second is None else (first, second)
        asyncio.run(export(path, folder))
        print(f"{path} is exported to {folder}")


@app.command("import")
def import_command(
    folder: Annotated[Path, typer.Argument(metavar="SRC", help="A folder that `export` made.")],
    path: PathArgument = DEFAULT,
) -> None:
    """Append an exported folder to a corpus, which is made where there is none."""
    with exits():
        asyncio.run(import_(folder, path))
        print(f"{folder} is in {path}")
