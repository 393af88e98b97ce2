"""The registry on a real MLflow store: releases come back as they went in, and whatever is amiss is said."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from controllers.release import load_champion
from controllers.release_files import FILES, MANIFEST, REPORT, STATE
from experiments.dashboard_run import served
from experiments.registry import CHALLENGER, CHAMPION, RELEASE_TAG, Registry, RegistrySource, Version
from experiments.tracking import Store, connect, store_of
from signatures.errors import ReleaseRefused, StoreError, UsageError
from signatures.release import Release
from tests.worlds.shipped import ship

HERE = Path(__file__).parents[2]
TAGS = {"tiller.candidate": "c1", "tiller.gate": "g1", "tiller.generation": "2", "tiller.search": "s1"}


@pytest.fixture
def store(root: Path) -> Store:
    """An empty store that no environment variable names."""
    return store_of(root)


@pytest.fixture
def registry(store: Store) -> Registry:
    """Its registry."""
    return Registry(store)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A release in a folder."""
    ship(tmp_path / "release")
    return tmp_path / "release"


def shipped(folder: Path, **changed: float) -> Release:
    """Another release in the folder."""
    return ship(folder, **changed)


def stored(store: Store, version: Version) -> Path:
    """Where the store keeps a version's files."""
    uri = connect(store).get_model_version_download_uri(version.name, version.version)
    return Path(urlsplit(uri).path)


