"""WordNet's nouns and verbs, read from its own `data` files: entries, their relations, and search over their words.

Source: G. A. Miller, WordNet: A Lexical Database for English, CACM 38(11), 1995; file format: wndb(5WN), WordNet 3.0.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from signatures.digest import digest_bytes
from signatures.errors import UsageError

MISSING: Final = (
    "benchmark wordnet needs WordNet's files data.noun and data.verb: install Debian's wordnet-base"
    " (`apt-get install wordnet-base`), or name their folder with options.folder=PATH"
)
DEBIAN: Final = Path("/usr/share/wordnet")
PARTS: Final = ("noun", "verb")
RELATIONS: Final[Mapping[str, str]] = {
    "@": "hypernym",
    "@i": "instance hypernym",
    "~": "hyponym",
    "~i": "instance hyponym",
    "#m": "member holonym",
    "#s": "substance holonym",
    "#p": "part holonym",
    "%m": "member meronym",
    "%s": "substance meronym",
    "%p": "part meronym",
    "*": "entailment",
    ">": "cause",
}
"""WordNet's pointer symbol -> the relation's name; other pointers, and those between words, are left out."""
_BACK: Final = {
    "hypernym": "hyponym",
    "instance hypernym": "instance hyponym",
    "member holonym": "member meronym",
    "substance holonym": "substance meronym",
    "part holonym": "part meronym",
}
INVERSE: Final[Mapping[str, str]] = _BACK | {after: before for before, after in _BACK.items()}
"""Relation -> the one that leads back; entailment and cause have none."""
_NOUNS: Final = """Tops act animal artifact attribute body cognition communication event feeling food group location
motive object person phenomenon plant possession process quantity relation shape state substance time"""
_VERBS: Final = """body change cognition communication competition consumption contact creation emotion motion
perception possession social stative weather"""
FILES: Final = (*(f"noun.{name}" for name in _NOUNS.split()), *(f"verb.{name}" for name in _VERBS.split()))
"""The lexicographer files of nouns and verbs in WordNet's order, the first of which is file 3."""
_FIRST_FILE: Final = 3
_WORD: Final = re.compile(r"[a-z]{2,}")
_ENDINGS: Final = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""), ("e", ""))
_KEPT: Final = 3
"""A stem has at least that many letters."""


class Entry(NamedTuple):
    """One synset as a reader sees it."""

    id: str
    lemmas: tuple[str, ...]
    gloss: str
    "the definition, without examples"
    file: str
    "the lexicographer file, such as noun.animal"
    links: Mapping[str, Sequence[str]]
    "relation -> ids of neighbours, in WordNet's order"

    @property
    def line(self) -> str:
        """The entry in a line: id, lemmas, file and gloss."""
        return f"{self.id} {', '.join(self.lemmas)} ({self.file}): {self.gloss}"


@lru_cache(maxsize=1 << 17)
def stem(word: str) -> str:
    """A word without its commonest English ending: crude, the same for index, questions and checks."""
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= _KEPT:
            return word[: len(word) - len(ending)] + instead
    return word


@lru_cache(maxsize=1 << 14)
def stems(text: str) -> frozenset[str]:
    """The stems of all words of two letters or more."""
    return frozenset(map(stem, _WORD.findall(text.lower())))


