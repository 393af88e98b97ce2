"""A TOML writer: the standard library reads TOML and does not write it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence


def toml_text(values: Mapping[str, object]) -> str:
    """`values` as TOML that `tomllib` reads back to the same. Raises TypeError where TOML has no place."""
    return "".join(_table(values, ()))


def _table(values: Mapping[str, object], path: tuple[str, ...]) -> Iterator[str]:
    """The lines of one table: plain values first, since what follows a header belongs to it."""
    if path:
        yield f"\n[{'.'.join(_key(part) for part in path)}]\n"
    for key, value in values.items():
        if not isinstance(value, Mapping):
            yield f"{_key(key)} = {_inline(value)}\n"
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _table(value, (*path, key))


def _inline(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but TOML wants DEL escaped too
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(_inline(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(key)} = {_inline(item)}' for key, item in value.items())}}}"
    raise TypeError(f"TOML has no place for {value!r}")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _inline(name)
