"""Where a saved controller came from: the search's run folder that it lies in, and what that search had read."""

from __future__ import annotations

from pathlib import Path

from experiments.events import FILE, CandidateScored, SearchStarted, read_events
from experiments.gate.holdout.contenders import CANDIDATES
from experiments.search.learned import read_learned
from signatures.release import Lineage


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
    learned = read_learned(folder)
    return Lineage(
        search_run=folder.name,
        engine=engine,
        name=scored.name,
        generation=scored.generation,
        parents=tuple(scored.tags.get("tiller.parents", "").replace(",", " ").split()),
        learned_from={one.name: one.digest for one in learned.corpora} if learned else {},
    )
