"""The terminal vocabulary of places: where a box can be at fault, and which commands look there or change it.

It says where a fault could be, never where one is: it is the same for every task.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controllers.worlds.layered import Layer, directives, spoken_of
from controllers.worlds.terminal_faults import BENCHMARK
from signatures.records import TraceEvent

TOOL: Final = "run"
HEALTH: Final = "./health"
SAVED: Final = ".before"
"""A copy that a worker may make of the box before a change; what it does there counts for nothing."""


@dataclass(frozen=True)
class Place(Layer):
    """A layer of a box, and how commands tell of it."""

    look: str
    "a command that shows it in every box"
    shown: str
    "a pattern: a command that matches it shows this layer"
    path: str
    "a pattern: what is written there changes this layer; empty: told by the command alone"


_READ: Final = r"\b(?:cat|head|tail|less|more|grep|sed -n|nl|od|find|awk|diff|xargs)\b.*"
_LONG: Final = r"\bls\b[^|;&]* -\w*l|\bstat\b"
LAYERS: Final = (
    Place(
        "modes",
        "modes_links",
        "file modes",
        r"\bmodes?\b|permission|chmod",
        r"find . -name .before -prune -o ! -type l -printf '%m %p\n' | sort -k2",
        rf"{_LONG}|%m|-perm",
        "",
    ),
    Place(
        "links",
        "modes_links",
        "symbolic links",
        r"\blinks?\b|symlink|\bln\b",
        r"find . -name .before -prune -o -type l -printf '%p -> %l\n' | sort",
        rf"{_LONG}|readlink|%l\b|-type l",
        "",
    ),
    Place(
        "config",
        "config_env",
        "config files",
        r"\bconfig|\.conf\b|settings",
        "head -v -n 20 etc/*.conf",
        rf"{_READ}etc/(?:\S*\.conf|\*)",
        r"etc/\S*\.conf",
    ),
    Place(
        "env",
        "config_env",
        "environment",
        r"\benv\b|environment|\bPATH\b",
        "cat etc/env",
        rf"{_READ}etc/(?:env|\*)|\bprintenv\b",
        r"etc/env",
    ),
    Place(
        "scripts",
        "scripts_schedule",
        "scripts",
        r"\bscripts?\b|\bbin/|program text",
        "find bin pkg lib -type f 2>/dev/null | sort | xargs head -v -n 40",
        rf"{_READ}\b(?:bin|pkg|lib|tools)\b",
        r"\b(?:bin|pkg|lib|tools)/",
    ),
    Place(
        "schedule",
        "scripts_schedule",
        "schedule",
        r"\bschedule|crontab|\bcron\b",
        "cat etc/crontab",
        rf"{_READ}etc/(?:crontab|\*)",
        r"etc/crontab",
    ),
    Place(
        "data",
        "data",
        "input data",
        r"\bdata\b|\binput",
        "find data releases -type f 2>/dev/null | sort | xargs head -v -n 12 | cat -v",
        rf"{_READ}\b(?:data|releases)\b",
        r"\b(?:data|releases)/",
    ),
    Place(
        "leftovers",
        "leftovers",
        "leftover files",
        r"left ?overs?|\block|\bstale|stray|\bvar\b",
        r"find var -type f -printf '%s %p\n' | sort -k2",
        r"\b(?:ls|find|du|tree)\b.*\bvar\b|\bls -\w*R",
        r"\bvar/",
    ),
)
LAYER_NAMES: Final = tuple(layer.name for layer in LAYERS)
DIRECTIVES: Final = directives(LAYERS)
LOOKS: Final[Mapping[str, str]] = {layer.name: layer.look for layer in LAYERS}
_SHOWN: Final = {layer.name: re.compile(layer.shown) for layer in LAYERS}
_PATHS: Final = {layer.name: re.compile(layer.path) for layer in LAYERS if layer.path}
_WRITES: Final = re.compile(
    r"\bsed\s+(?:-\w+\s+)*-\w*i|>|\b(?:tee|cp|mv|rm|truncate|patch|touch|install|unlink|rmdir|mkdir)\b|\bperl\s+-\w*i"
)
_QUIET: Final = re.compile(r"\d?>&\d|&>\s*/dev/null|\d?>\s*/dev/null")
_PARTS: Final = re.compile(r"&&|\|\||[;\n]")
_SIGNS: Final = re.compile(r"^(ok|FAIL) \S+", re.MULTILINE)


def command_of(event: TraceEvent) -> str:
    """The shell command of a trace event, empty where it is none."""
    if event.kind != "tool" or event.name != TOOL:
        return ""
    try:
        found = json.loads(event.arguments)
    except ValueError:
        return ""
    command = found.get("command") if isinstance(found, dict) else None
    return command if isinstance(command, str) else ""


def shows(command: str) -> frozenset[str]:
    """The layers that a command's output is about."""
    parts = _parts(command)
    return frozenset(name for name, pattern in _SHOWN.items() if any(pattern.search(part) for part in parts))


def touches(command: str) -> tuple[str, ...]:
    """The layers that a command changes where it succeeds, in table order."""
    found: set[str] = set()
    for part in _parts(command):
        if re.search(r"\bch(?:mod|own|grp)\b", part):
            found.add("modes")
        elif re.search(r"\bln\b", part):
            found.add("links")
        elif _WRITES.search(part):
            found.update(name for name, pattern in _PATHS.items() if pattern.search(part))
    return tuple(name for name in LAYER_NAMES if name in found)


def _parts(command: str) -> list[str]:
    return [part for part in _PARTS.split(_QUIET.sub(" ", command)) if SAVED + "/" not in part]


def layers_in(text: str) -> frozenset[str]:
    """The layers that `text` speaks of, whoever wrote it."""
    return spoken_of(LAYERS, text)


def health_share(text: str) -> float | None:
    """The share of health checks that passed by the script's own words; None where `text` has none."""
    found = _SIGNS.findall(text)
    return found.count("ok") / len(found) if found else None


__all__ = [
    "BENCHMARK",
    "DIRECTIVES",
    "HEALTH",
    "LAYERS",
    "LAYER_NAMES",
    "LOOKS",
    "SAVED",
    "TOOL",
    "Place",
    "command_of",
    "health_share",
    "layers_in",
    "shows",
    "touches",
]
