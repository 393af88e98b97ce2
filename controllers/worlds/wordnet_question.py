"""The language of wordnet questions: conditions on a hidden entry, written as a prompt and read back from it.

Whoever has the prompt has the conditions: the worker, the checker and the features read them here. All but `about` can
be checked mechanically on what was read; `about` says in other words what the entry's own gloss speaks of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

from controllers.worlds.wordnet_lexicon import RELATIONS, Entry, stem, stems

Kind = Literal["file", "gloss", "lemma", "names", "about"]
_HEAD: Final = "Find the one WordNet entry (synset) that meets all of these conditions."
_TAIL: Final = "The answer is the entry's id."
_RELATION: Final = "|".join(sorted(RELATIONS.values(), key=len, reverse=True))
_PATH: Final = rf"Some ((?:(?:{_RELATION}) of some )*(?:{_RELATION})) of it"
_PATTERNS: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    ("file", re.compile(r"It is in the lexicographer file ([a-z]+\.[A-Za-z]+)\.")),
    ("gloss", re.compile(_PATH + r' has a gloss with (?:the word |both )("[a-z]+"(?: and "[a-z]+")*)\.')),
    ("lemma", re.compile(_PATH + r' has a lemma that starts with "([a-z]+)"\.')),
    ("names", re.compile(r"It has exactly (\d+) lemmas?\.")),
    ("about", re.compile(r'Its own gloss speaks, in other words, of some kind of "([a-z]+)" or the same as it\.')),
)


class Condition(NamedTuple):
    """One thing that must hold of the entry, or of a neighbour that a path of relations leads to from it."""

    kind: Kind
    words: tuple[str, ...]
    "file: its name; gloss, about: words; lemma: how it starts; names: a number"
    path: tuple[str, ...] = ()
    "relations from the entry to the neighbour, the nearest first"

    @property
    def crisp(self) -> bool:
        """Whether a program can check it by the letter."""
        return self.kind != "about"

    @property
    def terms(self) -> tuple[str, ...]:
        """The words that one may search for."""
        return self.words if self.kind in ("gloss", "about") else ()

    @property
    def text(self) -> str:
        """The condition as a sentence."""
        lead = f"Some {' of some '.join(reversed(self.path))} of it"
        if self.kind == "file":
            return f"It is in the lexicographer file {self.words[0]}."
        if self.kind == "gloss":
            quoted = " and ".join(f'"{word}"' for word in self.words)
            return f"{lead} has a gloss with {'the word' if len(self.words) == 1 else 'both'} {quoted}."
        if self.kind == "lemma":
            return f'{lead} has a lemma that starts with "{self.words[0]}".'
        if self.kind == "names":
            return f"It has exactly {self.words[0]} lemma{'' if self.words[0] == '1' else 's'}."
        return f'Its own gloss speaks, in other words, of some kind of "{self.words[0]}" or the same as it.'

    def true_of(self, entry: Entry) -> bool:
        """Whether it holds of an entry itself, for a condition with a path of the neighbour; `about` never does."""
        if self.kind == "file":
            return entry.file == self.words[0]
        if self.kind == "gloss":
            return {stem(word) for word in self.words} <= stems(entry.gloss)
        if self.kind == "lemma":
            return any(lemma.lower().startswith(self.words[0]) for lemma in entry.lemmas)
        return self.kind == "names" and len(entry.lemmas) == int(self.words[0])


def prompt_of(conditions: Sequence[Condition]) -> str:
    """The question, one numbered condition a line."""
    numbered = [f"{number}. {condition.text}" for number, condition in enumerate(conditions, 1)]
    return "\n".join((_HEAD, *numbered, _TAIL))


def conditions_of(prompt: str) -> tuple[Condition, ...]:
    """The conditions of a prompt in their order; lines that are none are passed over."""
    found = (_condition(re.sub(r"^\d+\. ", "", line)) for line in prompt.splitlines())
    return tuple(condition for condition in found if condition is not None)


def holds(condition: Condition, id: str, look: Callable[[str], Entry | None]) -> bool:
    """Whether a condition holds of `id`, by what `look` tells of entries: None, or an entry with the links known.

    A neighbour is any entry that the path leads to but `id` itself. `about` never holds: no program can tell.
    """
    here = [id]
    for relation in condition.path:
        entries = [entry for one in here if (entry := look(one)) is not None]
        here = list(dict.fromkeys(other for entry in entries for other in entry.links.get(relation, ())))
    reached = [look(one) for one in here if not condition.path or one != id]
    return any(condition.true_of(entry) for entry in reached if entry is not None)


def _condition(text: str) -> Condition | None:
    for kind, pattern in _PATTERNS:
        match = pattern.fullmatch(text.strip())
        if match is not None:
            path = tuple(reversed(match[1].split(" of some "))) if kind in ("gloss", "lemma") else ()
            words = re.findall(r'"([a-z]+)"', match[2]) if kind == "gloss" else [match[match.re.groups]]
            return Condition(kind, tuple(words), path)
    return None
