"""What exactly was searched: config as params, digests, versions and the commit as tags, all of them text."""

from __future__ import annotations

import subprocess
from pathlib import Path

from experiments.places import claim
from experiments.search.learned import CorpusRead, Learned
from experiments.search.started import HOME, commit, started_event
from experiments.search_config import ADDED, SearchConfig
from experiments.wiring import ready, wired
from tests.worlds.small import small


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def checkout(folder: Path) -> Path:
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("a")
    git(folder, "add", "a.txt")
    git(folder, "commit", "-q", "-m", "a")
    return folder


def test_a_clean_checkout_is_named_by_its_commit(tmp_path: Path) -> None:
    home = checkout(tmp_path / "home")
    assert commit(home) == git(home, "rev-parse", "HEAD")


def test_a_changed_file_is_marked_and_a_new_one_is_not(tmp_path: Path) -> None:
    home = checkout(tmp_path / "home")
    (home / "new.txt").write_text("new")
    assert not commit(home).endswith("+")
    (home / "a.txt").write_text("b")
    assert commit(home) == git(home, "rev-parse", "HEAD") + "+"


def test_another_projects_checkout_around_an_installed_tiller_says_nothing(tmp_path: Path) -> None:
    site_packages = checkout(tmp_path / "users") / "venv" / "site-packages"
    site_packages.mkdir(parents=True)
    assert commit(site_packages) == ""


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert commit(tmp_path) == ""
    assert commit(tmp_path / "nowhere") == ""


def test_the_packages_lie_in_home() -> None:
    assert (HOME / "experiments" / "search" / "started.py").is_file()


def test_the_first_event_says_what_is_searched(tmp_path: Path) -> None:
    config = small(tmp_path, options={"noise": 0.2}, seed=5)
    given = ready(config)
    folder = claim(config, given.manifest)
    with wired(given, folder) as parts:
        event = started_event(config, folder, parts)
    assert (event.run_id, event.benchmark, event.engine, event.seed) == (folder.name, "planted", "gepa", 5)
    assert event.objectives == ("correct", "fast", "cheap", "clean")
    assert set(event.config) == set(SearchConfig.model_fields) - set(ADDED)
    assert (event.config["options"], event.config["lm"]) == ('{"noise": 0.2}', "null")
    assert event.tags["tiller.manifest"] == given.manifest.digest
    assert event.tags["tiller.proposer"] == "mined"
    assert '"noise":"0.2"' in event.tags["tiller.worker"]
    assert {"tiller.split.search", "tiller.split.dev", "tiller.version.gepa", "tiller.judge"} <= set(event.tags)
    assert "tiller.split.holdout" not in event.tags


def test_a_run_that_learned_says_from_what(tmp_path: Path) -> None:
    config = small(tmp_path, learn_from="all")
    given = ready(config)
    read = CorpusRead(name="corpus-a.db", until=7, segments=(), episodes={}, left_out={}, moves=0, digest="aa")
    note = Learned(corpora=(read,))
    with wired(given, claim(config, given.manifest)) as parts:
        plain, taught = (started_event(config, tmp_path, parts, one) for one in (None, note))
    assert taught.config["learn_from"] == "all"
    assert taught.tags == {**plain.tags, **note.tags}
