"""Finding a benchmark by its id: the file name in `experiments/benchmarks/` is the id, the folder is the catalogue."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast, get_args, get_type_hints

from pydantic import BaseModel, ValidationError

from controllers.loading import imported
from experiments import Benchmark
from experiments.config import explain
from signatures.digest import canonical_json
from signatures.errors import UsageError


def benchmark_ids() -> tuple[str, ...]:
    """The ids of all benchmarks that ship."""
    folder = Path(__file__).parent / "benchmarks"
    return tuple(sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")))


def load_benchmark(id: str, options: Mapping[str, object] | None = None) -> Benchmark:
    """The benchmark of that id, or of `package.module:Class`, with its options.

    A benchmark's class takes one argument, its options model or None; a module that ships exports that one class.
    Raises UsageError for an unknown id, naming the closest, for an option that is unknown or bad, and for what is no
    benchmark.
    """
    kind = _class_of(id)
    model = _options_model(kind)
    if model is None:
        if options:
            raise UsageError(f"benchmark {id!r} takes no options; got {', '.join(options)}")
        return _checked(id, kind())
    try:
        given = model.model_validate_json(canonical_json(dict(options or {})))
    except ValidationError as error:
        raise UsageError(f"options of {id}: {explain(error)}") from error
    return _checked(id, cast("Callable[[BaseModel], object]", kind)(given))


def _class_of(id: str) -> type[object]:
    if ":" in id:
        found = imported(id)
    else:
        ids = benchmark_ids()
        if id not in ids:
            close = difflib.get_close_matches(id, ids, n=1)
            mend = f"did you mean {close[0]!r}?" if close else f"there is {', '.join(ids)}"
            raise UsageError(f"unknown benchmark {id!r}; {mend}")
        module = importlib.import_module(f"experiments.benchmarks.{id}")
        found = getattr(module, module.__all__[0])
    if not isinstance(found, type):
        raise UsageError(f"benchmark {id!r} is of type {type(found).__name__}, not a class")
    return found


def _options_model(kind: type[object]) -> type[BaseModel] | None:
    """The pydantic model in the annotation of the constructor's one argument; None where it takes none.

    Raises UsageError for a constructor that needs anything else.
    """
    arguments = list(inspect.signature(kind).parameters.values())
    if not arguments:
        return None
    hint = get_type_hints(vars(kind).get("__init__", kind.__init__)).get(arguments[0].name)
    models = [part for part in (get_args(hint) or (hint,)) if isinstance(part, type) and issubclass(part, BaseModel)]
    needed = [argument.name for argument in arguments[bool(models) :] if argument.default is argument.empty]
    if needed:
        raise UsageError(f"benchmark {kind.__name__} needs {', '.join(needed)}; it may take one options model")
    return models[0] if models else None


def _checked(id: str, made: object) -> Benchmark:
    missing = [name for name in vars(Benchmark) if not name.startswith("_") and not hasattr(made, name)]
    if missing:
        raise UsageError(f"{id!r} is not a benchmark: it lacks {', '.join(missing)}")
    return cast(Benchmark, made)
