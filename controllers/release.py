"""Loading a release: from a source that says which one is current, checked field by field, refused by name.

A release is three JSON files. Nothing is unpickled and no code of it runs: its rules are data, its texts are prompts.
A digest shows an edit, it does not show who signed: whoever can replace all three files can make others that fit. So
the registry's version and the promotion ledger carry the digest too, and a source may be pinned to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from pydantic import JsonValue, ValidationError

from controllers.fallback import PATIENT, Patience, guarded
from controllers.moves import MAX_FANOUT, STOP
from controllers.release_files import FILES, MANIFEST, MOST_BYTES, REPORT, STATE, Files, parsed, read_files, read_plain
from signatures.digest import digest_bytes, digest_of
from signatures.errors import ReleaseRefused, StoreError, UsageError
from signatures.records import PolicyName, WorkerFingerprint
from signatures.release import FORMAT, Fingerprints, Release

if TYPE_CHECKING:
    from controllers.program import Controller, Models

__all__ = [
    "ANYWHERE",
    "FILES",
    "MANIFEST",
    "MOST_BYTES",
    "REPORT",
    "STATE",
    "Champion",
    "Files",
    "FolderSource",
    "Here",
    "ReleaseSource",
    "adapter_fingerprint",
    "fingerprints_of",
    "load_champion",
    "loaded",
    "models_of",
    "read_files",
    "require_fingerprints",
    "schemas_here",
]


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
    "as it was compiled"
    report: Mapping[str, JsonValue]
    token: str
    "what the source called it"
    patience: Patience = PATIENT
    deciding: Controller = field(init=False, compare=False, repr=False)
    "the same controller with the release's fallbacks: what production asks. Which model is down is remembered here"

    def __post_init__(self) -> None:
        object.__setattr__(self, "deciding", guarded(self.controller, self.release, self.patience))


@dataclass(frozen=True)
class Here:
    """What a release is loaded into. `None` is not compared."""

    lm: Models = None
    worker: WorkerFingerprint | None = None
    digest: str | None = None
    "the release's digest, as a ledger or a registry has it"
    name: str | None = None
    "the registered model's name"
    patience: Patience = PATIENT
    "with the models of its policies"


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
        return digest_bytes(read_plain(self.path / MANIFEST))

    def files(self, token: str) -> Files:
        """The three files. Raises ReleaseRefused where the folder holds anything else."""
        found = read_files(self.path)
        if digest_bytes(found[MANIFEST]) != token:
            raise StoreError(f"{self.path}: the release was replaced while it was read; read it again", retryable=True)
        return found


def load_champion(source: ReleaseSource, here: Here = ANYWHERE) -> Champion:
    """The release that is current at the source, as a controller.

    Raises ReleaseRefused naming the field that does not fit; StoreError where the source cannot be asked; UsageError
    where a policy asks a model that `here` does not give.
    """
    token = source.current()
    return loaded(source.files(token), here, token=token, where=source.shown)


def loaded(files: Files, here: Here = ANYWHERE, *, token: str = "", where: str = "release") -> Champion:
    """The files of a release as a controller; every digest, schema and fingerprint is checked. Raises as above."""
    if set(files) != set(FILES):
        raise ReleaseRefused(f"{where}: {_short(', '.join(files))} is not a release, which is {', '.join(FILES)}")
    release = _manifest(files[MANIFEST], where)
    for name, wanted in ((STATE, release.state), (REPORT, release.report)):
        if digest_bytes(files[name]) != wanted:
            raise ReleaseRefused(f"{where}: {name}: its digest is not the manifest's; it was edited or replaced")
    _require(where, "name", here.name, release.name)
    _require(where, "digest", here.digest, release.digest)
    _require_schemas(where, release)
    require_fingerprints(where, release.fingerprints, fingerprints_of(release.fingerprints.models, here.worker))
    report = parsed(files[REPORT], f"{where}: {REPORT}")
    _require_certificate(where, release, report)
    _require_exploration(where, release)
    controller = _controller(files[STATE], here, where)
    _require(where, "candidate", release.candidate, controller.digest)
    _require(where, "fingerprints.models", models_of(controller), release.fingerprints.models)
    _require_fallback(where, release, controller)
    return Champion(release, controller, report, token, here.patience)


def models_of(controller: Controller) -> tuple[str, ...]:
    """The model strings that a controller's policies ask, each once, in the order of the policies."""
    bodies = (json.loads(policy.text) for policy in controller.policies.values())
    return tuple(dict.fromkeys(str(body["model"]) for body in bodies if body.get("tier") != "rule"))


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
    body = parsed(data, f"{where}: {MANIFEST}")
    signed = body.pop("digest", None)
    if not isinstance(signed, str):
        raise ReleaseRefused(f"{where}: {MANIFEST}: digest is missing; an unsigned release is not loaded")
    if body.get("format") != FORMAT:
        raise ReleaseRefused(f"{where}: format: {_short(body.get('format'))} is not {FORMAT}")
    if signed != digest_of(body):
        raise ReleaseRefused(f"{where}: {MANIFEST}: digest does not match; it was edited")
    try:
        release = Release.model_validate_json(json.dumps(body))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or MANIFEST
        raise ReleaseRefused(f"{where}: {_plain(place)}: {_plain(first['msg'])}") from error
    _require(where, "digest", signed, release.digest)
    return release


