"""Two claims on one name stop a run: shown with a real second distribution on a real search path."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from experiments.preflight import DISTRIBUTION, PACKAGES, name_clashes, package_folders, strangers

ROOT = Path(__file__).resolve().parents[2]
CHECK = "from experiments.cli import exits\nfrom experiments.preflight import preflight\nwith exits(): preflight()"


def stranger_distribution(folder: Path, package: str) -> None:
    """A distribution called `other` that ships a top-level package of that name, as an installer would lay it."""
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_text("")
    info = folder / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"{package}/__init__.py,,\nother-1.0.dist-info/METADATA,,\n")


def checked(*search_path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, search_path))}
    return subprocess.run(
        [sys.executable, "-c", CHECK], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("package", ["judges", "signatures"])
def test_a_second_distribution_of_that_name_is_refused(tmp_path: Path, package: str) -> None:
    stranger_distribution(tmp_path / "site", package)
    ended = checked(ROOT, tmp_path / "site", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert f"error: package '{package}' is also claimed by the installed distribution other" in ended.stderr


def test_a_distribution_of_another_name_is_not(tmp_path: Path) -> None:
    stranger_distribution(tmp_path / "site", "judgements")
    ended = checked(ROOT, tmp_path / "site", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_callers_folder_that_shadows_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "optimizers").mkdir()
    (tmp_path / "optimizers" / "__init__.py").write_text("")
    ended = checked(ROOT, cwd=tmp_path)
    assert ended.returncode == 2
    assert "error: package 'optimizers' comes from" in ended.stderr


def test_claims_are_counted_once_and_ours_are_free() -> None:
    assert name_clashes({"judges": ["tiller"], "experiments": ["Tiller", "tiller"], "numpy": ["numpy"]}) == ()
    (problem,) = name_clashes({"judges": ["b", "tiller", "a", "a"]})
    assert "installed distribution a and b: pip uninstall a b" in problem


def test_a_missing_package_and_one_from_elsewhere_are_named(tmp_path: Path) -> None:
    folders: dict[str, Path | None] = {package: tmp_path / package for package in PACKAGES}
    assert strangers(folders) == ()
    folders |= {"judges": None, "controllers": tmp_path / "lib" / "controllers"}
    missing = strangers(folders)
    assert len(missing) == 2
    assert "package 'controllers' comes from" in missing[0]
    assert "package 'judges' comes from nowhere" in missing[1]


def test_the_packages_of_this_checkout_lie_side_by_side() -> None:
    assert package_folders() == {package: ROOT / package for package in PACKAGES}


def test_the_names_are_those_of_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["name"] == DISTRIBUTION
    assert tuple(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == PACKAGES