class Lexicon:
    """All nouns and verbs of a folder. Reading takes about a second; search builds its index at first use.

    Raises UsageError where a file is absent or is not in WordNet's format.
    """

    def __init__(self, folder: Path) -> None:
        self._lines: dict[str, str] = {}
        self._entries: dict[str, Entry] = {}
        self._of_stem: dict[str, list[str]] = {}
        read = []
        for part in PARTS:
            try:
                data = (folder / f"data.{part}").read_bytes()
            except OSError as error:
                raise UsageError(MISSING) from error
            read.append(digest_bytes(data))
            for line in data.decode("latin-1").splitlines():
                if not line.startswith(" "):  # the licence stands in front, indented
                    self._lines[part[0] + line[:8]] = line
        self.release = f"WordNet data {'-'.join(digest[:8] for digest in read)}"

    def __contains__(self, id: object) -> bool:
        return id in self._lines

    @property
    def ids(self) -> Sequence[str]:
        """All synset ids, nouns first, in WordNet's order."""
        return tuple(self._lines)

    def entry(self, id: str) -> Entry:
        """The entry of a synset. Raises UsageError for an unknown id or a line that is not in WordNet's format."""
        if id not in self._entries:
            line = self._lines.get(id)
            if line is None:
                raise UsageError(f"WordNet has no synset {id!r}")
            try:
                self._entries[id] = _parsed(id, line)
            except (ValueError, IndexError) as error:
                raise UsageError(f"not a line of WordNet's data files: {line[:40]!r}") from error
        return self._entries[id]

    def in_file(self, file: str) -> list[str]:
        """The ids of a lexicographer file, in WordNet's order."""
        number = _number(file)
        return [id for id, line in self._lines.items() if line[9:11] == number]

    def neighbours(self, id: str, path: Sequence[str]) -> list[str]:
        """The ids that a path of relations leads to, each once, without `id` itself."""
        here = [id]
        for relation in path:
            here = list(dict.fromkeys(other for one in here for other in self.entry(one).links.get(relation, ())))
        return [other for other in here if other != id]

    def with_stem(self, word: str) -> Sequence[str]:
        """The ids whose lemmas or gloss have a word with that word's stem, in WordNet's order."""
        wanted = stem(word.lower())
        if wanted not in self._of_stem:
            words = self._stemmed.get(wanted, ())
            self._of_stem[wanted] = sorted({id for one in words for id in self._postings[one]})
        return self._of_stem[wanted]

    def of_lemma(self, lemma: str) -> Sequence[str]:
        """The ids that have that lemma, in lower case, in WordNet's order."""
        return self._of_lemma.get(lemma, [])

    def search(self, words: str, *, most: int = 5, file: str | None = None) -> list[Entry]:
        """The entries that share the rarest words with `words`, by the sum of inverse document frequencies.

        A lemma that is one of the words, or all of them, counts 1 more; of equals the shorter gloss is first.
        `file`: entries of that lexicographer file alone.
        """
        scores: defaultdict[str, float] = defaultdict(float)
        for found in sorted(stems(words)):
            hits = self.with_stem(found)
            weight = math.log(1 + len(self._lines) / (1 + len(hits)))
            for id in hits:
                scores[id] += weight
        for word in sorted({words.lower().strip(), *words.lower().split()}):
            for id in self.of_lemma(word):
                scores[id] += 1.0
        number = _number(file)
        wanted = [id for id in scores if not file or self._lines[id][9:11] == number]
        best = heapq.nsmallest(most, wanted, key=lambda id: (-scores[id], self._gloss_size(id), id))
        return [self.entry(id) for id in best]

    def _gloss_size(self, id: str) -> int:
        line = self._lines[id]
        return len(line) - line.find(" | ")

    @cached_property
    def _postings(self) -> Mapping[str, list[str]]:
        """Word -> ids. A head holds no word but the lemmas: all else in it is digits and single letters."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        words = _WORD.findall
        for id, line in self._lines.items():
            for word in set(words(line.partition('; "')[0].lower())):
                found[word].append(id)
        return found

    @cached_property
    def _of_lemma(self) -> Mapping[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for id, line in self._lines.items():
            fields = line.partition(" | ")[0].lower().split(" ")
            for lemma in fields[4 : 4 + 2 * int(fields[3], 16) : 2]:
                found[lemma.replace("_", " ")].append(id)
        return found

    @cached_property
    def _stemmed(self) -> Mapping[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for word in self._postings:
            found[stem(word)].append(word)
        return found


def default_folder() -> Path:
    """Where Debian puts WordNet. Raises UsageError where it is absent."""
    if not (DEBIAN / "data.noun").is_file():
        raise UsageError(MISSING)
    return DEBIAN


def _parsed(id: str, line: str) -> Entry:
    """Offset, file, kind, words in hex, words with their number, pointers, then the gloss."""
    head, _, gloss = line.partition(" | ")
    fields = head.split(" ")
    lemmas = _lemmas(fields)
    at = 4 + 2 * int(fields[3], 16)
    links: dict[str, dict[str, None]] = {}
    for n in range(int(fields[at])):
        symbol, offset, kind, between = fields[at + 1 + 4 * n : at + 5 + 4 * n]
        if symbol in RELATIONS and between == "0000":
            links.setdefault(RELATIONS[symbol], {})[kind + offset] = None
    file = FILES[int(fields[1]) - _FIRST_FILE]
    return Entry(id, lemmas, _definition(gloss), file, {name: tuple(ids) for name, ids in links.items()})


def _number(file: str | None) -> str:
    """A lexicographer file's two digits; none where there is no such file."""
    return f"{FILES.index(file) + _FIRST_FILE:02d}" if file in FILES else ""


def _lemmas(fields: Sequence[str]) -> tuple[str, ...]:
    count = int(fields[3], 16)
    return tuple(lemma.replace("_", " ") for lemma in fields[4 : 4 + 2 * count : 2])


def _definition(gloss: str) -> str:
    """The gloss up to its first example."""
    return gloss.partition('; "')[0].strip()
