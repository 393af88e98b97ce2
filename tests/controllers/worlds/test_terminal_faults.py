from __future__ import annotations

from itertools import combinations

import pytest

from controllers.worlds.terminal import SCENARIOS
from controllers.worlds.terminal_faults import (
    HISTORY,
    Atom,
    Scenario,
    add,
    broken,
    health,
    link,
    mode,
    sound,
    sub,
    touched,
)
from controllers.worlds.terminal_layers import LAYER_NAMES
from signatures.errors import UsageError

PLAIN = Scenario(
    name="plain",
    ticket="It does not work.",
    files={"bin/start": "#!/bin/bash\ncat data/x\n", "data/x": "one\n"},
    checks="check x 'cat data/x' one\n",
    links={"now": "data/x"},
    modes={"data/x": 0o600},
    atoms=(
        Atom("text", "data", (sub("data/x", "one", "two"),), "two", "sed -i s/two/one/ data/x"),
        Atom("mode", "modes", (mode("bin/start", "644"),), "644", "chmod 755 bin/start"),
        Atom("link", "links", (link("now", "data/y"),), "data/y", "ln -sfn data/x now"),
        Atom("lock", "leftovers", (add("var/deep/lock", ""),), "lock", "rm var/deep/lock"),
    ),
)


def test_a_sound_tree_has_folders_modes_links_and_the_health_script() -> None:
    tree = sound(PLAIN)
    assert tree["bin"] == tree["data"] == tree["run"] == ("d", 0o755, "")
    assert tree["bin/start"][1] == tree["health"][1] == 0o755 and tree["data/x"] == ("f", 0o600, "one\n")
    assert tree["now"] == ("l", 0o777, "data/x") and tree[HISTORY][0] == "f"
    assert tree["health"][2] == health(PLAIN) and "check x" in health(PLAIN)


def test_atoms_change_what_they_say_and_nothing_else() -> None:
    tree = broken(PLAIN, PLAIN.atoms)
    assert tree["data/x"] == ("f", 0o600, "two\n") and tree["bin/start"][1] == 0o644
    assert tree["now"] == ("l", 0o777, "data/y") and tree["var/deep/lock"] == ("f", 0o644, "")
    assert touched(PLAIN, PLAIN.atoms) == {"data/x", "bin/start", "now", "var/deep", "var/deep/lock"}
    assert touched(PLAIN, ()) == frozenset() and broken(PLAIN, ()) == sound(PLAIN)


def test_what_cannot_be_edited_is_refused() -> None:
    for edit in (sub("data/x", "three", "four"), add("data/x", "")):
        with pytest.raises(UsageError, match="plain odd: data/x"):
            broken(PLAIN, (Atom("odd", "data", (edit,), "", ""),))


def test_there_are_enough_faults_and_all_of_them_go_together() -> None:
    assert len(SCENARIOS) == 8 and sum(len(scenario.atoms) for scenario in SCENARIOS.values()) == 56
    seen = set()
    for scenario in SCENARIOS.values():
        assert {atom.layer for atom in scenario.atoms} <= set(LAYER_NAMES)
        assert len({atom.name for atom in scenario.atoms}) == len(scenario.atoms)
        for count in range(1, 5):
            for atoms in combinations(scenario.atoms, count):
                seen.add(frozenset(broken(scenario, atoms).items()))
    assert len(seen) == 8 * (7 + 21 + 35 + 35), "every choice of faults makes a box of its own"


def test_tickets_name_symptoms_alone() -> None:
    words = ("chmod", "permission", "symlink", " link", "etc/env", ".conf", "crontab", "lock", "mode", "carriage")
    assert [word for scenario in SCENARIOS.values() for word in words if word in scenario.ticket] == []
    assert len({scenario.ticket for scenario in SCENARIOS.values()}) == 8
