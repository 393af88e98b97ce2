"""Where a saved controller came from: the search's run folder that it lies in, and what that search had read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from experiments.events import FILE, CandidateScored, SearchStarted, read_events
from experiments.gate.holdout.contenders import CANDIDATES
from experiments.whole_file import read_whole
from signatures.digest import digest_of
from signatures.errors import StoreError
from signatures.release import Lineage

LEARNED: Final = "learned.json"
"""In a run folder: what a search that learns from everything has read."""


def lineage_of(file: Path, candidate: str) -> Lineage:
    """The lineage of the controller saved in `file`, whose candidate digest is `candidate`.

    The search's log is asked for the digest, not for the file's name, so that a renamed or replaced file gets no
    generation that is not its own. A file outside a run folder has a name and nothing else. Raises StoreError.
    """
    folder = file.absolute().parent.parent
    log = folder / FILE
    if file.absolute().parent.name != CANDIDATES or not log.is_file():
        return Lineage(name=file.stem)
    engine, scored = None, None
    for event in read_events(log):
        match event.body:
            case SearchStarted(engine=name):
                engine = name
            case CandidateScored(role="candidate", digest=digest) as found if digest == candidate:
                scored = scored or found
            case _:
                pass
    if scored is None:
        return Lineage(name=file.stem)
    return Lineage(
        search_run=folder.name,
        engine=engine,
        name=scored.name,
        generation=scored.generation,
        parents=tuple(scored.tags.get("tiller.parents", "").replace(",", " ").split()),
        learned_from=learned_from(folder / LEARNED),
    )


def learned_from(file: Path) -> Mapping[str, str]:
    """Corpus -> digest of what was read of it; empty where the search had read none but its own. Raises StoreError."""
    text = read_whole(file)
    if text is None:
        return {}
    try:
        body = json.loads(text)
        read = {str(one["corpus"]): digest_of(one) for one in body["corpora"]}
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{file}: does not say what was read: {error!r}") from error
    return read
