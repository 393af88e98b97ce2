"""The static half of the firewall: who can name a verdict, and who is handed a number of the judge."""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import optimizers.evidence.reflection
import optimizers.proposers.lm
import optimizers.proposers.mined
import optimizers.space
from controllers.history import Seen
from controllers.policies import View
from optimizers.evidence.reflection import Reflection

ROOT = Path(__file__).resolve().parents[2]
JUDGED = ("Verdict", "Judgement", "TaskScore", "Scored", "VerdictLedger", "Tree", "Entry", "Archive", "EvaluationBatch")
BLIND = (optimizers.evidence.reflection, optimizers.space, optimizers.proposers.mined, optimizers.proposers.lm)
SCORED = ("judges", "optimizers.records", "optimizers.evaluator", "optimizers.scoring", "optimizers.vectors", "gepa")


def imports(path: Path) -> Iterator[str]:
    """Everything a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def named(path: Path, names: tuple[str, ...]) -> set[str]:
    """The names of `names` that a file's code uses."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return used & set(names)


def of(package: str, *names: str) -> list[str]:
    return [name for name in names if name == package or name.startswith(f"{package}.")]


def test_nothing_in_controllers_or_signatures_imports_judges() -> None:
    files = sorted([*(ROOT / "controllers").rglob("*.py"), *(ROOT / "signatures").rglob("*.py")])
    assert len(files) > 40
    assert [file.name for file in files if of("judges", *imports(file))] == []
    assert [file.name for file in files if named(file, ("Verdict", "VerdictLedger", "Judgement"))] == []


@pytest.mark.parametrize("module", BLIND, ids=lambda module: module.__name__)
def test_what_reflects_and_proposes_imports_nothing_that_holds_a_verdict(module: ModuleType) -> None:
    path = Path(inspect.getfile(module))
    assert [name for name in imports(path) if any(of(scored, name) for scored in SCORED)] == []
    assert named(path, JUDGED) == set()


@pytest.mark.parametrize("module", BLIND, ids=lambda module: module.__name__)
def test_no_function_of_theirs_takes_what_the_judge_said(module: ModuleType) -> None:
    functions = [f for _, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == module.__name__]
    classes = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
    functions += [
        f for c in classes for _, f in inspect.getmembers(c, inspect.isfunction) if f.__module__ == module.__name__
    ]
    assert functions
    for function in functions:
        told = " ".join(str(parameter) for parameter in inspect.signature(function).parameters.values())
        assert not any(name in told for name in JUDGED), function.__qualname__
        assert not any(word in told.lower() for word in ("verdict", "score", "judge")), function.__qualname__


@pytest.mark.parametrize("record", [Reflection, View, Seen])
def test_what_is_shown_has_no_place_for_a_verdict(record: type) -> None:
    for name, kind in typing.get_type_hints(record).items():
        assert not any(word in f"{name} {kind}".lower() for word in ("verdict", "judge", "score")), name


def test_in_optimizers_only_the_evaluator_holds_the_ledger() -> None:
    holders = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "optimizers").rglob("*.py")
        if named(file, ("VerdictLedger",)) and "gate" not in file.parts
    }
    assert holders == {"optimizers/evaluator.py"}
