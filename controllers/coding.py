"""What attempts at writing code show: failing tests, errors, code that did not change; and the actions that name them.

All of it comes from traces and from the checker of `correct`, whose detail says how many tests passed and then, a line
each, which did not: `test_a: AssertionError: f(1) gave 2, expected 3`. For code that a model writes which carries its
conversation from one attempt to the next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from controllers.history import Seen
from controllers.observe import lineage
from controllers.snippets import extract_code
from signatures.errors import UsageError
from signatures.records import Directive

WHOLE: Final = "Answer with the whole function in one python code block."
DIRECTIVES: Final = (
    Directive(
        action="examples",
        text=f"Compare your function with the examples in the task, one by one, and correct what fails. {WHOLE}",
    ),
    Directive(
        action="error",
        text=f"Read your code for errors that would stop it, such as undefined names, and mend them. {WHOLE}",
    ),
    Directive(
        action="trace",
        text=f"Work through the first example by hand, line by line, and find where the value goes wrong. {WHOLE}",
    ),
    Directive(
        action="edges",
        text=f"Think of empty, single, negative, repeated and very large inputs, and correct what fails. {WHOLE}",
    ),
    Directive(
        action="rewrite",
        text=f"Forget your code. Read the task again and solve it anew with another approach. {WHOLE}",
    ),
)
"""The closed table of actions. The fixed texts are given where an attempt shows nothing to point at."""
NAMED: Final = 3
"""Failing examples that a text names."""
LONGEST: Final = 240
"""Characters that are quoted of one line."""
_TEXT_OF: Final = {directive.action: directive.text for directive in DIRECTIVES}
_COUNTED: Final = re.compile(r"(\d+) of (\d+) tests passed")
_LINE: Final = re.compile(r"(?:[\w.]+: )?([A-Z]\w*(?:Error|Exception|Exit|Interrupt|Iteration))\b:? ?(.*)")
_WRONG: Final = "AssertionError"
_CLASSES: Final[Mapping[str, frozenset[str]]] = {
    "syntax": frozenset(("SyntaxError", "IndentationError", "TabError")),
    "name": frozenset(("NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError", "AttributeError")),
    "type": frozenset(("TypeError", "ValueError", "OverflowError", "ZeroDivisionError")),
    "lookup": frozenset(("IndexError", "KeyError", "StopIteration", "RecursionError")),
}
"""Kind of error -> the exceptions that are of it."""


class Findings(NamedTuple):
    """What the checker of `correct` said of one attempt."""

    tests: int
    failing: int
    wrong: tuple[str, ...]
    "examples with a wrong value: call, what it gave, what was expected"
    errors: tuple[tuple[str, str], ...]
    "(exception, message) of what did not come to a value, each once"
    stopped: str
    "the limit that ended the run, or the empty text"


def findings(seen: Seen) -> Findings:
    """The findings of an attempt, empty where the checker said nothing."""
    check = seen.attempt.check("correct")
    lines = check.detail.splitlines() if check else []
    counted = next((match for line in lines if (match := _COUNTED.match(line))), None)
    passed, total = (int(counted[1]), int(counted[2])) if counted else (0, 0)
    raised = [(match[1], match[2]) for line in lines if (match := _LINE.match(line))]
    return Findings(
        tests=total,
        failing=total - passed,
        wrong=tuple(text for kind, text in raised if kind == _WRONG and text),
        errors=tuple(dict.fromkeys(one for one in raised if one[0] != _WRONG)),
        stopped=next((line.rpartition(" ")[2] for line in lines if line.startswith("stopped by the limit on ")), ""),
    )


def features(history: Sequence[Seen], prefix: str) -> dict[str, float]:
    """Observation features of the last attempt, each after `prefix` and a dot; none before there is one.

    name             meaning
    tests            tests that the checker of `correct` has
    failing_tests    those that did not pass
    wrong_values     those that gave another value than expected
    error.<kind>     whether an error of that kind was met: syntax, name, type, lookup, other
    stopped          whether a limit on time, memory or output ended the run
    no_code          whether the reply has no Python block
    cut              whether the reply was cut at the model's limit of tokens
    unchanged        whether the code is that of the parent attempt
    code_lines       lines of code that are not empty
    """
    if not history:
        return {}
    last, found = history[-1], findings(history[-1])
    kinds = {_kind_of(name) for name, _ in found.errors}
    code, chain = code_in(last), lineage(history, last.attempt.id)
    parent = code_in(chain[-2]) if len(chain) > 1 else None
    own = {
        "tests": found.tests,
        "failing_tests": found.failing,
        "wrong_values": len(found.wrong),
        **{f"error.{kind}": kind in kinds for kind in (*_CLASSES, "other")},
        "stopped": bool(found.stopped),
        "no_code": code is None,
        "cut": any(event.kind == "error" and event.name == "length" for event in last.trace),
        "unchanged": code is not None and code == parent,
        "code_lines": sum(1 for line in (code or "").splitlines() if line.strip()),
    }
    return {f"{prefix}.{name}": float(value) for name, value in own.items()}


def untried(history: Sequence[Seen]) -> dict[str, bool]:
    """For each action of the table: whether the last attempt shows what it points at and its lineage was not given it.

    `examples` and `trace` point at wrong values, `error` at an error or a limit, `rewrite` at a failing attempt,
    `edges` at any attempt. Before there is one, nothing can be pointed at.
    """
    if not history:
        return dict.fromkeys(_TEXT_OF, False)
    last = history[-1]
    found, check = findings(last), last.attempt.check("correct")
    given = {seen.attempt.steer.action for seen in lineage(history, last.attempt.id)}
    shows = {
        "examples": bool(found.wrong),
        "error": bool(found.errors or found.stopped),
        "trace": bool(found.wrong),
        "edges": True,
        "rewrite": check is not None and check.passed is False,
    }
    return {action: shows[action] and action not in given for action in _TEXT_OF}


def directive_text(action: str, history: Sequence[Seen]) -> str:
    """The text of an action after these attempts: the last one's findings are quoted where there are any.

    Raises UsageError for an action that is not in the table.
    """
    if action not in _TEXT_OF:
        raise UsageError(f"there is no directive {action!r} for code; there are {', '.join(_TEXT_OF)}")
    found = findings(history[-1]) if history else None
    if found and action == "examples" and found.wrong:
        named = "\n".join(f"- {_quoted(text)}" for text in found.wrong[:NAMED])
        return f"These examples of the task do not hold:\n{named}\nCorrect the function so that they do. {WHOLE}"
    if found and action == "trace" and found.wrong:
        first = _quoted(found.wrong[0])
        return f"Work through this call by hand, line by line: {first}. Find where the value goes wrong. {WHOLE}"
    if found and action == "error" and found.errors:
        name, message = found.errors[0]
        return f"Your code stops with {_quoted(f'{name}: {message}')}\nMend what causes it. {WHOLE}"
    if found and action == "error" and found.stopped:
        return f"Your code was stopped by the limit on {found.stopped}: it does not end, or is too slow. {WHOLE}"
    return _TEXT_OF[action]


def code_in(seen: Seen) -> str | None:
    """The Python in the last message of an attempt's trace; None where it has no fenced block."""
    said = next((e.text for e in reversed(seen.trace) if e.kind == "message" and e.text), "")
    return extract_code(said).strip() if "```" in said else None


def _kind_of(name: str) -> str:
    return next((kind for kind, names in _CLASSES.items() if name in names), "other")


def _quoted(text: str) -> str:
    """One line of the record, no longer than may be quoted."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[:LONGEST] + "..."
