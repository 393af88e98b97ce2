"""Finds a plug-in by name: the file name is the id, and `package.module:Class` is the user's own."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
from importlib import resources
from typing import NamedTuple

from controllers import Worker
from signatures.errors import UsageError


class Loader(NamedTuple):
    """Loads plug-ins from the folders of one package, and from nowhere else but the caller's own modules."""

    package: str

    def ids(self, group: str) -> tuple[str, ...]:
        """The ids in `<package>/<group>/`, sorted: the folder listing is the catalogue. Raises UsageError."""
        folder = self._folder(group)
        names = (entry.name for entry in resources.files(folder).iterdir())
        return tuple(sorted(name[:-3] for name in names if name.endswith(".py") and not name.startswith("_")))

    def load(self, group: str, id: str) -> type[object]:
        """The class that the file `<id>.py` of the group exports, or the user's `package.module:Class`.

        Raises UsageError for a group outside the package, an unknown id (naming the closest), a module that cannot be
        imported and a name in it that is not a class.
        """
        folder = self._folder(group)
        if ":" in id:
            found = imported(id)
        else:
            if id not in (known := self.ids(group)):
                raise UsageError(f"no {group} called {id!r}: {_suggestion(id, known)}")
            module = importlib.import_module(f"{folder}.{id}")
            (name,) = module.__all__
            found = getattr(module, name)
        if not inspect.isclass(found):
            raise UsageError(f"{id!r} is a {type(found).__name__}, not a class")
        return found

    def _folder(self, group: str) -> str:
        folder = f"{self.package}.{group}"
        if not group.isidentifier() or importlib.util.find_spec(folder) is None:
            raise UsageError(f"{group!r} is not a group of plug-ins of {self.package}")
        return folder


def imported(name: str) -> object:
    """What `package.module:attribute` names. Raises UsageError."""
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, SyntaxError, ValueError) as error:
        raise UsageError(f"{name!r}: cannot import {module_name!r} ({error}); is its folder on PYTHONPATH?") from error
    if not hasattr(module, attribute):
        public = [known for known in vars(module) if not known.startswith("_")]
        raise UsageError(f"{name!r}: {module_name} has no {attribute!r}: {_suggestion(attribute, public)}")
    found: object = getattr(module, attribute)
    return found


def load_worker(name: str) -> Worker:
    """A worker that needs no arguments: an id, a coding agent's profile, the user's class or the user's plain function.

    The user's are named `package.module:name`.

    Raises UsageError where there is none of that name, where it needs arguments, and where it is not a worker.
    """
    if ":" in name and inspect.isfunction(found := imported(name)):
        from controllers.workers.function import FunctionWorker

        return FunctionWorker(found)
    if name in Loader("controllers").ids("profiles"):
        from controllers.workers.command import CommandWorker, agent_config

        return CommandWorker(agent_config(name))
    kind = Loader("controllers").load("workers", name)
    needed = [
        parameter.name
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        raise UsageError(f"worker {name!r} needs {', '.join(needed)}: write a class of your own that passes them")
    worker = kind()
    if not (inspect.iscoroutinefunction(getattr(worker, "attempt", None)) and hasattr(worker, "fingerprint")):
        raise UsageError(f"{name!r} is not a worker: it needs `fingerprint` and an async `attempt`")
    return worker  # type: ignore[return-value]  # checked above, as far as a running program can


def _suggestion(id: str, known: tuple[str, ...] | list[str]) -> str:
    closest = difflib.get_close_matches(id, known, n=1, cutoff=0.5)
    return f"{f'did you mean {closest[0]!r}? ' if closest else ''}there are {', '.join(sorted(known))}"
