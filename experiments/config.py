"""Commands' configs: small frozen models read from TOML with `a.b=json` overrides, and dumped whole to TOML.

TOML has no null, so a field that may be None defaults to None and is left out of the dump while it is None.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from experiments.toml_text import toml_text
from signatures.errors import UsageError

ConfigT = TypeVar("ConfigT", bound=BaseModel)
Table = dict[str, object]


class RunConfig(BaseModel):
    """Base of a command's config: frozen, strict, no unknown key, no NaN. A subclass is named `...Config`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def merge(model: type[ConfigT], file: Path | None = None, overrides: Sequence[str] = ()) -> ConfigT:
    """The config of `file`, or of the defaults, with each override `a.b=json` put over it; the later wins.

    Raises UsageError in one line: a file that cannot be read, an unknown key, bad JSON, a bad value.
    """
    values = {} if file is None else _load(file)
    source = "config" if file is None else str(file)
    _refuse_unknown(model, values, source)
    for override in overrides:
        _apply(model, values, override)
    try:
        config = model.model_validate_json(to_json(values, inf_nan_mode="constants"))
    except ValidationError as error:
        raise UsageError(f"{source}: {explain(error)}") from error
    dump(config)  # what cannot be kept is refused before a run starts
    return config


def dump(config: BaseModel) -> str:
    """`config` as TOML that `merge` reads back to its equal. Raises UsageError for a null inside a table or list.

    Raises TypeError where the model breaks the rule on None.
    """
    values = _present(config)
    try:
        return toml_text(values)
    except TypeError as error:
        raise UsageError(f"config: {error}; leave out what has no value") from error


def explain(error: ValidationError) -> str:
    """A validation error in one line: each field's dotted name, what is wrong with it and what was given."""
    found = []
    for item in error.errors(include_url=False):
        name = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        whole = item["type"] == "missing" or isinstance(item["input"], dict | BaseModel)
        given = "" if whole else f" (got {item['input']!r})"
        found.append(f"{name}: {message}{given}" if name else message)
    return "; ".join(found)


def _load(file: Path) -> Table:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot read this config: {error}") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = at[1] if at else text.count("\n") + 1
        raise UsageError(f"{file}:{line}: not TOML: {error}") from error


def _refuse_unknown(model: type[BaseModel], values: Mapping[str, object], source: str, above: str = "") -> None:
    for key, value in values.items():
        if key not in model.model_fields:
            raise UsageError(f"{source}: {_no_such_key(model, key, above)}")
        inner = _model_in(model.model_fields[key].annotation)
        if inner is not None and isinstance(value, Mapping):
            _refuse_unknown(inner, value, source, f"{above}{key}.")


def _no_such_key(model: type[BaseModel], key: str, above: str) -> str:
    known = list(model.model_fields)
    close = difflib.get_close_matches(key, known, n=1)
    mend = f"did you mean '{above}{close[0]}'?" if close else f"known: {', '.join(above + name for name in known)}"
    return f"unknown key '{above}{key}'; {mend}"


def _apply(model: type[BaseModel], values: Table, override: str) -> None:
    """Put one `a.b=json` into `values`."""
    path, equals, raw = override.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise UsageError(f"override '{override}': expected KEY=JSON, such as seed=3")
    annotation: object = model
    for depth, key in enumerate(keys):
        annotation = _inside(annotation, key, keys[:depth])
    for depth, key in enumerate(keys[:-1], 1):
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise UsageError(f"override '{override}': {'.'.join(keys[:depth])} is a value, not a table")
        values = inner
    values[keys[-1]] = _parse(annotation, raw, override)


def _inside(annotation: object, key: str, above: Sequence[str]) -> object:
    """The type of `key` inside a config or a mapping that stands at `above`."""
    model = _model_in(annotation)
    if model is not None:
        if key in model.model_fields:
            return model.model_fields[key].annotation
        raise UsageError(f"override: {_no_such_key(model, key, ''.join(f'{part}.' for part in above))}")
    for part in _parts(annotation):
        origin = get_origin(part)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return get_args(part)[1]
    raise UsageError(f"override: unknown key '{'.'.join((*above, key))}'; {'.'.join(above)} is not a table")


def _parse(annotation: object, raw: str, override: str) -> object:
    """`raw` as JSON, or as it stands where the field takes text and `raw` is no JSON that the field takes."""
    text = any(part in (str, Path) or _literal_text(part) for part in _parts(annotation))
    try:
        value: object = json.loads(raw, parse_constant=_refuse_constant)
    except ValueError as error:
        if text:
            return raw
        raise UsageError(f"override '{override}': not JSON: {error}") from error
    number = any(part in (bool, int, float) or value in get_args(part) for part in _parts(annotation))
    return raw if text and not number and isinstance(value, int | float) else value


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number that a config may hold")


def _parts(annotation: object) -> Iterator[object]:
    """The alternatives of a type: `X | None` gives X and None, `Annotated[X, ...]` and a name for X give X."""
    if get_origin(annotation) is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif named := getattr(annotation, "__value__", None):  # `type Name = X`, such as pydantic's JsonValue
        yield from _parts(named)
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _parts(part)
    else:
        yield annotation


def _model_in(annotation: object) -> type[BaseModel] | None:
    return next((p for p in _parts(annotation) if isinstance(p, type) and issubclass(p, BaseModel)), None)


def _literal_text(part: object) -> bool:
    return get_origin(part) is Literal and any(isinstance(value, str) for value in get_args(part))


def _present(config: BaseModel) -> Table:
    """The JSON-able fields without those that are None."""
    values = config.model_dump(mode="json")
    for name, field in type(config).model_fields.items():
        inner = getattr(config, name)
        if isinstance(inner, BaseModel):
            values[name] = _present(inner)
        elif inner is None:
            if field.default is not None:
                raise TypeError(f"{type(config).__name__}.{name} may be None, so it must default to None")
            del values[name]
    return values
