"""Finds an engine by name: a file in `optimizers/search/` is the id; `package.module:function` is the user's own."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from importlib import resources
from typing import Final, cast

from controllers.loading import imported
from optimizers.search import Engine, Kit
from signatures.errors import UsageError

FOLDER: Final = "optimizers.search"
Maker = Callable[[Kit], Engine]


def engine_ids() -> tuple[str, ...]:
    """The ids, sorted: the folder listing is the catalogue."""
    names = (entry.name for entry in resources.files(FOLDER).iterdir())
    return tuple(sorted(name[:-3] for name in names if name.endswith(".py") and not name.startswith("_")))


ENGINES: Final = engine_ids()


def engine_of(id: str, kit: Kit) -> Engine:
    """The engine of that id, or that the user's `package.module:function` makes, built from the kit.

    Raises UsageError for an unknown id (listing the ids), for a module that cannot be imported or makes no engine,
    and for what the engine says of the kit.
    """
    if ":" in id:
        maker = imported(id)
    elif id in engine_ids():
        maker = getattr(importlib.import_module(f"{FOLDER}.{id}"), "engine", None)
    else:
        closest = difflib.get_close_matches(id, engine_ids(), n=1, cutoff=0.5)
        meant = f"did you mean {closest[0]!r}? " if closest else ""
        raise UsageError(f"no engine called {id!r}: {meant}there are {', '.join(engine_ids())}")
    if not callable(maker):
        raise UsageError(f"{id!r} is not a function that makes an engine of a kit")
    try:
        made = cast(Maker, maker)(kit)
    except (TypeError, ValueError) as error:
        if ":" not in id:
            raise
        raise UsageError(f"{id!r} cannot make an engine of a kit: {type(error).__name__}: {error}") from error
    if not callable(getattr(made, "search", None)):
        raise UsageError(f"{id!r} made a {type(made).__name__}, which has no `search`")
    return made
