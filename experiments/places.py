"""Where a run's files are: its own folder, the corpus that runs of a benchmark share, and whether both can be used."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, Protocol

from experiments.config import dump, merge
from experiments.search_config import SearchConfig
from judges.ledger import VerdictLedger
from judges.manifest import Manifest, freeze
from signatures.errors import StoreError, UsageError

CONFIG: Final = "config.toml"
MANIFEST: Final = "manifest.json"


class NamesCorpus(Protocol):
    """A command's config, as far as it says which corpus it means."""

    @property
    def corpus(self) -> str | None:
        """Path of the corpus; None: the one that all runs of the benchmark share."""


def corpus_path(config: NamesCorpus, root: Path, benchmark: str) -> Path:
    """The corpus that the config names, else the one that all runs of a benchmark below `root` share."""
    return Path(config.corpus) if config.corpus else root / f"corpus-{benchmark}.db"


def ledger_beside(corpus: Path) -> Path:
    """Where the verdicts on a corpus are kept: a file of their own."""
    return corpus.with_suffix(".verdicts.db")


def require_usable(corpus: Path) -> None:
    """Raises UsageError for a corpus, or its ledger, that cannot be read or could not be made. Makes no file."""
    from controllers.corpus import SqliteCorpus

    ledger = ledger_beside(corpus)
    try:
        if _holds_something(corpus):
            SqliteCorpus(corpus).close()  # to write, as the run will: another run may be making the file just now
        if _holds_something(ledger):
            VerdictLedger(ledger).close()
    except StoreError as error:
        raise UsageError(f"this corpus cannot be used: {error}") from error
    require_writable(corpus.parent)


def require_writable(folder: Path) -> None:
    """Raises UsageError where `folder` cannot be written to, or could not be made."""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{folder}: nothing can be written to {there}")


def claim(config: SearchConfig, manifest: Manifest) -> Path:
    """Make the first free folder `<root>/<benchmark>-<engine>-s<seed>-<n>`, with its config and manifest in it.

    It appears whole or not at all, and of several processes each gets one of its own. Raises UsageError.
    """
    root, name = Path(config.root), config.benchmark.replace(":", ".")
    draft = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        draft = Path(mkdtemp(prefix=f".{name}-", dir=root))
        draft.chmod(0o755)
        (draft / CONFIG).write_text(dump(config), encoding="utf-8")
        freeze(draft / MANIFEST, manifest)
        number = 1
        while not _moved(draft, folder := root / f"{name}-{config.engine_name}-s{config.seed}-{number}"):
            number += 1
    except (OSError, StoreError) as error:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)
        raise UsageError(f"{root}: cannot make a run folder: {error}") from error
    return folder


def resumed(run: Path) -> SearchConfig:
    """The config that a run folder was made with. Raises UsageError for what is no run folder."""
    for file in (run / CONFIG, run / MANIFEST):
        if not file.is_file():
            raise UsageError(f"{run}: is no run folder, it has no {file.name}")
    return merge(SearchConfig, run / CONFIG)


def _holds_something(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error}") from error


def _moved(draft: Path, folder: Path) -> bool:
    """Whether `draft` became `folder`, which was not there."""
    if folder.exists():
        return False
    try:
        draft.rename(folder)
    except OSError:
        if folder.exists():  # another process was quicker
            return False
        raise
    return True
