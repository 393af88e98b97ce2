"""The wordnet world: search, open and follow relations in WordNet; the state is what was read, notes and the answer.

The lexicon is the same for every task, so a session needs no task; which entry is right, the judge alone knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from controllers.worlds import ToolSpec
from controllers.worlds.wordnet_lexicon import FILES, RELATIONS, Entry, Lexicon, default_folder
from signatures.errors import UsageError
from signatures.records import Record

HITS: Final = 5
"""Entries that a search shows."""
NAMED: Final = 8
"""Neighbours of each relation that `open` names."""
PAGE: Final = 8
"""Neighbours that a page of `hop` shows."""
REVIEWED: Final = 24
"""Entries that `review` shows, the latest last."""
WORDS: Final = 200
NOTE: Final = 500
NOTES: Final = 20
"""Characters of a search and of a note, and notes that are kept: a snapshot stays small."""


class Reading(Record):
    """The state of a session, as its snapshot holds it."""

    answer: str | None = None
    "the synset that was answered last"
    visited: tuple[str, ...] = ()
    "synsets that were opened or whose neighbours were listed, in order of their first visit"
    read: tuple[str, ...] = ()
    "synsets whose gloss was shown, in order"
    notes: tuple[str, ...] = Field(default=(), max_length=NOTES)

    @classmethod
    def of(cls, snapshot: str) -> Reading:
        """The state of a snapshot. Raises UsageError where it is none."""
        try:
            return cls.model_validate_json(snapshot)
        except ValidationError as error:
            raise UsageError("not a snapshot of the wordnet world") from error

    def look(self, lexicon: Lexicon, id: str) -> Entry | None:
        """What is known of an entry: None before its gloss was shown, its links only where it was visited."""
        if id not in self.read or id not in lexicon:
            return None
        entry = lexicon.entry(id)
        return entry if id in self.visited else entry._replace(links={})


class WordnetSession:
    """One attempt's reading."""

    def __init__(self, lexicon: Lexicon, reading: Reading) -> None:
        self._lexicon, self._answer = lexicon, reading.answer
        self._visited, self._read = dict.fromkeys(reading.visited), dict.fromkeys(reading.read)
        self._notes = list(reading.notes)

    def call(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        """Run one tool: (what came back, whether it failed). A bad call fails, it never raises."""
        tools = {
            "search": self._search,
            "open": self._open,
            "hop": self._hop,
            "note": self._note,
            "review": self._review,
            "answer": self._give,
        }
        if tool not in tools:
            return f"Error: there is no tool {tool!r}", True
        try:
            return tools[tool](_Given(tool, arguments)), False
        except UsageError as error:
            return f"Error: {error}", True

    def snapshot(self) -> str:
        """The state as text: equal states give equal text."""
        return Reading(
            answer=self._answer, visited=tuple(self._visited), read=tuple(self._read), notes=tuple(self._notes)
        ).model_dump_json()

    def _search(self, given: _Given) -> str:
        file = given.text("file", WORDS) if given.has("file") else None
        if file is not None and file not in FILES:
            raise UsageError(f"there is no lexicographer file {file!r}")
        found = self._lexicon.search(given.text("words", WORDS), most=HITS, file=file)
        return self._shown(found) if found else "nothing found"

    def _open(self, given: _Given) -> str:
        entry = self._lexicon.entry(given.text("synset", WORDS))
        self._visited.setdefault(entry.id)
        lines = [self._shown([entry])]
        for relation, ids in entry.links.items():
            named = "; ".join(f"{id} {self._lexicon.entry(id).lemmas[0]}" for id in ids[:NAMED])
            more = f"; {len(ids) - NAMED} more by hop" if len(ids) > NAMED else ""
            lines.append(f"{relation} {len(ids)}: {named}{more}")
        return "\n".join(lines)

    def _hop(self, given: _Given) -> str:
        entry, relation = self._lexicon.entry(given.text("synset", WORDS)), given.text("relation", WORDS)
        page = given.number("page", 1)
        ids = entry.links.get(relation, ())
        if relation not in RELATIONS.values():
            raise UsageError(f"there is no relation {relation!r}; there are {', '.join(RELATIONS.values())}")
        self._visited.setdefault(entry.id)
        first = PAGE * (page - 1)
        shown = ids[first : first + PAGE]
        if not shown:
            return f"{entry.id} has no {relation}" + (f" on page {page}" if ids else "")
        lead = f"{relation} of {entry.id}, {first + 1} to {first + len(shown)} of {len(ids)}:"
        return f"{lead}\n{self._shown(self._lexicon.entry(id) for id in shown)}"

    def _note(self, given: _Given) -> str:
        if len(self._notes) == NOTES:
            raise UsageError(f"there are {NOTES} notes already")
        self._notes.append(given.text("text", NOTE))
        return "noted"

    def _review(self, given: _Given) -> str:
        entries = [self._lexicon.entry(id).line for id in list(self._visited)[-REVIEWED:] if id in self._read]
        answer = "none" if self._answer is None else self._answer
        return "\n".join((f"answer: {answer}", *(f"note: {note}" for note in self._notes), "opened:", *entries))

    def _give(self, given: _Given) -> str:
        self._answer = self._lexicon.entry(given.text("synset", WORDS)).id
        return f"the answer is now {self._answer}"

    def _shown(self, entries: Iterable[Entry]) -> str:
        lines = []
        for entry in entries:
            self._read.setdefault(entry.id)
            lines.append(entry.line)
        return "\n".join(lines)


class _Given:
    """The arguments of a call, checked as they are taken."""

    def __init__(self, tool: str, arguments: Mapping[str, object]) -> None:
        self._tool, self._arguments = tool, arguments
        unknown = sorted(set(arguments) - _ARGUMENTS[tool])
        if unknown:
            raise UsageError(f"{tool} takes no argument {unknown[0]!r}")

    def has(self, name: str) -> bool:
        return self._arguments.get(name) is not None

    def text(self, name: str, most: int) -> str:
        value = self._arguments.get(name)
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"{self._tool} needs the text {name!r}")
        if len(value) > most:
            raise UsageError(f"{self._tool}: {name!r} may have {most} characters")
        return value.strip().encode("utf-8", "replace").decode("utf-8")  # a lone surrogate fits in no snapshot

    def number(self, name: str, default: int) -> int:
        value = self._arguments.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1000:
            raise UsageError(f"{self._tool}: {name!r} must be a whole number from 1 to 1000")
        return value


