"""What a wordnet tool record shows: words searched, entries read, ways taken; and the actions that point elsewhere.

All of it comes from traces, checker results and the question, so it is the same in a simulation and in production.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from controllers.history import Seen
from controllers.observe import lineage
from controllers.worlds.wordnet_lexicon import stem, stems
from controllers.worlds.wordnet_question import Condition, conditions_of
from signatures.errors import UsageError
from signatures.records import Directive, TraceEvent

BENCHMARK: Final = "wordnet"
DIRECTIVES: Final = (
    Directive(action="broaden", text="Climb: list the hypernyms of what you found, and theirs."),
    Directive(action="narrow", text="Go down: list the hyponyms of what you found."),
    Directive(action="siblings", text="List the siblings of the last answer: the hyponyms of its hypernym."),
    Directive(action="reword", text="Search again with words that were not searched yet."),
    Directive(action="meaning", text="Look up the word of the last condition and compare its kinds with each gloss."),
    Directive(action="verify", text="Verify the last answer: open it and its neighbours, condition by condition."),
    Directive(action="untried", text="Begin with a condition that was not looked at yet."),
    Directive(action="restart", text="Drop the last answer and start again from another condition."),
)
_TEXT_OF: Final = {directive.action: directive.text for directive in DIRECTIVES}
_ID: Final = re.compile(r"\b[nv]\d{8}\b")


class Looked(NamedTuple):
    """What the tool calls of some attempts looked at."""

    searched: frozenset[str]
    "stems of the words searched"
    opened: frozenset[str]
    hopped: frozenset[tuple[str, str]]
    "synset and relation"
    read: frozenset[str]
    "synsets that some result named"
    answers: tuple[str, ...]


def looked(traces: Sequence[Sequence[TraceEvent]]) -> Looked:
    """All that the calls in these traces looked at; failed ones show nothing."""
    searched, opened, hopped, read, answers = set[str](), set[str](), set[tuple[str, str]](), set[str](), []
    for event in (event for trace in traces for event in trace if event.kind == "tool" and not event.failed):
        given = _given(event)
        read.update(_ID.findall(event.text))
        if event.name == "search":
            searched |= stems(given.get("words", ""))
        elif event.name == "open":
            opened.add(given.get("synset", ""))
        elif event.name == "hop":
            hopped.add((given.get("synset", ""), given.get("relation", "")))
        elif event.name == "answer":
            answers.append(given.get("synset", ""))
    return Looked(frozenset(searched), frozenset(opened), frozenset(hopped), frozenset(read), tuple(answers))


def features(history: Sequence[Seen], prompt: str) -> dict[str, float]:
    """Wordnet's own observation features; those of the last attempt are absent before there is one.

    name                        meaning (in the lineage of the last attempt)
    wordnet.opened              entries opened
    wordnet.read                entries that some result named
    wordnet.searches            words searched
    wordnet.unsearched          conditions none of whose words was searched
    wordnet.climbed             whether hypernyms were listed
    wordnet.descended           whether hyponyms were listed
    wordnet.siblings            whether the siblings of the last answer were listed
    wordnet.meaning             whether the word of the last condition was searched
    wordnet.answers             different answers given
    wordnet.answered            whether the last attempt answered
    wordnet.opened_answer       whether its answer was opened
    wordnet.same_answer         whether it answered as its parent did
    """
    if not history:
        return {}
    chain = lineage(history, history[-1].attempt.id)
    seen, last = looked([one.trace for one in chain]), looked([history[-1].trace])
    before = looked([one.trace for one in chain[:-1]])
    relations = {relation for _, relation in seen.hopped}
    conditions = conditions_of(prompt)
    counts = {
        "opened": len(seen.opened),
        "read": len(seen.read),
        "searches": len(seen.searched),
        "climbed": "hypernym" in relations,
        "descended": "hyponym" in relations,
        "siblings": bool(seen.answers) and _siblings_listed(seen.answers[-1], chain),
        "answers": len(set(seen.answers)),
        "answered": bool(last.answers),
        "opened_answer": bool(last.answers) and last.answers[-1] in seen.opened,
        "same_answer": bool(last.answers) and last.answers[-1:] == before.answers[-1:],
    }
    if conditions:
        unsearched = _unsearched(conditions, seen)
        counts["unsearched"] = len(unsearched)
        counts["meaning"] = not any(condition.kind == "about" for _, condition in unsearched)
    return {f"{BENCHMARK}.{name}": float(count) for name, count in counts.items()}


def untried(history: Sequence[Seen], prompt: str) -> dict[str, bool]:
    """For each action that points somewhere: whether the lineage of the last attempt has not looked there yet.

    `siblings` and `verify` point at the last answer, so they are tried where there is none; `restart` points nowhere.
    """
    chain = lineage(history, history[-1].attempt.id) if history else []
    seen = looked([one.trace for one in chain])
    relations = {relation for _, relation in seen.hopped}
    unsearched = _unsearched(conditions_of(prompt), seen)
    answer = seen.answers[-1] if seen.answers else None
    return {
        "broaden": "hypernym" not in relations,
        "narrow": "hyponym" not in relations,
        "siblings": answer is not None and not _siblings_listed(answer, chain),
        "reword": not seen.searched or any(condition.kind == "gloss" for _, condition in unsearched),
        "meaning": not chain or any(condition.kind == "about" for _, condition in unsearched),
        "verify": answer is not None and answer not in seen.opened,
        "untried": not chain or bool(unsearched),
    }


def directive_text(action: str, history: Sequence[Seen], prompt: str) -> str:
    """The text of an action after these attempts: what it points at is named where the record says it.

    Raises UsageError for an action that is not in the table.
    """
    if action not in _TEXT_OF:
        raise UsageError(f"wordnet has no directive {action!r}; it has {', '.join(_TEXT_OF)}")
    if not history:
        return _TEXT_OF[action]
    seen = looked([one.trace for one in lineage(history, history[-1].attempt.id)])
    conditions = conditions_of(prompt)
    unsearched = _unsearched(conditions, seen)
    answer = seen.answers[-1] if seen.answers else None
    words = [word for _, condition in unsearched if condition.kind == "gloss" for word in condition.words]
    about = next((condition.words[0] for condition in conditions if condition.kind == "about"), None)
    if action == "siblings" and answer:
        return f"List the siblings of the last answer: the hyponyms of the hypernym of {answer}."
    if action == "verify" and answer:
        return f"Verify the last answer: open {answer} and its neighbours, condition by condition."
    if action == "restart" and answer:
        return f"Drop the answer {answer} and start again from another condition."
    if action == "reword" and words:
        return f"Search again with words that were not searched yet: {', '.join(words)}."
    if action == "meaning" and about:
        return f'Look up the word "{about}" of the last condition and compare its kinds with each gloss.'
    if action == "untried" and unsearched:
        return f"Begin with condition {', '.join(str(number) for number, _ in unsearched)}: not looked at yet."
    return _TEXT_OF[action]


def _given(event: TraceEvent) -> dict[str, str]:
    try:
        found = json.loads(event.arguments or "{}")
    except ValueError:
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def _unsearched(conditions: Sequence[Condition], seen: Looked) -> list[tuple[int, Condition]]:
    """The conditions with words to search for none of which was searched, with their numbers."""
    return [
        (number, condition)
        for number, condition in enumerate(conditions, 1)
        if condition.terms and not {stem(word) for word in condition.terms} & seen.searched
    ]


def _siblings_listed(answer: str, chain: Sequence[Seen]) -> bool:
    """Whether the hyponyms of an entry were listed and the answer was among them."""
    return any(
        event.name == "hop" and _given(event).get("relation") == "hyponym" and answer in event.text
        for one in chain
        for event in one.trace
    )