def _controller(data: bytes, here: Here, where: str) -> Controller:
    """The controller in state.json. Each component is parsed as strictly as the file that it stands in."""
    from controllers.program import loads

    components = parsed(data, f"{where}: {STATE}").get("components")
    for name, text in components.items() if isinstance(components, dict) else ():
        if isinstance(text, str):
            parsed(text, f"{where}: {STATE}: {_plain(name)}")
    try:
        return loads(data.decode("utf-8"), here.lm)
    except UsageError as error:
        raise ReleaseRefused(f"{where}: {STATE}: {_plain(error, 300)}") from error


def _require_schemas(where: str, release: Release) -> None:
    for name, fields in schemas_here().items():
        made = release.schemas.get(name, {})
        for one in (*fields, *made):
            if made.get(one) != fields.get(one):
                raise ReleaseRefused(
                    f"{where}: schemas.{name}.{_plain(one)}: made for {_plain(made.get(one, 'no such field'))}, "
                    f"here it is {fields.get(one, 'no such field')}"
                )
        if list(made) != list(fields):
            raise ReleaseRefused(f"{where}: schemas.{name}: the fields are in another order: {_plain(', '.join(made))}")


def _require_certificate(where: str, release: Release, report: Mapping[str, JsonValue]) -> None:
    certificate = release.certificate
    if certificate is None:
        return
    _require(where, "certificate.candidate", certificate.candidate, release.candidate)
    _require(where, "certificate.benchmark", certificate.benchmark, release.benchmark)
    _require(where, "certificate.report", certificate.report, release.report)
    _require(where, "certificate.benchmark", certificate.benchmark, report.get("benchmark"))
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


def _require_exploration(where: str, release: Release) -> None:
    """A least probability that some decision cannot carry would end an episode in production, not here."""
    attempts = release.granted.attempts or MAX_FANOUT + 2
    # After no attempt; after one, which can be refined; after two, where the best may be another than the last.
    topology = max(min(MAX_FANOUT, attempts - made) + made for made in range(min(3, attempts)))
    most = max(len(STOP), topology, len(release.steer_legal))
    if release.exploration * most > 1:
        raise ReleaseRefused(f"{where}: exploration: {release.exploration:g} each cannot hold for {most} actions")


def _require_fallback(where: str, release: Release, controller: Controller) -> None:
    """Each fallback is a list of rules, and a program has one behind each of its decisions."""
    from controllers.policies.rule import parse_rules

    for name in controller.policies if controller.program is not None else ():
        if name not in release.fallback:
            raise ReleaseRefused(f"{where}: fallback.{name}: is missing; rules stand behind a strategy program")
    for name, text in release.fallback.items():
        parsed(text, f"{where}: fallback.{name}")
        try:
            parse_rules(text)
        except UsageError as error:
            raise ReleaseRefused(f"{where}: fallback.{name}: {_plain(error, 300)}") from error


def _require(where: str, field: str, wanted: object, found: object) -> None:
    if wanted is not None and wanted != found:
        raise ReleaseRefused(f"{where}: {field}: {_short(found)} does not fit {_short(wanted)}")


def _short(value: object) -> str:
    return repr(_plain(value))


def _plain(value: object, most: int = 80) -> str:
    """Text of a release in a message: one line, at most so long, and nothing that a terminal would obey."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(value)[: 4 * most])
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."
