"""The formats of recordings: `from_<id>.py` in this folder is the format <id>, and the folder is the catalogue."""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path
from typing import Final, cast

from experiments.importing import Source
from signatures.errors import UsageError

_PREFIX: Final = "from_"


def format_ids() -> tuple[str, ...]:
    """The ids of all formats."""
    return tuple(sorted(file.stem.removeprefix(_PREFIX) for file in Path(__file__).parent.glob(f"{_PREFIX}*.py")))


def load_format(id: str) -> Source:
    """The format of that id. Raises UsageError, naming the closest."""
    ids = format_ids()
    if id not in ids:
        close = difflib.get_close_matches(id, ids, n=1)
        mend = f"did you mean {close[0]!r}?" if close else f"there is {', '.join(ids)}"
        raise UsageError(f"unknown format {id!r}; {mend}")
    module = importlib.import_module(f"experiments.importing.{_PREFIX}{id}")
    return cast("Source", getattr(module, module.__all__[0])())
