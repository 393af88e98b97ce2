"""Where a run is: a folder that appears whole, one per run, and a corpus that was looked at first."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from controllers.corpus import SqliteCorpus
from experiments.config import merge
from experiments.places import claim, corpus_path, ledger_beside, require_usable, require_writable, resumed
from experiments.search_config import SearchConfig
from experiments.wiring import ready
from judges.ledger import VerdictLedger
from judges.manifest import Manifest, require_unchanged
from signatures.errors import UsageError
from tests.worlds.small import NAME, small


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return ready(small(tmp_path_factory.mktemp("root"))).manifest


def below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_run_folder_appears_with_config_and_manifest(tmp_path: Path, manifest: Manifest) -> None:
    config = small(tmp_path / "runs", options={"noise": 0.3})
    folder = claim(config, manifest)
    assert folder == tmp_path / "runs" / NAME
    assert below(tmp_path / "runs") == {NAME, f"{NAME}/config.toml", f"{NAME}/manifest.json"}
    assert resumed(folder) == config
    require_unchanged(folder / "manifest.json", manifest)


def test_each_run_has_a_folder_of_its_own(tmp_path: Path, manifest: Manifest) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(claim(small(tmp_path), manifest))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in found) == sorted(f"{NAME[:-1]}{n}" for n in range(1, 9))
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in found}


def test_another_seed_counts_from_one(tmp_path: Path, manifest: Manifest) -> None:
    claim(small(tmp_path), manifest)
    assert claim(small(tmp_path, seed=3), manifest).name.endswith("-gepa-s3-1")


def test_a_root_that_is_a_file_is_refused_and_left_alone(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / "runs").write_text("mine")
    with pytest.raises(UsageError, match="cannot make a run folder"):
        claim(small(tmp_path / "runs"), manifest)
    assert (tmp_path / "runs").read_text() == "mine"


def test_what_is_no_run_folder_cannot_be_resumed(tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(UsageError, match=r"is no run folder, it has no config\.toml"):
        resumed(tmp_path)
    (tmp_path / "config.toml").write_text("seed = 1\n")
    with pytest.raises(UsageError, match=r"is no run folder, it has no manifest\.json"):
        resumed(tmp_path)


def test_a_run_folder_with_a_broken_config_is_named(tmp_path: Path, manifest: Manifest) -> None:
    folder = claim(small(tmp_path), manifest)
    (folder / "config.toml").write_text("seed = \n")
    with pytest.raises(UsageError, match=r"config\.toml:1: not TOML"):
        resumed(folder)


def test_the_corpus_is_the_configs_or_the_benchmarks(tmp_path: Path) -> None:
    assert corpus_path(small(tmp_path), tmp_path, "planted") == tmp_path / "corpus-planted.db"
    assert corpus_path(small(tmp_path, corpus="my/own.db"), tmp_path, "planted") == Path("my/own.db")
    assert ledger_beside(Path("my/own.db")) == Path("my/own.verdicts.db")


def test_a_corpus_that_is_not_there_yet_can_be_used_and_is_not_made(tmp_path: Path) -> None:
    require_usable(tmp_path / "deep" / "corpus.db")
    assert below(tmp_path) == set()


def test_a_corpus_and_its_ledger_can_be_used_again(tmp_path: Path) -> None:
    SqliteCorpus(tmp_path / "corpus.db").close()
    VerdictLedger(tmp_path / "corpus.verdicts.db").close()
    before = {name: (tmp_path / name).read_bytes() for name in below(tmp_path)}
    require_usable(tmp_path / "corpus.db")
    assert {name: (tmp_path / name).read_bytes() for name in below(tmp_path)} == before


def test_an_empty_file_is_a_corpus_to_be(tmp_path: Path) -> None:
    (tmp_path / "corpus.db").touch()
    require_usable(tmp_path / "corpus.db")
    assert (tmp_path / "corpus.db").read_bytes() == b""


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (x)")
        database.commit()


@pytest.mark.parametrize("name", ["corpus.db", "corpus.verdicts.db"])
@pytest.mark.parametrize("spoil", ["garbage", "foreign", "folder"])
def test_what_is_no_corpus_is_refused_and_left_alone(tmp_path: Path, name: str, spoil: str) -> None:
    file = tmp_path / name
    if spoil == "garbage":
        file.write_bytes(os.urandom(5000))
    elif spoil == "foreign":
        foreign(file)
    else:
        file.mkdir()
    before = file.read_bytes() if file.is_file() else b""
    with pytest.raises(UsageError, match="this corpus cannot be used") as refused:
        require_usable(tmp_path / "corpus.db")
    assert "\n" not in str(refused.value)
    assert (file.read_bytes() if file.is_file() else b"") == before
    assert below(tmp_path) == {name}


def test_a_folder_that_could_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    require_writable(tmp_path / "a" / "b")
    with pytest.raises(UsageError, match="nothing can be written"):
        require_writable(tmp_path / "file" / "b")


def test_the_config_of_a_claimed_folder_is_whole(tmp_path: Path, manifest: Manifest) -> None:
    folder = claim(small(tmp_path, lm="a/b", max_usd=1.5), manifest)
    assert merge(SearchConfig, folder / "config.toml") == small(tmp_path, lm="a/b", max_usd=1.5)
