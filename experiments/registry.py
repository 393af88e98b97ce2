"""The model registry, and the only module that speaks to it: releases as versions, and aliases that name one of them.

A release is a plain LoggedModel of three JSON files; nothing is pickled, nothing is loaded by MLflow's own flavours.
Every call goes through a client: MLflow's fluent functions would make a release the process's active model, to which
metrics of other candidates are then attached. Aliases have no history and no compare-and-set, and deleting a version
drops its aliases without a word: the promotion ledger says what was, and each write is read back here.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import cached_property
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from controllers.boundary import boundary
from controllers.release_files import MANIFEST, Files, parsed, read_files
from experiments.fields import SHORT, key, named
from experiments.pyfunc import INPUTS, OUTPUTS, require_servable
from experiments.tracking import Store, connect, experiment_of, global_store
from signatures.digest import digest_of
from signatures.errors import ReleaseRefused, StoreError, UsageError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
PREVIOUS: Final = "previous_champion"
RELEASE_TAG: Final = "tiller.release"
"""Of a version: the digest of the release in it."""
CANDIDATE_TAG: Final = "tiller.candidate"
PROMOTION: Final = "promotion"
"""The role of a run that mirrors an entry of the promotion ledger."""
PYFUNC: Final = "pyfunc"
LOADER: Final = "experiments.pyfunc"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_ABSENT: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow answers for a model, a version and an alias that is not there; the last is for an alias."""
_QUIET: Final = ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "MLFLOW_UV_AUTO_DETECT")
"""A progress bar would stand in what a command prints, and a lock file of the current folder in a model."""
_TOLD_TWICE: Final = "mlflow.store.db.utils"
"""It prints a traceback of each error of the database, which is raised as well."""
_PAGE: Final = 200


class Version(NamedTuple):
    """One version of a registered model."""

    name: str
    version: str
    source: str
    "of its files: `models:/m-...`, the LoggedModel"
    tags: Mapping[str, str]
    created_s: float
    "seconds since 1970"

    @property
    def token(self) -> str:
        """What tells it from every other: a model that was deleted and made again counts its versions from 1 again."""
        return f"{self.version} {self.source}"


