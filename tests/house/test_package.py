"""The wheel, built and installed into a folder of its own and used from elsewhere, where no checkout can hide it."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

IMPORT_ALL = """
import importlib, pathlib, sys
home = pathlib.Path(sys.argv[1])
for package in sys.argv[2:]:
    for file in sorted((home / package).rglob("*.py")):
        name = ".".join(file.relative_to(home).with_suffix("").parts).removesuffix(".__init__")
        module = importlib.import_module(name)
        assert pathlib.Path(module.__file__).is_relative_to(home), f"{name} comes from {module.__file__}"
"""


def used(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python from the folder `cwd`, with the installed wheel before everything else."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="session")
def installed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed here")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder, root], check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    target = folder / "installed"
    install = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--target", target, wheel]
    subprocess.run(install, check=True, timeout=300)
    return target


def test_the_wheel_holds_the_packages_and_nothing_else(
    installed: Path, root: Path, packages: tuple[str, ...], repository: tuple[Path, ...]
) -> None:
    shipped = {
        name
        for file in installed.rglob("*")
        if file.is_file()
        and file.suffix != ".pyc"
        and not (name := file.relative_to(installed).as_posix()).startswith(("bin/", "tiller-", "."))
    }
    names = {file.relative_to(root).as_posix() for file in repository}
    assert shipped == {name for name in names if name.split("/")[0] in packages}


def test_every_module_is_imported_from_the_wheel_without_a_word(
    installed: Path, tmp_path: Path, packages: tuple[str, ...]
) -> None:
    ended = used(installed, tmp_path, "-c", IMPORT_ALL, str(installed), *packages)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_command_works_from_the_wheel(installed: Path, tmp_path: Path, command: str) -> None:
    ended = used(installed, tmp_path, "-m", f"experiments.{command}", "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Usage:" in ended.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_console_scripts_start(installed: Path, tmp_path: Path) -> None:
    scripts = sorted((installed / "bin").glob("tiller-*"))
    assert "tiller-doctor" in [script.name for script in scripts]
    ended = {script.name: used(installed, tmp_path, str(script), "--help") for script in scripts}
    assert {name: end.stderr for name, end in ended.items() if end.returncode != 0} == {}


def test_every_command_has_a_console_script(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {f"experiments.{file.stem}:main" for file in (root / "experiments").glob("*_run.py")}
    assert set(project["scripts"].values()) == wanted
    for target in project["scripts"].values():
        assert callable(importlib.import_module(target.partition(":")[0]).main)


def test_every_folder_with_code_is_a_package(root: Path, packages: tuple[str, ...]) -> None:
    folders = {file.parent for package in packages for file in (root / package).rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_the_constraints_are_those_of_the_lock(root: Path) -> None:
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[\w.+!]+( ; .+)?", pin)] == []
    pinned = {(name, version) for pin in pins for name, version in [pin.split(" ;")[0].split("==")]}
    lock = tomllib.loads((root / "uv.lock").read_text(encoding="utf-8"))
    locked = {(package["name"], package["version"]) for package in lock["package"] if package["name"] != "tiller"}
    assert pinned == locked