def _spec(
    name: str, description: str, required: Mapping[str, str], optional: Mapping[str, str] | None = None
) -> ToolSpec:
    properties = {one: {"type": kind} for one, kind in {**required, **(optional or {})}.items()}
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return ToolSpec(name=name, description=description, parameters_json=json.dumps(schema))


TOOLS: Final = (
    _spec(
        "search",
        f"The {HITS} entries whose lemmas and gloss share the rarest words with these, of one lexicographer file only "
        "where it is given.",
        {"words": "string"},
        {"file": "string"},
    ),
    _spec("open", "An entry by its id: lemmas, file, gloss, and its neighbours by relation.", {"synset": "string"}),
    _spec(
        "hop",
        f"The neighbours of an entry along one relation with their glosses, {PAGE} a page. Relations: hypernym, "
        "hyponym, part meronym, and others that open names.",
        {"synset": "string", "relation": "string"},
        {"page": "integer"},
    ),
    _spec("note", "Keeps a note for later.", {"text": "string"}),
    _spec("review", "The answer so far, the notes, and the entries that were opened.", {}),
    _spec("answer", "Gives the answer: the id of an entry. The last one counts.", {"synset": "string"}),
)
_ARGUMENTS: Final = {spec.name: frozenset(json.loads(spec.parameters_json)["properties"]) for spec in TOOLS}


class WordnetWorld:
    """Opens sessions on one lexicon, read at first use. Sessions share nothing that changes.

    `folder`: where WordNet's data files are; None: where Debian puts them. Raises UsageError where they are absent.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = default_folder() if folder is None else folder

    @cached_property
    def lexicon(self) -> Lexicon:
        """The lexicon of the folder."""
        return Lexicon(self._folder)

    def session(self, task_digest: str, start: str | None) -> WordnetSession:
        """A session from the snapshot `start`, or with nothing read. UsageError for a snapshot of something else."""
        return WordnetSession(self.lexicon, Reading() if start is None else self._known(Reading.of(start)))

    def tools(self) -> tuple[ToolSpec, ...]:
        """The six tools."""
        return TOOLS

    def _known(self, reading: Reading) -> Reading:
        """The reading, if all that it names is in this lexicon. Raises UsageError."""
        for id in (*reading.visited, *reading.read, *([reading.answer] if reading.answer else [])):
            if id not in self.lexicon:
                raise UsageError(f"not a snapshot of this WordNet: it has no synset {id!r}")
        return reading