class Registry:
    """The registered models of one store, which is connected to at the first call. All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def create(self, name: str, folder: Path, tags: Mapping[str, str]) -> Version:
        """A new version of `name` (made where there is none) that holds the release in `folder`, tagged its digest.

        Raises ReleaseRefused where the folder holds something else than a release.
        """
        signed = _signed(read_files(folder), str(folder))
        return self._register(name, folder, {**tags, RELEASE_TAG: signed}, kind="tiller-release")

    def create_pyfunc(self, name: str, folder: Path, tags: Mapping[str, str]) -> Version:
        """The release in `folder` as a version of the registered model `<name>-pyfunc`, for `mlflow models serve`.

        It names `experiments.pyfunc` as its loader, so Tiller must be installed where it is served. Raises UsageError
        where that loader would refuse the release.
        """
        signed = _signed(read_files(folder), str(folder))
        require_servable(folder)
        with boundary(StoreError, "the folder of a pyfunc"), TemporaryDirectory(prefix="tiller-pyfunc-") as temporary:
            path = Path(temporary) / "model"
            self._save_pyfunc(path, folder)
            return self._register(f"{name}-{PYFUNC}", path, {**tags, RELEASE_TAG: signed}, kind="tiller-pyfunc")

    def version_of(self, name: str, alias: str) -> Version | None:
        """The version that the alias names now: one call. None where there is no such model or alias."""
        return self._found(lambda client: client.get_model_version_by_alias(_sane(name), alias))

    def version(self, name: str, number: str) -> Version | None:
        """That version, or None where there is none, or none any more."""
        return self._found(lambda client: client.get_model_version(_sane(name), str(int(number))))

    def versions(self, name: str) -> tuple[Version, ...]:
        """All versions that were not deleted, newest first."""
        found: list[Version] = []
        token: str | None = None
        with boundary(StoreError, self._where):
            while True:
                page = self._client.search_model_versions(
                    f"name = '{_sane(name)}'", max_results=_PAGE, page_token=token
                )
                found += (_version(one) for one in page)
                token = page.token
                if not token:
                    return tuple(sorted(found, key=lambda one: -int(one.version)))

    def point(self, name: str, alias: str, version: Version) -> None:
        """Make the alias name that version. Raises StoreError also where it reads back otherwise."""
        with boundary(StoreError, self._where):
            self._client.set_registered_model_alias(_sane(name), alias, version.version)
        now = self.version_of(name, alias)
        if now is None or now.token != version.token:
            said = "nothing" if now is None else f"version {now.version}"
            raise StoreError(
                f"{self._where}: {name}@{alias} was set to version {version.version} and reads back as {said}:"
                " somebody else moves it"
            )

    def drop(self, name: str, alias: str) -> None:
        """Take the alias away, if it is there. Raises StoreError also where it is there afterwards."""
        if self.version_of(name, alias) is None:
            return
        with boundary(StoreError, self._where):
            self._client.delete_registered_model_alias(_sane(name), alias)
        if self.version_of(name, alias) is not None:
            raise StoreError(f"{self._where}: {name}@{alias} was dropped and is there again: somebody else moves it")

    def download(self, version: Version, into: Path) -> Path:
        """Copy a version's files into a folder; the folder below it that holds them."""
        with boundary(StoreError, self._where):
            # By the client: a `models:/` URI would be resolved in MLflow's global store, whichever that is.
            uri = self._client.get_model_version_download_uri(version.name, version.version)
            from mlflow.artifacts import download_artifacts

            return Path(download_artifacts(artifact_uri=uri, dst_path=str(into), tracking_uri=self.store.uri))

    def note(self, name: str, tags: Mapping[str, str], metrics: Mapping[str, float], *, at_ms: int, title: str) -> str:
        """An MLflow run for one entry of the promotion ledger; its id. The same entry again is the same run."""
        id = f"{PROMOTION}-{digest_of(name, dict(tags), title, at_ms)[:12]}"
        own = {"tiller.role": PROMOTION, "tiller.run": id, "tiller.name": title}
        client = self._client
        with boundary(StoreError, self._where):
            experiment = experiment_of(client, self.store, f"tiller/{_sane(name)}")
            there = client.search_runs([experiment], f"tags.`tiller.run` = '{id}'", max_results=1)
            run = there[0] if there else client.create_run(experiment, at_ms, {**_fit(tags), **own}, title)
            for metric, value in named(metrics).items():
                if metric not in run.data.metrics:
                    client.log_metric(run.info.run_id, metric, value, at_ms)
            client.set_terminated(run.info.run_id, "FINISHED", at_ms)
            if client.get_run(run.info.run_id).data.tags.get("tiller.role") != PROMOTION:
                raise StoreError(f"{self._where}: run {run.info.run_id} was written and does not read back")
        return str(run.info.run_id)

    @cached_property
    def _client(self) -> MlflowClient:
        for setting in _QUIET:
            os.environ.setdefault(setting, "false")
        logging.getLogger(_TOLD_TWICE).setLevel(logging.CRITICAL)
        return connect(self.store)

    @property
    def _where(self) -> str:
        return f"registry {self.store.shown}"

    def _found(self, ask: Callable[[MlflowClient], ModelVersion]) -> Version | None:
        """The answer, or None where MLflow itself says that there is no such thing."""
        with boundary(StoreError, self._where):
            client = self._client
            from mlflow.exceptions import MlflowException, RestException

            try:
                return _version(ask(client))
            except MlflowException as error:
                # A 404 of some other server has the code too, but is no RestException.
                if error.error_code in _ABSENT and (isinstance(error, RestException) or not self.store.remote):
                    return None
                raise

    def _register(self, name: str, folder: Path, tags: Mapping[str, str], *, kind: str) -> Version:
        client, tags = self._client, _fit(tags)
        with boundary(StoreError, self._where):
            experiment = experiment_of(client, self.store, f"tiller/{_sane(name)}")
            model = client.create_logged_model(experiment, name, tags=tags, model_type=kind)
            with self._failed_unless_done(model.model_id):
                client.log_model_artifacts(model.model_id, str(folder))
            model = client.finalize_logged_model(model.model_id, "READY")
            self._require_model(name)
            # A local store looks `models:/` up in MLflow's global store, whichever client asks.
            with nullcontext() if self.store.remote else global_store(self.store.uri):
                # A server takes a `models:/` source only with the id beside it.
                id = model.model_id
                made = _version(client.create_model_version(name, source=model.model_uri, tags=tags, model_id=id))
        found = self.version(name, made.version)
        if found is None or found.token != made.token or dict(found.tags) != tags:
            raise StoreError(f"{self._where}: version {made.version} of {name} was made and does not read back")
        return found

    @contextmanager
    def _failed_unless_done(self, model_id: str) -> Iterator[None]:
        """Mark a model whose files did not all arrive: no version is ever made of it."""
        try:
            with boundary(StoreError, self._where):
                yield
        except StoreError:
            with suppress(StoreError), boundary(StoreError, self._where):
                self._client.finalize_logged_model(model_id, "FAILED")
            raise

    def _require_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _save_pyfunc(self, path: Path, folder: Path) -> None:
        self._client  # noqa: B018  # before mlflow is imported: its settings
        from mlflow.models import ModelSignature
        from mlflow.pyfunc import save_model

        columns = {"inputs": INPUTS, "outputs": OUTPUTS}
        texts = {side: [{"name": name, "type": "string"} for name in names] for side, names in columns.items()}
        save_model(
            str(path),
            loader_module=LOADER,
            data_path=str(folder),
            signature=ModelSignature.from_dict({side: json.dumps(text) for side, text in texts.items()}),
            # Said, not inferred: to infer them MLflow loads the model in another process.
            pip_requirements=[f"{one}=={installed(one)}" for one in ("tiller", "dspy", "mlflow")],
        )


