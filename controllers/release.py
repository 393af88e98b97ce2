"""Loading a release: from a source that says which one is current, checked field by field, refused by name.

A release is three JSON files. Nothing is unpickled and no code of it runs: its rules are data, its texts are prompts.
A digest shows an edit, it does not show who signed: whoever can replace all three files can make others that fit. So
the registry's version and the promotion ledger carry the digest too, and a source may be pinned to it.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from pydantic import JsonValue, ValidationError

from signatures.digest import digest_bytes, digest_of
from signatures.errors import ReleaseRefused, StoreError, UsageError
from signatures.records import PolicyName, WorkerFingerprint
from signatures.release import FORMAT, Fingerprints, Release

if TYPE_CHECKING:
    from controllers.program import Controller, Models

MANIFEST: Final = "manifest.json"
STATE: Final = "state.json"
REPORT: Final = "report.json"
FILES: Final = (MANIFEST, STATE, REPORT)
MOST_BYTES: Final = 32 * 1024 * 1024
"""Of one file: a release is texts and rules."""

Files = Mapping[str, bytes]
"""The three files of a release by name."""


class ReleaseSource(Protocol):
    """Where releases come from: a folder, or a registry's alias."""

    @property
    def shown(self) -> str:
        """The source in a message, without secrets."""

    def current(self) -> str:
        """A token of the release that is current now; another token is another release. Raises StoreError."""

    def files(self, token: str) -> Files:
        """The files of the release of that token, all of one moment. Raises StoreError, ReleaseRefused."""


@dataclass(frozen=True)
class Champion:
    """A release that was checked and is ready to decide."""

    release: Release
    controller: Controller
    report: Mapping[str, JsonValue]
    token: str
    "what the source called it"


@dataclass(frozen=True)
class Here:
    """What a release is loaded into. `None` is not compared."""

    lm: Models = None
    worker: WorkerFingerprint | None = None
    digest: str | None = None
    "the release's digest, as a ledger or a registry has it"
    name: str | None = None
    "the registered model's name"


ANYWHERE: Final = Here()


class FolderSource:
    """A release in a folder; another release put into the folder becomes current."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def shown(self) -> str:
        """The folder."""
        return str(self.path)

    def current(self) -> str:
        """The digest of the manifest's bytes."""
        return digest_bytes(_read(self.path / MANIFEST))

    def files(self, token: str) -> Files:
        """The three files. Raises ReleaseRefused where the folder holds anything else."""
        found = read_files(self.path)
        if digest_bytes(found[MANIFEST]) != token:
            raise StoreError(f"{self.path}: the release was replaced while it was read; read it again", retryable=True)
        return found


def read_files(folder: Path) -> Files:
    """The files of a release folder. Raises StoreError; ReleaseRefused for one that is missing or does not belong."""
    try:
        there = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read as a release: {error}") from error
    for name in FILES:
        if name not in there:
            raise ReleaseRefused(f"{folder}: {name} is missing; a release is {', '.join(FILES)}")
    if foreign := [name for name in there if name not in FILES]:
        raise ReleaseRefused(f"{folder}: {foreign[0]} does not belong to a release, which is {', '.join(FILES)} alone")
    return {name: _read(folder / name) for name in FILES}


def load_champion(source: ReleaseSource, here: Here = ANYWHERE) -> Champion:
    """The release that is current at the source, as a controller.

    Raises ReleaseRefused naming the field that does not fit; StoreError where the source cannot be asked; UsageError
    where a policy asks a model that `here` does not give.
    """
    token = source.current()
    return loaded(source.files(token), here, token=token, where=source.shown)


def loaded(files: Files, here: Here = ANYWHERE, *, token: str = "", where: str = "release") -> Champion:
    """The files of a release as a controller; every digest, schema and fingerprint is checked. Raises as above."""
    from controllers.program import loads

    release = _manifest(files[MANIFEST], where)
    for name, wanted in ((STATE, release.state), (REPORT, release.report)):
        if digest_bytes(files[name]) != wanted:
            raise ReleaseRefused(f"{where}: {name}: its digest is not the manifest's; it was edited or replaced")
    _require(where, "name", here.name, release.name)
    _require(where, "digest", here.digest, release.digest)
    _require_schemas(where, release)
    require_fingerprints(where, release.fingerprints, fingerprints_of(release.fingerprints.models, here.worker))
    report = _object(files[REPORT], f"{where}: {REPORT}")
    _require_certificate(where, release, report)
    try:
        controller = loads(files[STATE].decode("utf-8"), here.lm)
    except UnicodeDecodeError as error:
        raise ReleaseRefused(f"{where}: {STATE}: not UTF-8 text") from error
    except UsageError as error:
        raise ReleaseRefused(f"{where}: {STATE}: {error}") from error
    _require(where, "candidate", release.candidate, controller.digest)
    return Champion(release, controller, report, token)


