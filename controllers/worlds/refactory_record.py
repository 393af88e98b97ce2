"""What a refactory attempt shows: which kinds of change were tried, and how the visible tests fail.

All of it comes from traces and checker results, so it is the same in a simulation and in production.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from controllers.history import Seen
from controllers.observe import lineage
from controllers.worlds.refactory_edits import KINDS
from controllers.worlds.refactory_questions import BENCHMARK, DIRECTIVES
from signatures.errors import UsageError
from signatures.records import TraceEvent

RUN: Final = "run_tests"
"""The tool that runs the visible tests on a program; its argument `changes` lists the kinds of change made."""
_TEXT_OF: Final = {directive.action: directive.text for directive in DIRECTIVES}
_LINE: Final = re.compile(r"^(\w+\(.*\)): expected (.*), (got|raised|not run) ?(.*)$")
_ERRORS: Final = {"TooManyLines": "endless", "SyntaxError": "syntax", "NameError": "names", "IndexError": "index"}
_KIND_WORDS: Final = {
    "ranges": r"\branges?\b|\bslices?\b|\bind(ex|exes|ices)\b|off.by.one",
    "conditions": r"\bconditions?\b|\bcompar|\bnegat|\bbranch",
    "returns": r"\breturn",
    "empty": r"\bempty\b|\bstart values?\b|\binitial",
    "order": r"\border\b|\bsort(s|ed|ing)?\b|\brevers",
    "loops": r"\bloops?\b|\bbreak\b|\bendless",
    "rewrite": r"\brewrit|\banother way\b",
}
_PATTERNS: Final = {kind: re.compile(words, re.IGNORECASE) for kind, words in _KIND_WORDS.items()}
_AVOID: Final = re.compile(
    r"\b(do not|don't|avoid|skip|no need|leave|failed|already (tried|checked|fine|ok))\b", re.IGNORECASE
)
_EXAMPLE: Final = "For example"


_CLUES: Final = {
    "only_empty": ("empty",),
    "endless": ("loops",),
    "index": ("ranges", "empty"),
    "names": ("rewrite", "empty"),
    "none": ("returns",),
    "order": ("order",),
    "near": ("ranges", "conditions"),
    "kind": ("returns", "order"),
}
"""What a failing test looks like -> the kinds of change that it makes one think of. The first that fits counts."""


class Failing(NamedTuple):
    """One visible test that failed."""

    call: str
    expected: str
    ending: str
    "`got`, `raised` or `not run`"
    found: str
    "the value or the error"


def kinds_in(text: str) -> frozenset[str]:
    """The kinds of change that a steer's text asks for; sentences that warn of a kind, or give an example, do not."""
    wanted, warned = set[str](), set[str]()
    for sentence in re.split(r"(?<=[.;!?])\s|\n", text):
        if not sentence.strip().startswith(_EXAMPLE):
            named = {kind for kind, pattern in _PATTERNS.items() if pattern.search(sentence)}
            (warned if _AVOID.search(sentence) else wanted).update(named)
    return frozenset(wanted - warned)


def failing(detail: str) -> list[Failing]:
    """The failing tests in what the checker of `correct` says."""
    found = (_LINE.match(line) for line in detail.splitlines())
    return [Failing(*match.groups()) for match in found if match]


def clue(tests: Sequence[Failing]) -> tuple[str, ...]:
    """The kinds of change that the first failing test makes one think of; none where it looks like nothing known."""
    first = tests[:1]
    signs = {**_errors(first), **_values(first), "only_empty": _values(tests)["only_empty"]}
    return next((kinds for sign, kinds in _CLUES.items() if signs[sign]), ())


def tried(trace: Sequence[TraceEvent]) -> set[str]:
    """The kinds of change that the test runs of a trace name."""
    kinds: set[str] = set()
    for event in trace:
        if event.kind == "tool" and event.name == RUN:
            given = _arguments(event.arguments).get("changes")
            kinds.update(kind for kind in KINDS if isinstance(given, list) and kind in given)
    return kinds


