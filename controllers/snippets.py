"""The Python code in what a worker wrote: inside fences, or the whole text where there are none."""

from __future__ import annotations

import re
from typing import Final

_FENCE: Final = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_PYTHON: Final = frozenset({"python", "py", "python3"})


def extract_code(output: str) -> str:
    """The fenced blocks marked as Python, joined; else the last unmarked one; else `output` as it is.

    A last fence that is not closed, as in a reply that was cut, ends with the text.
    """
    blocks = [(match[1].lower(), match[2]) for match in _FENCE.finditer(output)]
    marked = [body for language, body in blocks if language in _PYTHON]
    if marked:
        return "\n".join(marked)
    unmarked = [body for language, body in blocks if not language]
    return unmarked[-1] if unmarked else output
