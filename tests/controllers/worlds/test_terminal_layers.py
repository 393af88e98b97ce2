from __future__ import annotations

import json

import pytest

from controllers.worlds.layered import groups, labels
from controllers.worlds.terminal_layers import (
    DIRECTIVES,
    LAYER_NAMES,
    LAYERS,
    LOOKS,
    command_of,
    health_share,
    layers_in,
    shows,
    touches,
)
from signatures.records import TraceEvent


def test_directives_point_at_every_layer_once() -> None:
    assert len(DIRECTIVES) == 8 and [d.action for d in DIRECTIVES[:5]] == list(groups(LAYERS))
    for directive in DIRECTIVES[:5]:
        assert layers_in(directive.text) == set(groups(LAYERS)[directive.action])
        assert directive.text == f"Look first at: {labels(LAYERS, layers_in(directive.text))}."
    assert not layers_in(DIRECTIVES[5].text) | layers_in(DIRECTIVES[6].text) | layers_in(DIRECTIVES[7].text)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_each_layer_is_found_by_its_label_and_its_look(layer: object) -> None:
    name, label = layer.name, layer.label  # type: ignore[attr-defined]  # parametrize passes it untyped
    assert layers_in(label) == {name}
    assert name in shows(LOOKS[name]) and touches(LOOKS[name]) == ()


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("ls -la", {"modes", "links"}),
        ("stat bin/start", {"modes", "links"}),
        ("cat etc/*", {"config", "env", "schedule"}),
        ("cd bin; grep -n x *.conf", set()),
        ("head -n 5 bin/start && cat etc/web.conf", {"scripts", "config"}),
        ("ls var", {"leftovers"}),
        ("./health", set()),
        ("echo etc/env", set()),
    ],
)
def test_looks_are_told_by_the_command(command: str, found: set[str]) -> None:
    assert shows(command) == found


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("chmod 755 bin/serve", ("modes",)),
        ("ln -sfn releases/2 site", ("links",)),
        ("sed -i s/a/b/ etc/web.conf", ("config",)),
        ("echo X=1 >> etc/env", ("env",)),
        ("sed -n 1p etc/env 2>/dev/null", ()),
        ("cat etc/env 2>&1 | head", ()),
        ("rm -f var/web.lock; cp data/a data/b", ("data", "leftovers")),
        ("mkdir .before/; cp -a bin etc data var .before/; chmod 600 etc/key", ("modes",)),
        ("cp -a --remove-destination .before/. .", ()),
        ("./health; bin/start", ()),
    ],
)
def test_changes_are_told_by_the_command(command: str, found: tuple[str, ...]) -> None:
    assert touches(command) == found
    assert set(found) <= set(LAYER_NAMES)


def test_commands_are_read_from_a_trace() -> None:
    def event(name: str, arguments: str) -> TraceEvent:
        return TraceEvent(turn=0, kind="tool", name=name, arguments=arguments)

    assert command_of(event("run", json.dumps({"command": "ls"}))) == "ls"
    for odd in ("", "[]", "{}", '{"command": 1}', "{"):
        assert command_of(event("run", odd)) == ""
    assert command_of(event("walk", '{"command": "ls"}')) == ""


def test_a_health_script_speaks_for_itself() -> None:
    assert health_share("exit code 1\nok a\nFAIL b\nok c\nbroken d") == 2 / 3
    assert health_share("exit code 0\nokay, all FAILures are gone") is None
