"""The terminal vocabulary: scenarios, fault atoms, and the folder trees that they make.

A tree is built by Python alone, so that a task can be named and counted without a box. An atom's `sign` and `mend`
are what a technician knows of such faults in general: they are the same for every task, and nothing in a box says
which atoms were put into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from controllers.worlds.terminal_box import Entry
from signatures.errors import UsageError

BENCHMARK: Final = "terminal"
HISTORY: Final = "var/history.log"
"""A file of every box that nothing may change."""
_HISTORY_TEXT: Final = "kept since the box was set up; other teams read this file\n"
HEALTH_HEAD: Final = """#!/bin/bash
# Checks of this box: one line a check, `ok NAME` or `FAIL NAME`.
cd "$(dirname "$0")" || exit 1
bad=0
check() {
  if [ "$(eval "$2" 2>/dev/null)" = "$3" ]; then echo "ok $1"; else echo "FAIL $1"; bad=1; fi
}
check starts 'bin/start >/dev/null && echo yes' yes
"""
HEALTH_TAIL: Final = "exit $bad\n"


class Edit(NamedTuple):
    """One change of a tree: `sub` text, set a `mode` (octal), point a `link` elsewhere, or `add` a file."""

    kind: Literal["sub", "mode", "link", "add"]
    path: str
    old: str = ""
    new: str = ""


class Atom(NamedTuple):
    """One fault."""

    name: str
    layer: str
    edits: tuple[Edit, ...]
    sign: str
    "a pattern (multi-line): what the look at the layer shows where the fault is present"
    mend: str
    "a shell command that takes the fault away and changes nothing else"


class Scenario(NamedTuple):
    """One kind of box."""

    name: str
    ticket: str
    "symptoms only"
    files: Mapping[str, str]
    "path -> text; what stands in bin/ or is called `run` is executable"
    checks: str
    "the checks of the health script, a line each"
    links: Mapping[str, str]
    modes: Mapping[str, int]
    "where they are not the usual ones"
    atoms: tuple[Atom, ...]


def sub(path: str, old: str, new: str) -> Edit:
    """Replace a text that the file holds once."""
    return Edit("sub", path, old, new)


def mode(path: str, octal: str) -> Edit:
    """Set a mode, written as chmod takes it."""
    return Edit("mode", path, "", octal)


def link(path: str, target: str) -> Edit:
    """Point a link elsewhere."""
    return Edit("link", path, "", target)


def add(path: str, text: str) -> Edit:
    """Put a file where none is."""
    return Edit("add", path, "", text)


def health(scenario: Scenario) -> str:
    """The health script of a scenario's boxes."""
    return HEALTH_HEAD + scenario.checks + HEALTH_TAIL


def sound(scenario: Scenario) -> dict[str, Entry]:
    """The tree of a box without a fault."""
    files = {**scenario.files, "health": health(scenario), HISTORY: _HISTORY_TEXT}
    tree: dict[str, Entry] = {"run": ("d", 0o755, "")}
    for path, text in files.items():
        _folders(tree, path)
        runs = path.startswith("bin/") or path.rpartition("/")[2] in ("run", "health")
        tree[path] = ("f", scenario.modes.get(path, 0o755 if runs else 0o644), text)
    for path, target in scenario.links.items():
        _folders(tree, path)
        tree[path] = ("l", 0o777, target)
    for path, bits in scenario.modes.items():
        tree[path] = (tree[path][0], bits, tree[path][2])
    return tree


def broken(scenario: Scenario, atoms: Iterable[Atom]) -> dict[str, Entry]:
    """The tree of a box with these faults. Raises UsageError where two of them cannot stand together."""
    tree = sound(scenario)
    for atom in atoms:
        for edit in atom.edits:
            _apply(tree, edit, f"{scenario.name} {atom.name}")
    return tree


def touched(scenario: Scenario, atoms: Iterable[Atom]) -> frozenset[str]:
    """The paths that the faults are in."""
    before, after = sound(scenario), broken(scenario, atoms)
    return frozenset(path for path in {*before, *after} if before.get(path) != after.get(path))


def _folders(tree: dict[str, Entry], path: str) -> None:
    above = path.rpartition("/")[0]
    while above:
        tree.setdefault(above, ("d", 0o755, ""))
        above = above.rpartition("/")[0]


def _apply(tree: dict[str, Entry], edit: Edit, where: str) -> None:
    if edit.kind == "add":
        if edit.path in tree:
            raise UsageError(f"{where}: {edit.path} is there already")
        _folders(tree, edit.path)
        tree[edit.path] = ("f", 0o644, edit.new)
        return
    kind, bits, text = tree[edit.path]
    if edit.kind == "mode":
        tree[edit.path] = (kind, int(edit.new, 8), text)
    elif edit.kind == "link":
        tree[edit.path] = ("l", bits, edit.new)
    else:
        if text.count(edit.old) != 1:
            raise UsageError(f"{where}: {edit.path} does not hold {edit.old!r} once")
        tree[edit.path] = (kind, bits, text.replace(edit.old, edit.new))