@contextmanager
def another_server() -> Iterator[str]:
    """The address of a web server that is no MLflow."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *said: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class TestVersions:
    def test_a_release_comes_back_as_it_went_in(self, registry: Registry, folder: Path, tmp_path: Path) -> None:
        release = shipped(folder)
        made = registry.create("planted", folder, TAGS)
        assert (made.name, made.version) == ("planted", "1")
        assert made.source.startswith("models:/m-")
        assert made.tags == {**TAGS, RELEASE_TAG: release.digest}
        assert abs(made.created_s - time.time()) < 3600
        into = registry.download(made, tmp_path / "down")
        assert sorted(path.name for path in into.iterdir()) == sorted(FILES)
        assert all((into / name).read_bytes() == (folder / name).read_bytes() for name in FILES)

    def test_the_files_are_a_logged_model_that_is_ready(self, registry: Registry, store: Store, folder: Path) -> None:
        made = registry.create("planted", folder, TAGS)
        model = connect(store).get_logged_model(made.source.removeprefix("models:/"))
        assert str(model.status) == "READY"
        assert model.tags["tiller.candidate"] == "c1"
        assert store.artifacts is not None
        assert store.artifacts in stored(store, made).parents

    def test_versions_count_up_and_are_listed_newest_first(self, registry: Registry, folder: Path) -> None:
        made = []
        for exploration in (0.1, 0.2):
            shipped(folder, exploration=exploration)
            made.append(registry.create("planted", folder, TAGS))
        assert registry.versions("planted") == (made[1], made[0])
        assert registry.versions("other") == ()
        assert registry.version("planted", "1") == made[0]
        assert [registry.version("planted", "3"), registry.version("other", "1")] == [None, None]

    def test_what_is_no_release_is_not_registered(self, registry: Registry, folder: Path) -> None:
        (folder / "model.pkl").write_bytes(b"\x80\x04.")
        with pytest.raises(ReleaseRefused, match=r"model\.pkl"):
            registry.create("planted", folder, TAGS)
        (folder / "model.pkl").unlink()
        body = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps({key: body[key] for key in body if key != "digest"}))
        with pytest.raises(ReleaseRefused, match="digest is missing"):
            registry.create("planted", folder, TAGS)
        assert registry.versions("planted") == ()

    @pytest.mark.parametrize("name", ["a/b", "a b", "x' OR '1", "", "..", "a@b", "a" * 101])
    def test_a_name_that_would_be_a_path_or_a_filter_is_refused(self, registry: Registry, name: str) -> None:
        for call in (registry.versions, lambda name: registry.version_of(name, CHAMPION)):
            with pytest.raises(UsageError, match="no name of a registered model"):
                call(name)

    def test_a_long_tag_is_cut_to_what_is_kept(self, registry: Registry, folder: Path) -> None:
        made = registry.create("planted", folder, {"tiller.note": "n" * 9000, "odd?key": ""})
        assert made.tags["tiller.note"].endswith("n ...")
        assert made.tags["odd_key"] == ""


class TestAliases:
    def test_an_alias_names_one_version_and_moves(self, registry: Registry, folder: Path) -> None:
        first, second = (registry.create("planted", folder, TAGS) for _ in range(2))
        assert registry.version_of("planted", CHAMPION) is None
        registry.point("planted", CHAMPION, first)
        registry.point("planted", CHALLENGER, second)
        assert registry.version_of("planted", CHAMPION) == first
        registry.point("planted", CHAMPION, second)
        registry.drop("planted", CHALLENGER)
        registry.drop("planted", CHALLENGER)
        assert registry.version_of("planted", CHAMPION) == second
        assert registry.version_of("planted", CHALLENGER) is None

    def test_no_alias_is_pointed_at_what_is_gone(self, registry: Registry, store: Store, folder: Path) -> None:
        made = registry.create("planted", folder, TAGS)
        connect(store).delete_model_version("planted", made.version)
        with pytest.raises(StoreError, match="not found"):
            registry.point("planted", CHAMPION, made)

    def test_a_version_that_was_made_again_under_its_number_is_another(
        self, registry: Registry, store: Store, folder: Path
    ) -> None:
        first = registry.create("planted", folder, TAGS)
        connect(store).delete_registered_model("planted")
        second = registry.create("planted", folder, TAGS)
        assert (first.version, first.token == second.token) == (second.version, False)
        with pytest.raises(StoreError, match="reads back as version 1"):
            registry.point("planted", CHAMPION, first)

    def test_deleting_the_champions_version_drops_the_alias(
        self, registry: Registry, store: Store, folder: Path
    ) -> None:
        made = registry.create("planted", folder, TAGS)
        registry.point("planted", CHAMPION, made)
        connect(store).delete_model_version("planted", made.version)
        assert registry.version_of("planted", CHAMPION) is None
        source = RegistrySource("planted", CHAMPION, store)
        with pytest.raises(StoreError, match=r"models:/planted@champion .* no version has this alias"):
            source.current()
        with pytest.raises(StoreError, match="version 1 is gone"):
            source.files(made.token)
        assert registry.create("planted", folder, TAGS).version == "2"


class TestSource:
    @pytest.fixture
    def champion(self, registry: Registry, folder: Path) -> Version:
        made = registry.create("planted", folder, TAGS)
        registry.point("planted", CHAMPION, made)
        return made

    def test_the_champion_is_loaded_and_is_nobodys_active_model(self, champion: Version, root: Path) -> None:
        """In a fresh process that refuses pickles, in a folder of its own where nothing may appear."""
        program = (
            "import sys, pathlib, json\n"
            "from controllers.release import load_champion\n"
            "from experiments.registry import RegistrySource\n"
            "from experiments.tracking import store_of\n"
            "found = load_champion(RegistrySource('planted', 'champion', store_of(pathlib.Path(sys.argv[1]))))\n"
            "import mlflow\n"
            "print(json.dumps([found.release.digest, found.token, mlflow.get_active_model_id(),"
            " mlflow.active_run() is None, 'mlflow.dspy.load' in sys.modules]))\n"
        )
        empty = root / "empty"
        empty.mkdir()
        given = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "PYTHONPATH": str(HERE), "PATH": os.environ["PATH"]}
        done = subprocess.run(
            [sys.executable, "-c", program, str(root)], cwd=empty, env=given, capture_output=True, text=True, check=True
        )
        expected = [champion.tags[RELEASE_TAG], champion.token, None, True, False]
        assert json.loads(done.stdout) == expected
        assert list(empty.iterdir()) == []

    def test_registering_makes_no_model_active_and_leaves_the_global_store(
        self, champion: Version, store: Store
    ) -> None:
        import mlflow

        before = os.environ.get("MLFLOW_TRACKING_URI")
        load_champion(RegistrySource("planted", CHAMPION, store))
        assert mlflow.get_active_model_id() is None
        assert (os.environ.get("MLFLOW_TRACKING_URI"), before) == (None, None)

    def test_the_files_of_a_token_stay_those_when_the_alias_moves(
        self, champion: Version, registry: Registry, store: Store, folder: Path
    ) -> None:
        source = RegistrySource("planted", CHAMPION, store)
        token = source.current()
        newer = shipped(folder, exploration=0.2)
        registry.point("planted", CHAMPION, registry.create("planted", folder, TAGS))
        assert source.current() != token
        assert json.loads(source.files(token)[MANIFEST])["digest"] == champion.tags[RELEASE_TAG]
        assert load_champion(source).release == newer

    @pytest.mark.parametrize(
        ("name", "edit", "said"),
        [
            (MANIFEST, (b"0.05", b"0.01"), "digest"),
            (STATE, (b"fan", b"fam"), "state.json"),
            (REPORT, (b"{}", b"{} "), "report.json"),
        ],
    )
    def test_a_file_edited_in_the_store_is_refused_by_name(
        self, champion: Version, store: Store, name: str, edit: tuple[bytes, bytes], said: str
    ) -> None:
        path = stored(store, champion) / name
        before = path.read_bytes()
        path.write_bytes(before.replace(*edit))
        assert path.read_bytes() != before
        with pytest.raises(ReleaseRefused, match=said):
            load_champion(RegistrySource("planted", CHAMPION, store))

    def test_another_whole_release_in_the_store_is_refused(
        self, champion: Version, store: Store, tmp_path: Path
    ) -> None:
        other = ship(tmp_path / "other", exploration=0.0)
        for name in FILES:
            shutil.copy(tmp_path / "other" / name, stored(store, champion) / name)
        with pytest.raises(ReleaseRefused, match=f"digest: {other.digest} .* was tagged {champion.tags[RELEASE_TAG]}"):
            load_champion(RegistrySource("planted", CHAMPION, store))

    def test_a_version_without_our_tag_is_refused(self, champion: Version, store: Store) -> None:
        connect(store).delete_model_version_tag("planted", champion.version, RELEASE_TAG)
        with pytest.raises(ReleaseRefused, match="has no such tag"):
            load_champion(RegistrySource("planted", CHAMPION, store))

    def test_a_pickle_beside_the_files_is_refused(self, champion: Version, store: Store) -> None:
        (stored(store, champion) / "model.pkl").write_bytes(b"\x80\x04.")
        with pytest.raises(ReleaseRefused, match=r"model\.pkl"):
            load_champion(RegistrySource("planted", CHAMPION, store))

    def test_a_file_gone_from_the_store_is_said(self, champion: Version, store: Store) -> None:
        (stored(store, champion) / STATE).unlink()
        with pytest.raises(ReleaseRefused, match=r"state\.json is missing"):
            load_champion(RegistrySource("planted", CHAMPION, store))
        shutil.rmtree(stored(store, champion))
        with pytest.raises(StoreError, match="artifacts"):
            load_champion(RegistrySource("planted", CHAMPION, store))

    @pytest.mark.parametrize("token", ["", "1", "x models:/m-1", "2 models:/m-1", "1 models:/m-1"])
    def test_a_token_of_nothing_is_a_store_error(self, champion: Version, store: Store, token: str) -> None:
        with pytest.raises(StoreError, match="is gone"):
            RegistrySource("planted", CHAMPION, store).files(token)


class TestDown:
    def test_no_server_is_a_store_error_within_seconds(self, free_port: int, folder: Path) -> None:
        """Each call is tried three times, seconds apart at most."""
        store = Store(f"http://me:secret@127.0.0.1:{free_port}", None)
        began = time.monotonic()
        with pytest.raises(StoreError, match="registry http://127") as caught:
            RegistrySource("planted", CHAMPION, store).current()
        assert time.monotonic() - began < 60
        assert "no version" not in str(caught.value)

    def test_another_server_is_not_taken_for_a_registry_without_a_champion(self) -> None:
        with another_server() as uri, pytest.raises(StoreError, match="404"):
            RegistrySource("planted", CHAMPION, Store(uri, None)).current()

    def test_a_store_that_is_no_database_is_a_store_error(self, tmp_path: Path) -> None:
        (tmp_path / "mlflow.db").write_text("not a database at all, but long enough to look like a file of some kind")
        store = Store(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")
        with pytest.raises(StoreError, match="MLflow: DatabaseError"):
            RegistrySource("planted", CHAMPION, store).current()

    def test_a_full_disk_leaves_no_version(self, registry: Registry, store: Store, folder: Path, root: Path) -> None:
        """The files are larger than what the process may write; the database is not."""
        registry.create("planted", folder, TAGS)
        ship(folder, ungated="x" * 6_000_000)
        assert store.file is not None
        assert store.file.stat().st_size < 4_000_000 < (folder / MANIFEST).stat().st_size
        program = (
            "import resource, sys, pathlib\n"
            "from experiments.registry import Registry\n"
            "from experiments.tracking import store_of\n"
            "from signatures.errors import StoreError\n"
            "registry = Registry(store_of(pathlib.Path(sys.argv[1])))\n"
            "print(len(registry.versions('planted')))\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))\n"
            "try:\n"
            "    registry.create('planted', pathlib.Path(sys.argv[2]), {})\n"
            "except StoreError as error:\n"
            "    print(error)\n"
        )
        given = {"PYTHONPATH": str(HERE), "PATH": os.environ["PATH"]}
        command = [sys.executable, "-c", program, str(root), str(folder)]
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("1\nregistry sqlite")
        assert "File too large" in done.stdout
        assert len(registry.versions("planted")) == 1
        client = connect(store)
        experiment = client.get_experiment_by_name("tiller/planted")
        assert experiment is not None
        models = client.search_logged_models([experiment.experiment_id])
        assert sorted(str(model.status) for model in models) == ["FAILED", "READY"]

    def test_a_full_disk_while_loading_is_a_store_error(self, registry: Registry, folder: Path, root: Path) -> None:
        ship(folder, ungated="x" * 6_000_000)
        registry.point("planted", CHAMPION, registry.create("planted", folder, TAGS))
        program = (
            "import resource, sys, pathlib\n"
            "from experiments.registry import RegistrySource\n"
            "from experiments.tracking import store_of\n"
            "from signatures.errors import StoreError\n"
            "source = RegistrySource('planted', 'champion', store_of(pathlib.Path(sys.argv[1])))\n"
            "token = source.current()\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
            "try:\n"
            "    source.files(token)\n"
            "except StoreError as error:\n"
            "    print(error)\n"
        )
        given = {"PYTHONPATH": str(HERE), "PATH": os.environ["PATH"]}
        command = [sys.executable, "-c", program, str(root)]
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=True)
        assert "File too large" in done.stdout


NOTE = {"tiller.version": "3", "tiller.verdict": "champion"}


class TestNotes:
    def test_an_entry_is_one_run_however_often_it_is_noted(self, registry: Registry, store: Store) -> None:
        first = registry.note("planted", NOTE, {"canary/states": 64}, at_ms=1_700_000_000_000, title="champion 3")
        again = registry.note("planted", NOTE, {"canary/states": 64}, at_ms=1_700_000_000_000, title="champion 3")
        other = registry.note("planted", NOTE, {}, at_ms=1_700_000_000_001, title="champion 3")
        assert first == again != other
        run = connect(store).get_run(first)
        assert run.info.status == "FINISHED"
        assert (run.info.start_time, run.info.end_time) == (1_700_000_000_000, 1_700_000_000_000)
        assert run.data.tags.items() >= {**NOTE, "tiller.role": "promotion", "tiller.name": "champion 3"}.items()
        assert run.data.metrics == {"canary/states": 64.0}

    def test_a_note_that_was_broken_off_is_ended(self, registry: Registry, store: Store) -> None:
        first = registry.note("planted", NOTE, {}, at_ms=1, title="gap")
        connect(store).update_run(first, status="RUNNING")
        assert registry.note("planted", NOTE, {"more": 1.0}, at_ms=1, title="gap") == first
        run = connect(store).get_run(first)
        assert (run.info.status, run.data.metrics) == ("FINISHED", {"more": 1.0})


@pytest.mark.slow
def test_a_server_answers_as_the_file_does(
    root: Path, store: Store, folder: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with served(store, root, free_port) as server:
        remote = Store(server.address, None)
        registry, source = Registry(remote), RegistrySource("planted", CHAMPION, remote)
        assert registry.version_of("planted", CHAMPION) is None
        first, second = (registry.create("planted", folder, TAGS) for _ in range(2))
        assert registry.version_of("planted", CHAMPION) is None
        assert [registry.version("planted", "9"), registry.version("other", "1")] == [None, None]
        registry.point("planted", CHAMPION, first)
        assert load_champion(source).token == first.token
        registry.point("planted", CHAMPION, second)
        assert load_champion(source).token == second.token
        assert registry.note("planted", {"a": "b"}, {"m": 1.0}, at_ms=5, title="t") == registry.note(
            "planted", {"a": "b"}, {"m": 1.0}, at_ms=5, title="t"
        )
        registry.drop("planted", CHAMPION)
        with pytest.raises(StoreError, match="no version has this alias"):
            source.current()
    with pytest.raises(StoreError, match="registry"):
        source.current()