def fingerprints_of(models: tuple[str, ...], worker: WorkerFingerprint | None) -> Fingerprints:
    """What is installed here, with these models and this worker (one without a name: not known here)."""
    return Fingerprints(
        tiller=version("tiller"),
        dspy=version("dspy"),
        adapter=adapter_fingerprint(),
        models=models,
        worker=worker or WorkerFingerprint(name=""),
    )


def adapter_fingerprint() -> str:
    """Class of the adapter that makes prompts, and the digest of what it makes of a fixed input for each policy."""
    import dspy

    from controllers.program import NAMES
    from signatures.policies import signature_of

    adapter = dspy.ChatAdapter(use_json_adapter_fallback=False)
    inputs = {"task": "t", "features": {"attempts": 1.0}, "observations": ["o"], "legal": ["a", "b"]}
    shown = {name: adapter.format(signature_of(name), [], inputs) for name in NAMES}
    return f"{type(adapter).__name__} {digest_of(shown)}"


def schemas_here() -> dict[PolicyName, dict[str, str]]:
    """The signatures' fields as they are now: policy -> field -> direction and type."""
    from controllers.program import NAMES
    from signatures.policies import schema_of, signature_of

    return {name: schema_of(signature_of(name)) for name in NAMES}


def require_fingerprints(where: str, made: Fingerprints, here: Fingerprints) -> None:
    """Raises ReleaseRefused naming the first fingerprint that differs. A worker that is not known is not compared.

    Nor is Tiller's own version: what of it a controller rests on are the schemas and the adapter.
    """
    for name in ("dspy", "adapter", "models"):
        _require(where, f"fingerprints.{name}", getattr(here, name), getattr(made, name))
    if here.worker.name:
        for name in ("name", "model", "params"):
            _require(where, f"fingerprints.worker.{name}", getattr(here.worker, name), getattr(made.worker, name))


def _manifest(data: bytes, where: str) -> Release:
    body = _object(data, f"{where}: {MANIFEST}")
    signed = body.pop("digest", None)
    if not isinstance(signed, str):
        raise ReleaseRefused(f"{where}: {MANIFEST}: digest is missing; an unsigned release is not loaded")
    if body.get("format") != FORMAT:
        raise ReleaseRefused(f"{where}: format: {body.get('format')!r} is not {FORMAT}")
    if signed != digest_of(body):
        raise ReleaseRefused(f"{where}: {MANIFEST}: digest does not match; it was edited")
    try:
        release = Release.model_validate_json(json.dumps(body))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ReleaseRefused(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    _require(where, "digest", signed, release.digest)
    return release


def _require_schemas(where: str, release: Release) -> None:
    for name, fields in schemas_here().items():
        made = release.schemas.get(name, {})
        for field in (*fields, *made):
            if made.get(field) != fields.get(field):
                raise ReleaseRefused(
                    f"{where}: schemas.{name}.{field}: made for {made.get(field, 'no such field')}, "
                    f"here it is {fields.get(field, 'no such field')}"
                )
        if list(made) != list(fields):
            raise ReleaseRefused(f"{where}: schemas.{name}: the fields are in another order: {', '.join(made)}")


def _require_certificate(where: str, release: Release, report: Mapping[str, JsonValue]) -> None:
    certificate = release.certificate
    if certificate is None:
        return
    _require(where, "certificate.candidate", certificate.candidate, release.candidate)
    _require(where, "certificate.benchmark", certificate.benchmark, release.benchmark)
    _require(where, "certificate.report", certificate.report, release.report)
    _require(where, "certificate.sentence", certificate.sentence, report.get("sentence"))
    _require(where, "certificate.decision", certificate.decision, _decision(report))


def _decision(report: Mapping[str, JsonValue]) -> JsonValue:
    """What a gate's report decided."""
    contrasts = report.get("contrasts")
    for one in contrasts if isinstance(contrasts, list) else []:
        decided = one.get("decided") if isinstance(one, dict) else None
        if isinstance(decided, dict):
            return decided.get("decision")
    return None


def _require(where: str, field: str, wanted: object, found: object) -> None:
    if wanted is not None and wanted != found:
        raise ReleaseRefused(f"{where}: {field}: {_short(found)} does not fit {_short(wanted)}")


def _short(value: object) -> str:
    text = re.sub(r"\s+", " ", str(value))
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def _object(data: bytes, where: str) -> dict[str, JsonValue]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ReleaseRefused(f"{where}: not JSON") from error
    if not isinstance(found, dict):
        raise ReleaseRefused(f"{where}: not a JSON object")
    return found


def _read(path: Path) -> bytes:
    """The bytes of a plain file of sane size. Raises StoreError, ReleaseRefused."""
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > MOST_BYTES:
            raise ReleaseRefused(f"{path}: is no plain file of at most {MOST_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
