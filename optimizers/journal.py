"""The search journal: every proposal and evaluation, written before it is used. Resume is re-execution from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from controllers.jsonlog import JsonLog, read_jsonlog
from optimizers.records import TaskScore
from optimizers.score_columns import Columns, columns_of, plain
from signatures.digest import canonical_json, digest_of
from signatures.errors import StoreError, UsageError
from signatures.records import Cost, Failure, Record


class Proposal(Record):
    """One new component text, and what in the records speaks for it."""

    text: str
    evidence: str
    proposer: str
    hypothesis: str = ""
    "one sentence: what the change is expected to do"


class Proposed(Record):
    """What a proposer answered, and what asking cost. None: the records spoke for no change."""

    proposal: Proposal | None
    cost: Cost = Cost()
    failure: Failure | None = None
    "set where the proposer could not be asked"


class Journal:
    """Answers from what an earlier execution of the same search wrote, and appends what is new.

    One writer. `require_same` ties the file to one search: a journal of another config is refused.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._scores: dict[str, TaskScore] = {}
        self._walls: dict[str, float] = {}
        self._proposals: dict[str, Proposed] = {}
        self._search: str | None = None
        for number, entry in enumerate(read_jsonlog(path), 1):
            self._load(number, entry)
        self._log = JsonLog(path)

    def require_same(self, search: str) -> None:
        """Tie the journal to the search with that digest. Raises UsageError if it belongs to another one."""
        if self._search is None:
            self._log.append({"search": search})
            self._search = search
        elif self._search != search:
            raise UsageError(f"{self.path}: belongs to another search (config, seed, tasks or corpus changed)")

    def part(self, name: str) -> JournalPart:
        """The part of one engine: equal keys of two parts are two entries."""
        return JournalPart(self, name)

    def score(self, key: str) -> TaskScore | None:
        """The recorded score of that key, if any."""
        return self._scores.get(key)

    def wall(self, key: str) -> float | None:
        """Seconds that the search had taken when the entry of that key was written, where it was timed."""
        return self._walls.get(key)

    def write_scores(self, scored: Mapping[str, TaskScore], *, wall_s: float | None = None) -> None:
        """Make scores durable by key, in one write."""
        if scored:
            plainly = {key: score for key, score in scored.items() if plain(key, score)}
            rows = [[key, one.model_dump(mode="json")] for key, one in scored.items() if key not in plainly]
            columns = {"columns": columns_of(plainly)} if plainly else {}
            self._log.append({"scores": rows, **columns, **_timed(wall_s)})
            self._scores.update(scored)

    def proposal(self, key: str) -> Proposed | None:
        """The recorded proposal of that key, if any."""
        return self._proposals.get(key)

    def write_proposal(self, key: str, proposal: Proposed, *, wall_s: float | None = None) -> None:
        """Make a proposal durable."""
        self._log.append({"proposal": [key, proposal.model_dump(mode="json")], **_timed(wall_s)})
        self._proposals[key] = proposal

    def close(self) -> None:
        """Close the file."""
        self._log.close()

    def _load(self, number: int, entry: dict[str, object]) -> None:
        wall = entry.get("wall")
        try:
            match entry:
                case {"search": str(search)}:
                    self._search = search
                case {"scores": list(rows)}:
                    found = {key: TaskScore.model_validate_json(canonical_json(body)) for key, body in rows}
                    for columns in entry.get("columns", ()):  # type: ignore[attr-defined]  # checked by the record
                        found |= Columns.model_validate_json(canonical_json(columns)).scores()
                    self._scores |= found
                    for key in found:
                        self._time(key, wall)
                case {"proposal": [str(key), dict(body)]}:
                    self._proposals[key] = Proposed.model_validate_json(canonical_json(body))
                    self._time(key, wall)
                case _:
                    raise StoreError(f"{self.path}:{number}: not an entry of a search journal")
        except (ValidationError, ValueError, TypeError) as error:
            raise StoreError(f"{self.path}:{number}: not an entry of a search journal: {error}") from error

    def _time(self, key: str, wall: object) -> None:
        if isinstance(wall, int | float):
            self._walls[key] = float(wall)


class JournalPart:
    """One engine's view of a journal."""

    def __init__(self, journal: Journal, name: str) -> None:
        self.name = name
        self._journal = journal

    def score(self, key: str) -> TaskScore | None:
        """The recorded score of that key, if any."""
        return self._journal.score(f"{self.name}/{key}")

    def wall(self, key: str) -> float | None:
        """Seconds that the search had taken when the entry of that key was written, where it was timed."""
        return self._journal.wall(f"{self.name}/{key}")

    def write_scores(self, scored: Mapping[str, TaskScore], *, wall_s: float | None = None) -> None:
        """Make scores durable by key, in one write; `wall_s`, what the search has taken by now, with them."""
        self._journal.write_scores({f"{self.name}/{key}": score for key, score in scored.items()}, wall_s=wall_s)

    def proposal(self, key: str) -> Proposed | None:
        """The recorded proposal of that key, if any."""
        return self._journal.proposal(f"{self.name}/{key}")

    def write_proposal(self, key: str, proposal: Proposed, *, wall_s: float | None = None) -> None:
        """Make a proposal durable."""
        self._journal.write_proposal(f"{self.name}/{key}", proposal, wall_s=wall_s)


def _timed(wall_s: float | None) -> dict[str, float]:
    return {} if wall_s is None else {"wall": round(wall_s, 3)}


def request_key(candidate: str, seed: int, split: str, revision: str) -> str:
    """What the cache keys of one evaluation begin with: candidate, seed, split and the revision of what scores it.

    The key of one of its scores is this, `/` and the task's digest.
    """
    return digest_of("score", candidate, seed, split, revision)
