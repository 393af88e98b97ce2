"""The findings of a run: what its train tasks show, what earlier runs found again and again, and what recurs now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from experiments.search.engines import actions_of
from experiments.search_config import SearchConfig
from experiments.whole_file import read_whole, write_whole
from experiments.wiring import Wired
from optimizers.evidence.analysis import analyse
from optimizers.evidence.findings import AnalysisFinding
from optimizers.evidence.recurring import Findings, Recurrence
from optimizers.replay.tree import TreeReplay
from signatures.errors import StoreError

BEFORE: Final = "recurrent.json"
"""Kept in the run folder of a run that learns from others: what recurred when it began."""
FOUND: Final = "findings.json"
"""Kept in the run folder: what the run found, and of that what other runs found on evidence of their own as well."""
MOST_SAID: Final = 3
"""Recurrent findings that the run's last lines name; the file has them all."""
_RECURRENT: Final = TypeAdapter(tuple[Recurrence, ...])


class Kept(NamedTuple):
    """What became of a run's findings."""

    found: int
    recurrent: tuple[Recurrence, ...]
    "of the run's own findings, those of more than one run"

    @property
    def lines(self) -> list[str]:
        """For whoever watches."""
        said = f"findings on train tasks: {self.found}, {len(self.recurrent)} of them in other runs as well"
        return [f"{said} ({FOUND})", *(f"  {one.evidence}" for one in self.recurrent[:MOST_SAID])]


def findings_file(folder: Path, benchmark: str) -> Path:
    """Where all runs of the benchmark beside this one keep what they find."""
    return folder.parent / f"findings-{benchmark}.jsonl"


def found_in(config: SearchConfig, parts: Wired, replay: TreeReplay) -> tuple[AnalysisFinding, ...]:
    """What the recorded trees of the train tasks show, the gravest first; no verdict is read."""
    train = [task.digest for task in parts.splits.train]
    return analyse(
        [move for digest in train for move in replay.moves(digest)],
        benchmark=parts.benchmark.id,
        actions=actions_of(parts.actions, config.attempts),
        histories={digest: replay.trees[digest].history for digest in train if digest in replay.trees},
    )


def recurrent_before(config: SearchConfig, folder: Path, benchmark: str) -> tuple[Recurrence, ...]:
    """What recurred when the run began, for one that learns from others (`learn_from`); none for any other.

    A resumed run is told what it was told. Raises StoreError.
    """
    if config.learn_from is None:
        return ()
    return _kept(folder / BEFORE, lambda: Findings(findings_file(folder, benchmark)).recurrent())


def keep(folder: Path, benchmark: str, found: tuple[AnalysisFinding, ...]) -> Kept:
    """Add the run's findings to those of all runs; which of them recur, as the run saw it first. Raises StoreError."""
    findings, own = Findings(findings_file(folder, benchmark)), {one.id for one in found}
    findings.add(folder.name, found)
    recurrent = _kept(folder / FOUND, lambda: tuple(r for r in findings.recurrent(least=1) if r.finding.id in own))
    return Kept(len(own), tuple(one for one in recurrent if one.count > 1))


def _kept(path: Path, read: Callable[[], tuple[Recurrence, ...]]) -> tuple[Recurrence, ...]:
    text = read_whole(path)
    if text is None:
        text = _RECURRENT.dump_json(read(), indent=1).decode() + "\n"
        write_whole(path, text)
    try:
        return _RECURRENT.validate_json(text)
    except ValidationError as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
