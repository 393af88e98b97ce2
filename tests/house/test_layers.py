"""The order of packages, who may name the ledger and MLflow, and where `except Exception` may stand."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.house.conftest import Module

LEDGER = "judges.ledger"
VERDICT = "judges.records"
LEDGER_READERS = ("optimizers/gate/", "optimizers/evaluator.py", "experiments/")
MLFLOW_USERS = ("experiments/tracking.py", "experiments/registry.py")
BROAD = {"Exception", "BaseException"}
BOUNDARY = "controllers/boundary.py"

# Each pattern is written so that it does not match itself. An invented user is called `me`.
MACHINE_PATH = re.compile(
    r"(?<![\w.}])/(?:wor[k]|far[m]|roo[t]|hom[e]|User[s])/(?!me/)|[A-Z]:\\User[s]|\.\./share[d]\b"
)
PLACE_WORD = re.compile(r"DESIG[N](?:\.md|\s+section)|CONVENTION[S]\b|\bfar[m]\b|file[:]//|extra-inde[x]|find-link[s]")


def imported(module: Module) -> Iterator[tuple[str, int]]:
    """Every dotted name that a module imports; `from a import b` gives both `a` and `a.b`."""
    here = module.path.removesuffix(".py").removesuffix("/__init__").split("/")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = here[: len(here) - node.level + module.path.endswith("/__init__.py")] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            yield base, node.lineno
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            # import_module("x") and __import__("x")
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value, node.lineno


def naming(modules: Iterable[Module], name: str, allowed: tuple[str, ...]) -> list[str]:
    """The places outside `allowed` (path beginnings) that import `name` or something below it."""
    return [
        f"{module.path}:{line} imports {found}"
        for module in modules
        if not module.path.startswith(allowed)
        for found, line in imported(module)
        if found == name or found.startswith(f"{name}.")
    ]


def broad_excepts(modules: Iterable[Module]) -> list[str]:
    """Handlers of everything outside the boundary; one that ends in a bare `raise` swallows nothing and may stand."""
    found = []
    for module in modules:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ExceptHandler) or module.path == BOUNDARY:
                continue
            kinds = [node.type] if not isinstance(node.type, ast.Tuple) else node.type.elts
            broad = any(kind is None or (isinstance(kind, ast.Name) and kind.id in BROAD) for kind in kinds)
            last = node.body[-1]
            if broad and not (isinstance(last, ast.Raise) and last.exc is None):
                found.append(f"{module.path}:{node.lineno}")
    return found


def test_the_order_of_packages_holds(root: Path) -> None:
    program = Path(sys.executable).with_name("lint-imports")
    if not program.exists():
        pytest.skip("import-linter is not installed here")
    command = [str(program), "--no-cache", "--no-logo"]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_no_package_imports_one_to_its_right(modules: tuple[Module, ...], packages: tuple[str, ...]) -> None:
    """The same order from the syntax trees, which also holds for imports inside functions and for strings."""
    against = [
        f"{module.path}:{line} imports {name}"
        for module in modules
        for name, line in imported(module)
        for right in packages[packages.index(module.path.split("/")[0]) + 1 :]
        if name.split(".")[0] == right
    ]
    assert against == []


def test_only_the_gate_and_the_evaluator_name_the_ledger(modules: tuple[Module, ...]) -> None:
    """Nor `Verdict`, nor a module of `judges` through which the ledger could be had."""
    through = {place.partition(".py:")[0].replace("/", ".") for place in naming(modules, LEDGER, LEDGER_READERS)}
    assert "judges.__init__" not in through
    for name in sorted({LEDGER, VERDICT} | {name for name in through if name.startswith("judges.")}):
        assert naming(modules, name, (*LEDGER_READERS, "judges/")) == []


def test_only_tracking_and_registry_import_mlflow(modules: tuple[Module, ...]) -> None:
    assert naming(modules, "mlflow", MLFLOW_USERS) == []


def test_only_the_boundary_catches_everything(modules: tuple[Module, ...]) -> None:
    assert broad_excepts(modules) == []


def test_no_module_is_named_after_a_dependency(modules: tuple[Module, ...], root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for many in project["optional-dependencies"].values() for one in many)]
    names = {re.split(r"[\s<>=!~;\[]", line)[0].lower().replace("-", "_") for line in wanted} | {"tau2"}
    taken = [m.path for m in modules if names & set(m.path.removesuffix(".py").split("/"))]
    taken += [folder for folder in ("datasets", "mlflow", "dspy") if (root / folder).exists()]
    assert taken == []


def test_no_text_names_a_machine_or_the_place_it_was_written(repository: tuple[Path, ...], root: Path) -> None:
    found = []
    for file in repository:
        if b"\0" in (data := file.read_bytes())[:8192] or file.suffix == ".lock":
            continue
        for number, line in enumerate(data.decode("utf-8").splitlines(), 1):
            if match := MACHINE_PATH.search(line) or PLACE_WORD.search(line):
                found.append(f"{file.relative_to(root)}:{number} {match[0]}")
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "import judges.ledger",
        "from judges import ledger",
        "from judges.ledger import Ledger",
        "def f():\n    from judges.ledger import Ledger as L",
        "import importlib\nimportlib.import_module('judges.ledger')",
    ],
)
def test_a_reader_of_the_ledger_is_found(text: str, parse: Callable[[str, str], Module]) -> None:
    assert len(naming([parse("optimizers/evaluators.py", text)], LEDGER, LEDGER_READERS)) >= 1
    assert len(naming([parse("controllers/loop.py", text)], LEDGER, LEDGER_READERS)) >= 1
    assert naming([parse("optimizers/gate/paired.py", text)], LEDGER, LEDGER_READERS) == []


def test_a_relative_import_is_resolved(parse: Callable[[str, str], Module]) -> None:
    assert ("judges.ledger", 1) in list(imported(parse("judges/stability.py", "from . import ledger")))
    assert ("judges.ledger", 1) in list(imported(parse("judges/__init__.py", "from .ledger import Ledger")))
    assert ("judges.ledger", 1) in list(imported(parse("judges/x/y.py", "from ..ledger import Ledger")))


def test_a_handler_of_everything_is_found(parse: Callable[[str, str], Module]) -> None:
    swallow = "try:\n    f()\nexcept {}:\n    pass\n"
    for kinds in ("Exception", "(ValueError, BaseException)", "Exception as e"):
        assert broad_excepts([parse("judges/x.py", swallow.format(kinds))]) == ["judges/x.py:3"]
    assert broad_excepts([parse("judges/x.py", "try:\n    f()\nexcept BaseException:\n    g()\n    raise\n")]) == []
    assert broad_excepts([parse(BOUNDARY, swallow.format("Exception"))]) == []


@pytest.mark.parametrize("text", ["see /ho" + "me/you/x", "'/wo" + "rk/y'", "(/ro" + "ot/z)", "DESI" + "GN section 4"])
def test_a_machine_path_is_found(text: str) -> None:
    assert MACHINE_PATH.search(text) or PLACE_WORD.search(text)


@pytest.mark.parametrize("text", ["/usr/bin/env", "docs/work/x.md", "/home/me/x", "{root}/work/x", "a design section"])
def test_an_ordinary_path_is_not(text: str) -> None:
    assert not (MACHINE_PATH.search(text) or PLACE_WORD.search(text))
