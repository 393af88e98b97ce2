"""Finding a benchmark by its id: the file name in `experiments/benchmarks/` is the id, the folder is the catalogue."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast, get_args, get_type_hints

from pydantic import BaseModel, ValidationError

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
    Raises UsageError for an unknown id, naming the closest, and for an option that is unknown or bad.
    """
    made = _benchmark_class(id)
    model = _options_model(made)
    if model is None:
        if options:
            raise UsageError(f"benchmark {id!r} takes no options; got {', '.join(options)}")
        return cast(Benchmark, made())
    try:
        return cast(Benchmark, made(model.model_validate_json(canonical_json(dict(options or {})))))
    except ValidationError as error:
        raise UsageError(f"options of {id}: {explain(error)}") from error


def _benchmark_class(id: str) -> Callable[..., object]:
    module_name, _, class_name = id.partition(":")
    if not class_name:
        ids = benchmark_ids()
        if id not in ids:
            close = difflib.get_close_matches(id, ids, n=1)
            mend = f"did you mean {close[0]!r}?" if close else f"there is {', '.join(ids)}"
            raise UsageError(f"unknown benchmark {id!r}; {mend}")
        module_name = f"experiments.benchmarks.{id}"
    try:
        module = importlib.import_module(module_name)
        return cast("Callable[..., object]", getattr(module, class_name or module.__all__[0]))
    except (ImportError, AttributeError) as error:
        raise UsageError(f"benchmark {id!r} cannot be loaded: {error}") from error


def _options_model(made: Callable[..., object]) -> type[BaseModel] | None:
    """The pydantic model in the annotation of the constructor's first argument, if there is one."""
    hints = get_type_hints(vars(made).get("__init__", made))
    hints.pop("return", None)
    first = next(iter(hints.values()), None)
    models = [part for part in (get_args(first) or (first,)) if isinstance(part, type) and issubclass(part, BaseModel)]
    return models[0] if models else None
