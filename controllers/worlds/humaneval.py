"""A HumanEval problem as production would see it: the prompt, the examples in its docstring, what stands above it.

The key, hidden tests and solution, is not here: the benchmark hands it to the judge.
"""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections.abc import Mapping
from typing import Final, NamedTuple

from controllers.examples import Example, examples
from controllers.snippets import extract_code
from signatures.digest import digest_of
from signatures.errors import UsageError

BENCHMARK: Final = "humaneval"
ASKED: Final = """Write the Python function `{entry}`.

```python
{head}
```

{text}

Answer with one python code block that holds the whole function and the imports and helpers that it needs: \
no docstring, no comments, no tests, no explanation."""
"""What is told of a problem. The docstring stands apart from the signature, since small models repeat what they see."""
FAMILIES: Final[Mapping[str, str]] = {
    "brackets": r"bracket|\bparen",
    "primes": r"\bprimes?\b|divisor|factoriz|factorial",
    "sequences": r"fib|sequence|collatz|levels of stones|coefficient",
    "codes": r"encod|decod|encrypt|binary|hexadecimal|numerical base|md5|roman|palindrom|cycl|rotat|shift",
    "geometry": r"triangle|interval|grid|cars|planets|matri",
    "words": r"\bwords?\b|sentence|vowel|letters?\b|sub-?string|prefix|uppercase|lowercase",
    "digits": r"\bdigits?\b|decimal|rounded?\b|fraction|closest integer|integer part",
    "strings": r"\bstrings?\b",
    "ordering": r"\bsort|\border|largest|smallest|maxim|minim|greatest|monoton|median|biggest",
    "selection": r"\belements?\b|\blist\b|array",
    "numbers": "",
}
"""Family -> words of its docstrings. A problem is of the first that fits: HumanEval itself has no kinds."""
WRONG: Final = frozenset(
    (
        "1a8f74c140593bcc91b1899b",  # median([-10, 4, 6, 1000, 10, 20]): said to be 15.0, but (6 + 10) / 2 is 8.0
        "5d8f57665e71d757c2b3a806",  # sort_array([1, 5, 2, 3, 4]): in plain order; by ones in binary 4 is before 3
        "cae4bfcbb9067cec6d3a8aff",  # sort_array([-2, -3, -4, -5, -6]): likewise
        "944ae508fa44018f2b3fb083",  # tri(1): a member of the sequence explained; the function returns a list of them
        "09040fc8bf26adc5450e8850",  # tri(4): likewise
        "371829cbc63a939b6b4b129f",  # bf("Earth", "Mercury"): ("Venus") is no tuple
    )
)
"""Digests of the examples that HumanEval's own solution and hidden tests contradict: all that there are. Left out."""
_FENCE: Final = re.compile(r"^[ \t]*```.*$", re.MULTILINE)
_FUTURE: Final = re.compile(r"^from __future__ import .*$", re.MULTILINE)


class Problem(NamedTuple):
    """One problem without its key."""

    digest: str
    prompt: str
    "what a worker is told"
    entry: str
    "name of the function"
    above: str
    "imports and helper functions that the prompt gives"
    family: str
    examples: tuple[Example, ...]


def problem_of(prompt: str, entry: str) -> Problem:
    """The problem of a HumanEval prompt. Raises UsageError where it does not define `entry` with a docstring."""
    found = next((n for n in _parsed(prompt, entry).body if isinstance(n, ast.FunctionDef) and n.name == entry), None)
    text = None if found is None else _docstring(prompt, found)
    if found is None or text is None:
        raise UsageError(f"humaneval: a prompt does not define {entry!r} with a docstring")
    listed = examples(text, entry, [argument.arg for argument in found.args.args])
    lines = prompt.splitlines()
    head = "\n".join(lines[: found.body[0].lineno - 1]).strip()
    told = ASKED.format(entry=entry, head=head, text=inspect.cleandoc(text))
    return Problem(
        digest=digest_of(BENCHMARK, told, entry),
        prompt=told,
        entry=entry,
        above="\n".join(lines[: found.lineno - 1]).strip(),
        family=next(name for name, words in FAMILIES.items() if re.search(words, text.lower())),
        examples=tuple(one for one in listed if digest_of(entry, one) not in WRONG),
    )


