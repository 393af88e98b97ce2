from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from signatures import errors
from signatures.errors import EvidenceError, InfraError, TillerError

# name -> (parent in the tree, standard library type it refines, exit code)
TREE: dict[str, tuple[str, type[Exception], int]] = {
    "UsageError": ("TillerError", ValueError, 2),
    "InfraError": ("TillerError", RuntimeError, 3),
    "ReleaseRefused": ("UsageError", ValueError, 2),
    "ProgramRefused": ("UsageError", ValueError, 2),
    "ProgramFault": ("UsageError", ValueError, 2),
    "ProviderError": ("InfraError", RuntimeError, 3),
    "WorkerError": ("InfraError", RuntimeError, 3),
    "StoreError": ("InfraError", RuntimeError, 3),
    "JudgeUnavailable": ("InfraError", RuntimeError, 3),
    "Outage": ("InfraError", RuntimeError, 3),
    "EvidenceError": ("TillerError", ArithmeticError, 4),
    "NoSupport": ("EvidenceError", ArithmeticError, 4),
    "Underpowered": ("EvidenceError", ArithmeticError, 4),
    "UnequalCompute": ("EvidenceError", ArithmeticError, 4),
    "HoldoutSpent": ("EvidenceError", ArithmeticError, 4),
    "ActivationGap": ("TillerError", RuntimeError, 1),
    "BudgetExceeded": ("TillerError", RuntimeError, 2),
    "FirewallBreach": ("TillerError", PermissionError, 5),
}


def below(kind: type[TillerError]) -> Iterator[type[TillerError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from below(child)


def drawn() -> dict[str, str]:
    """Name -> parent, as the module's docstring draws the tree."""
    found: dict[str, str] = {}
    parents: dict[int, str] = {0: "TillerError"}
    for line in (errors.__doc__ or "").splitlines():
        depth = line.find("+- ")
        if depth < 0:
            continue
        words = line[depth + 3 :].split("  ") if depth else [line[3:].partition("  ")[0].split(" (")[0]]
        siblings = [w.strip() for w in words if w.strip().isidentifier() and hasattr(errors, w.strip())]
        level = depth // 3
        for name in siblings:
            found[name] = parents[level]
        parents[level + 1] = siblings[-1]
    return found


def test_the_tree_is_as_drawn() -> None:
    assert drawn() == {name: parent for name, (parent, _, _) in TREE.items()}


def test_the_classes_are_the_tree() -> None:
    assert {cls.__name__ for cls in below(TillerError)} == set(TREE)


@pytest.mark.parametrize("name", TREE)
def test_each_error_stands_where_it_is_drawn(name: str) -> None:
    parent, refines, code = TREE[name]
    kind = getattr(errors, name)
    assert kind.__bases__[0] is getattr(errors, parent)
    assert issubclass(kind, refines)
    assert kind.exit_code == code


@pytest.mark.parametrize("name", TREE)
def test_each_error_pickles(name: str) -> None:
    error = getattr(errors, name)("what happened")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == "what happened"


def test_an_infrastructure_error_keeps_when_to_try_again() -> None:
    back = pickle.loads(pickle.dumps(errors.ProviderError("slow down", retryable=True, retry_after_s=7.5)))
    assert (str(back), back.retryable, back.retry_after_s) == ("slow down", True, 7.5)
    plain = InfraError("gone")
    assert (plain.retryable, plain.retry_after_s) == (False, None)


def test_a_programs_errors_keep_what_they_know() -> None:
    fault = pickle.loads(pickle.dumps(errors.ProgramFault("it ran on", kind="cpu")))
    assert (str(fault), fault.kind) == ("it ran on", "cpu")
    refused = pickle.loads(pickle.dumps(errors.ProgramRefused("line 3: an import", line=3)))
    assert (str(refused), refused.line) == ("line 3: an import", 3)
    assert not issubclass(errors.ProgramFault, InfraError)


def test_what_may_not_be_concluded_is_no_infrastructure() -> None:
    assert not issubclass(EvidenceError, InfraError)
    assert TillerError.exit_code == 1
