"""What a reader learns from the wordnet tools' results, as text: entries, links both ways, and how far a list goes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from controllers.worlds.wordnet_lexicon import INVERSE, Entry, stem

_LINE: Final = re.compile(r"^([nv]\d{8}) (.+?) \(([a-z]+\.[A-Za-z]+)\): (.*)$", re.MULTILINE)
_NAMED: Final = re.compile(r"^([a-z ]+?) \d+: ((?:[nv]\d{8} .*)+)$", re.MULTILINE)
_LISTED: Final = re.compile(r"^([a-z ]+) of ([nv]\d{8}), \d+ to (\d+) of (\d+):$", re.MULTILINE)
_ID: Final = re.compile(r"[nv]\d{8}")
_ANSWER: Final = re.compile(r"^answer: ([nv]\d{8})$", re.MULTILINE)


class Reader:
    """All that was read in one attempt. It knows nothing but what `learn` was given."""

    def __init__(self) -> None:
        self.known: dict[str, Entry] = {}
        "entries whose gloss was shown, each with the links learnt so far"
        self.answer: str | None = None
        "the answer that `review` showed"
        self._links: dict[str, dict[str, list[str]]] = {}
        self._pages: dict[tuple[str, str], tuple[int, bool]] = {}

    def learn(self, tool: str, text: str) -> list[str]:
        """Keep every entry that a result shows, and every link both ways; the ids of the entries shown, in order."""
        ids = []
        for match in _LINE.finditer(text):
            ids.append(match[1])
            links = self._links.setdefault(match[1], {})
            self.known[match[1]] = Entry(match[1], tuple(match[2].split(", ")), match[4], match[3], links)
        if tool == "open" and ids:
            for match in _NAMED.finditer(text):
                self._link(ids[0], match[1], _ID.findall(match[2]))
        listed = _LISTED.search(text)
        if listed:
            self._link(listed[2], listed[1], ids)
        given = _ANSWER.search(text)
        if given:
            self.answer = given[1]
        return ids

    def linked(self, id: str, relation: str) -> list[str]:
        """The neighbours learnt so far, in the order in which they were."""
        return list(self._links.get(id, {}).get(relation, ()))

    def next_page(self, id: str, relation: str) -> int | None:
        """The page of a list that comes next; None where all of it was read."""
        pages, whole = self._pages.get((id, relation), (0, False))
        return None if whole else pages + 1

    def turned(self, id: str, relation: str, page: int, text: str) -> None:
        """A page of a list was read; a result that lists nothing ends the list."""
        shown = _LISTED.search(text)
        self._pages[id, relation] = (page, shown is None or shown[3] == shown[4])

    def kin(self, word: str, entries: Iterable[str]) -> frozenset[str]:
        """The stems of a word, and of the lemmas of these entries and of their hyponyms that were read."""
        found = [self.known[id] for one in entries for id in (one, *self.linked(one, "hyponym")) if id in self.known]
        return frozenset((stem(word), *(stem(lemma.lower()) for entry in found for lemma in entry.lemmas)))

    def _link(self, id: str, relation: str, others: Iterable[str]) -> None:
        for other in others:
            for one, name, to in ((id, relation, other), (other, INVERSE.get(relation), id)):
                if name is not None:
                    known = self._links.setdefault(one, {}).setdefault(name, [])
                    if to not in known:
                        known.append(to)


def ids_in(text: str) -> list[str]:
    """The synset ids that a text names, in order."""
    return _ID.findall(text)