def program_of(problem: Problem, output: str) -> str:
    """The definitions in what a worker wrote, below what its prompt gave it: it need not repeat imports and helpers.

    Statements that run something, such as tests of its own, are left out, and so are values that no definition uses:
    the function is asked for, not a program. Code that does not parse stays as it is, so that it fails with its error;
    of a reply that was cut inside its code block, the lines that parse are kept.
    Source of the method: EvalPlus (Liu et al. 2023, arXiv 2305.01210), `sanitize`.
    """
    fences = list(_FENCE.finditer(output))
    code = _parsing(output[fences[0].end() :]) if len(fences) == 1 else extract_code(output)
    tree = _tree(code)
    if tree is not None:
        code = _definitions(tree, problem.entry)
    future = "\n".join(_FUTURE.findall(code))
    return f"{future}\n{problem.above}\n\n{_FUTURE.sub('', code)}"


def _definitions(tree: ast.Module, entry: str) -> str:
    """Imports, functions, classes, and the values that these name or that `entry` is."""
    defined = [node for node in tree.body if _defines(node)]
    used = {node.id for one in defined for node in ast.walk(one) if isinstance(node, ast.Name)} | {entry}
    kept: list[ast.stmt] = []
    for node in reversed(tree.body):  # a value may be made from one above it
        if _defines(node):
            kept.append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and _targets(node) & used:
            kept.append(node)
            used |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return "\n".join(ast.unparse(node) for node in reversed(kept))


def _defines(node: ast.stmt) -> bool:
    """Whether it defines or imports something, perhaps on a condition."""
    if isinstance(node, ast.If | ast.Try):
        return any(map(_defines, node.body))
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _targets(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}


def _parsing(code: str) -> str:
    """The longest beginning of `code`, in lines, that parses."""
    lines = code.splitlines()
    ends = (end for end in range(len(lines), 0, -1) if _tree("\n".join(lines[:end])) is not None)
    return "\n".join(lines[: next(ends, 0)])


def _tree(code: str) -> ast.Module | None:
    """The code parsed, or None; what Python would warn of is the worker's own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def visible_tests(problem: Problem) -> str:
    """Test code: each example is a test; where there is none, that the code defines the function is the one test."""
    head = _HEAD.format(name=problem.entry)
    if not problem.examples:
        return f"{head}\n\ndef test_defined():\n    assert callable({problem.entry})\n"
    return head + _SHOWN + "".join(_test(number, one) for number, one in enumerate(problem.examples, 1))


# A missing function is said plainly: the message of a failed import holds a path.
_HEAD: Final = """import re
import solution
if not hasattr(solution, {name!r}):
    raise NameError("the code does not define {name}")
from solution import {name}
"""
_SHOWN: Final = """

def shown(value):
    text = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    return text if len(text) <= 200 else text[:200] + "..."
"""


def _test(number: int, example: Example) -> str:
    call, value = example
    return (
        f"\n\ndef test_example_{number}():\n    got = {call}\n"
        f"    assert got == {value}, {call + ' gave '!r} + shown(got) + {f', expected {value}'!r}\n"
    )


def _parsed(prompt: str, entry: str) -> ast.Module:
    try:
        return ast.parse(prompt)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"humaneval: the prompt of {entry!r} does not parse: {error}") from error


def _docstring(prompt: str, function: ast.FunctionDef) -> str | None:
    """The first text that stands alone in the function, as it is written there."""
    for node in function.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return (ast.get_source_segment(prompt, node.value) or "").strip("\"'")
    return None