class RegistrySource:
    """The releases that an alias of a registered model names: a `controllers.release.ReleaseSource`."""

    def __init__(self, name: str, alias: str, store: Store) -> None:
        self.name = name
        self.alias = alias
        self.registry = Registry(store)

    @property
    def shown(self) -> str:
        """The model's URI and its store."""
        return f"models:/{self.name}@{self.alias} in {self.registry.store.shown}"

    def current(self) -> str:
        """The token of the version that the alias names now. Raises StoreError where it names none."""
        found = self.registry.version_of(self.name, self.alias)
        if found is None:
            raise StoreError(f"{self.shown}: no version has this alias; python -m experiments.promote_run sets it")
        return found.token

    def files(self, token: str) -> Files:
        """The files of that very version, wherever the alias is by now.

        Raises ReleaseRefused where it holds something else than the release whose digest it was tagged with;
        StoreError where it is gone or cannot be had.
        """
        number = token.partition(" ")[0]
        found = self.registry.version(self.name, number) if number.isdecimal() else None
        if found is None or found.token != token:
            raise StoreError(f"{self.shown}: version {number} is gone: it was deleted, or the model was made again")
        with boundary(StoreError, self.shown), TemporaryDirectory(prefix="tiller-release-") as temporary:
            files = read_files(self.registry.download(found, Path(temporary)))
        signed, tagged = _signed(files, self.shown), found.tags.get(RELEASE_TAG)
        if tagged is None or signed != tagged:
            was = "has no such tag" if tagged is None else f"was tagged {tagged} when it was registered"
            raise ReleaseRefused(f"{self.shown}: digest: {signed} is in {MANIFEST}, version {number} {was}")
        return files


def _version(found: ModelVersion) -> Version:
    tags = {str(name): str(value) for name, value in found.tags.items()}
    return Version(found.name, str(found.version), str(found.source), tags, float(found.creation_timestamp) / 1000)


def _signed(files: Files, where: str) -> str:
    """The digest that a manifest says it has; whether it has it, the loader looks. Raises ReleaseRefused."""
    signed = parsed(files[MANIFEST], f"{where}: {MANIFEST}").get("digest")
    if not isinstance(signed, str):
        raise ReleaseRefused(f"{where}: {MANIFEST}: digest is missing; the release is unsigned")
    return signed


def _fit(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as MLflow takes them whole."""
    return {key(name): value if len(value) <= SHORT else f"{value[: SHORT - 4]} ..." for name, value in tags.items()}


def _sane(name: str) -> str:
    """The name of a registered model. Raises UsageError for one that has no place in a URI or a filter."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r}: is no name of a registered model: letters, digits, `_`, `.` and `-`, at most 100")
    return name
