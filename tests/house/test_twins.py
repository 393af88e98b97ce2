"""A test file per module, at the same path; and no package below `tests/`, which would shadow ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.house.conftest import Module

WITHOUT = ("__init__.py", "__main__.py")


def test_every_module_has_a_test_file_at_the_same_path(modules: tuple[Module, ...], root: Path) -> None:
    paths = [Path(module.path) for module in modules]
    lonely = [
        path.as_posix()
        for path in paths
        if path.name not in WITHOUT and not (root / "tests" / path.parent / f"test_{path.name}").is_file()
    ]
    assert lonely == []


def test_every_test_file_holds_a_test(test_modules: tuple[Module, ...]) -> None:
    def tests(module: Module) -> bool:
        return "def test_" in module.text or "class Test" in module.text

    assert [m.path for m in test_modules if Path(m.path).name.startswith("test_") and not tests(m)] == []


def test_no_package_stands_below_tests(test_modules: tuple[Module, ...]) -> None:
    assert [module.path for module in test_modules if module.path.endswith("__init__.py")] == []
