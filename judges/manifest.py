"""The definition of done, frozen: judge, checkers, splits, objectives, directives and gate parameters."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from controllers import Checker
from judges import Judge
from signatures.digest import canonical_json, digest_bytes, digest_of
from signatures.errors import StoreError, UsageError
from signatures.records import Directive, Objective, Record, Split, Task


class Manifest(Record):
    """What a search is measured by. Two equal manifests mean the same definition of done."""

    judge: str
    "name and revision, as the judge states them"
    judge_source: str
    "digest of the code and the plain settings of the judge"
    checkers: Mapping[str, str]
    "objective -> digest of the code and the plain settings of its checker"
    splits: Mapping[str, str]
    "split -> digest of its tasks' digests, in order"
    objectives: tuple[Objective, ...]
    directives: tuple[Directive, ...]
    gate: Mapping[str, str] = Field(default_factory=dict)
    "parameters of the gate, as text"

    @property
    def digest(self) -> str:
        """Names the definition of done."""
        return digest_of(self)


def manifest_of(
    *,
    judge: Judge,
    checkers: Sequence[Checker],
    splits: Mapping[Split, Sequence[Task]],
    objectives: Sequence[Objective],
    directives: Sequence[Directive],
    gate: Mapping[str, str] | None = None,
) -> Manifest:
    """The manifest of these parts. Code is the source file of a part's class: files that it imports are not in it
    (the probes are for those). Raises UsageError on two checkers of one objective and on code without a file.
    """
    revisions = {checker.objective: _code_digest(checker) for checker in checkers}
    if len(revisions) < len(checkers):
        raise UsageError(f"two checkers measure one objective: {', '.join(c.objective for c in checkers)}")
    return Manifest(
        judge=judge.revision,
        judge_source=_code_digest(judge),
        checkers=revisions,
        splits={split: digest_of([task.digest for task in tasks]) for split, tasks in splits.items()},
        objectives=tuple(objectives),
        directives=tuple(directives),
        gate=dict(gate or {}),
    )


def freeze(path: Path, manifest: Manifest) -> None:
    """Write the manifest once. Where one stands already it must be the same: else UsageError. Raises StoreError."""
    if path.exists():
        require_unchanged(path, manifest)
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as file:
            file.write(manifest.model_dump_json(indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise StoreError(f"{path}: cannot freeze the manifest: {error}") from error


def require_unchanged(path: Path, manifest: Manifest) -> None:
    """Raises UsageError listing exactly which parts differ from the frozen manifest, or that there is none."""
    try:
        frozen = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no manifest was frozen here") from error
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a readable manifest: {type(error).__name__}") from error
    before, now = _parts(frozen), _parts(manifest)
    changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if changed:
        raise UsageError(f"the definition of done changed since {path} was frozen: {', '.join(changed)}")


def _parts(manifest: Manifest) -> dict[str, str]:
    """Each part that can change on its own -> its content as text."""
    parts = {"judge": manifest.judge, "judge_source": manifest.judge_source}
    for group in ("checkers", "splits", "gate"):
        parts |= {f"{group}.{name}": value for name, value in getattr(manifest, group).items()}
    parts["objectives"] = canonical_json([objective.name for objective in manifest.objectives])
    parts["directives"] = canonical_json([directive.action for directive in manifest.directives])
    parts |= {f"objectives.{one.name}": canonical_json(one) for one in manifest.objectives}
    parts |= {f"directives.{one.action}": canonical_json(one) for one in manifest.directives}
    return parts


def _code_digest(part: object) -> str:
    """The digest of the source file of the part's class, and of its dataclass fields where they are plain values."""
    name = type(part).__module__
    file = getattr(sys.modules.get(name), "__file__", None)
    try:
        source = digest_bytes(Path(file).read_bytes()) if file else ""
    except OSError:
        source = ""
    if not source:
        raise UsageError(f"{name}.{type(part).__qualname__} has no source file, so it cannot be frozen")
    return digest_of(type(part).__qualname__, source, _settings(part))


def _settings(part: object) -> dict[str, str]:
    if not is_dataclass(part):
        return {}
    values = {field.name: _as_text(getattr(part, field.name)) for field in fields(part)}
    return {name: text for name, text in values.items() if text is not None}


def _as_text(value: object) -> str | None:
    """A plain value or a record as JSON; None for anything else, such as an open file or a function."""
    try:
        return json.dumps(value, sort_keys=True, default=_thawed)
    except (TypeError, ValueError):
        return None


def _thawed(value: object) -> object:
    if isinstance(value, Record):
        return value.content()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not plain")