def untried(history: Sequence[Seen]) -> dict[str, bool]:
    """For each action: whether no change of its kind was tried, or asked for, in the lineage of the last attempt."""
    missing = _missing(history)
    return {**{kind: kind in missing for kind in KINDS}, "untried": bool(missing)}


def directive_text(action: str, history: Sequence[Seen]) -> str:
    """The text that realises an action after these attempts, with a failing visible test as an example.

    Raises UsageError for an action that is not in the table.
    """
    if action not in _TEXT_OF:
        raise UsageError(f"{BENCHMARK} has no directive {action!r}; it has {', '.join(_TEXT_OF)}")
    text = _TEXT_OF[action]
    missing = _missing(history)
    if action == "untried" and history and missing:
        text = f"Try a kind of change that was not tried yet: {', '.join(k for k in KINDS if k in missing)}."
    example = next(iter(_failing_last(history)), None)
    if example is None:
        return text
    ending = {"got": "gives", "raised": "raises", "not run": "was not run"}[example.ending]
    return f"{text} {_EXAMPLE}, {example.call} must give {example.expected} and {ending} {example.found}".rstrip() + "."


def features(history: Sequence[Seen]) -> dict[str, float]:
    """Refactory's own observation features; those of the last attempt are absent before there is one.

    name                       meaning
    refactory.tried.<kind>     whether a change of that kind was tried, or asked for, in the lineage
    refactory.runs             test runs in the last attempt
    refactory.failing          visible tests that its output fails
    refactory.raised           share of these that raise an error
    refactory.<error>          whether one is endless, syntax, names (undefined) or index (IndexError)
    refactory.none             whether one gives None
    refactory.kind             whether one gives another type than expected
    refactory.near             whether one gives a number off by one, or a sequence one longer or shorter
    refactory.order            whether one gives the right elements in another order
    refactory.only_empty       whether only the test with the empty input fails
    """
    missing = _missing(history)
    found = {f"{BENCHMARK}.tried.{kind}": float(kind not in missing) for kind in KINDS}
    if history:
        tests = _failing_last(history)
        runs = sum(event.kind == "tool" and event.name == RUN for event in history[-1].trace)
        own = {"runs": float(runs), "failing": float(len(tests)), **_errors(tests), **_values(tests)}
        found.update({f"{BENCHMARK}.{name}": value for name, value in own.items()})
    return found


def _errors(tests: Sequence[Failing]) -> dict[str, float]:
    raised = [test.found.partition(":")[0] for test in tests if test.ending == "raised"]
    share = len(raised) / len(tests) if tests else 0.0
    return {"raised": share, **{name: float(error in raised) for error, name in _ERRORS.items()}}


def _values(tests: Sequence[Failing]) -> dict[str, float]:
    pairs = [(_value(test.expected), _value(test.found)) for test in tests if test.ending == "got"]
    empties = [test for test in tests if "[]" in test.call or "()" in test.call]
    return {
        "none": float(any(got is None for _, got in pairs)),
        "kind": float(any(type(want) is not type(got) for want, got in pairs)),
        "near": float(any(_near(want, got) for want, got in pairs)),
        "order": float(any(_disordered(want, got) for want, got in pairs)),
        "only_empty": float(len(tests) == len(empties) == 1),
    }


def _value(text: str) -> object:
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
    return value


def _near(want: object, got: object) -> bool:
    if type(want) is int and type(got) is int:
        return abs(want - got) == 1
    return isinstance(want, list) and isinstance(got, list) and abs(len(want) - len(got)) == 1


def _disordered(want: object, got: object) -> bool:
    return (
        isinstance(want, list)
        and isinstance(got, list)
        and want != got
        and sorted(map(repr, want)) == sorted(map(repr, got))
    )


def _arguments(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _missing(history: Sequence[Seen]) -> set[str]:
    chain = lineage(history, history[-1].attempt.id) if history else []
    known = {kind for seen in chain for kind in (*tried(seen.trace), seen.attempt.steer.action)}
    return set(KINDS) - known


def _failing_last(history: Sequence[Seen]) -> list[Failing]:
    check = history[-1].attempt.check("correct") if history else None
    return [] if check is None else failing(check.detail)
