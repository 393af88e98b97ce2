"""Findings over runs: which were said before, in how many runs on evidence of their own, and what they recommend.

The same correction many times is one missing rule. The file is append-only, one line a run.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from controllers.filelock import hold
from controllers.jsonlog import JsonLog, read_jsonlog
from optimizers.evidence.findings import ORDER, AnalysisFinding
from signatures.digest import canonical_json
from signatures.errors import StoreError
from signatures.records import Record

LEAST_RUNS: Final = 2
"""Runs with evidence of their own from which on a finding is recurrent."""
PATIENCE_S: Final = 10.0
"""Seconds that a run waits for another one's line."""


class Recurrence(Record):
    """A finding, and the runs that showed it. A run notes those that it begins with, so that it can be resumed."""

    finding: AnalysisFinding
    "as the latest run says it"
    runs: tuple[str, ...]
    "one for each evidence of its own, the first that read it"

    @property
    def count(self) -> int:
        """Runs with evidence of their own."""
        return len(self.runs)

    @property
    def evidence(self) -> str:
        """What speaks for it, in one sentence."""
        return f"{self.finding.said}; found in {self.count} runs: {', '.join(self.runs)}"


class Findings:
    """The findings of all runs of one benchmark, in a file.

    A run that reads what another one read adds nothing to a count: neither the same run again, nor under another name,
    nor a second run on the same recorded attempts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, run: str, findings: Sequence[AnalysisFinding]) -> bool:
        """Append what a run found; False where this very line is there. Raises StoreError."""
        rows = sorted((one.model_dump(mode="json") for one in findings), key=lambda row: str(row["id"]))
        entry: dict[str, object] = {"run": run, "findings": rows}
        with self._alone():
            if any(canonical_json(known) == canonical_json(entry) for known in read_jsonlog(self.path)):
                return False
            log = JsonLog(self.path)
            try:
                log.append(entry)
            finally:
                log.close()
        return True

    def recurrent(self, *, least: int = LEAST_RUNS) -> tuple[Recurrence, ...]:
        """The findings of at least so many runs, the most frequent first, then the gravest. Raises StoreError."""
        latest: dict[str, AnalysisFinding] = {}
        runs: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for run, finding in self._read():
            latest[finding.id] = finding
            runs[finding.id].setdefault(finding.basis, run)
        found = [Recurrence(finding=finding, runs=tuple(runs[id].values())) for id, finding in latest.items()]
        kept = [one for one in found if one.count >= least]
        return tuple(sorted(kept, key=lambda one: (-one.count, ORDER.index(one.finding.severity), one.finding.id)))

    def _read(self) -> Iterator[tuple[str, AnalysisFinding]]:
        for number, entry in enumerate(read_jsonlog(self.path), 1):
            try:
                match entry:
                    case {"run": str(run), "findings": list(rows)}:
                        for row in rows:
                            yield run, AnalysisFinding.model_validate_json(canonical_json(row))
                    case _:
                        raise StoreError(f"{self.path}:{number}: not the findings of a run")
            except ValidationError as error:
                raise StoreError(f"{self.path}:{number}: not a finding: {error.errors()[0]['msg']}") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two runs that end at once write one after the other."""
        lock, until = self.path.with_suffix(".lock"), time.monotonic() + PATIENCE_S
        while True:
            try:
                held = hold(lock)
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise StoreError(f"{lock}: another run is writing") from error
                time.sleep(0.05)
            except OSError as error:
                raise StoreError(f"{lock}: {error}") from error
            else:
                break
        try:
            yield
        finally:
            held.close()
