from __future__ import annotations

import json

from controllers.worlds.terminal_record import changed_last, directive_text, features, looked, repeated, untried
from signatures.records import TraceEvent
from tests.controllers.parts import seen, tool


def ran(*commands: str, failed: bool = False, text: str = "") -> tuple[TraceEvent, ...]:
    return tuple(
        tool("run", turn=turn, arguments=json.dumps({"command": command}), text=text, failed=failed)
        for turn, command in enumerate(commands)
    )


def test_looking_and_changing_are_read_from_commands() -> None:
    trace = ran("cat etc/env", "sed -i s/a/b/ etc/env", "chmod 755 bin/x", "ls var")
    assert looked([trace]) == {"env", "leftovers"}
    assert changed_last(trace) == ["modes", "env"]
    assert looked([ran("cat etc/env", failed=True)]) == set() and changed_last(ran("chmod 1 x", failed=True)) == []


def test_a_command_is_repeated_where_nothing_was_changed_since() -> None:
    assert repeated(ran("ls var", "ls var", "cat etc/env", "ls var")) == 2
    assert repeated(ran("ls var", "rm var/x", "ls var")) == 0


def test_untried_follows_the_lineage() -> None:
    first = seen(0, trace=ran("cat etc/env", "head etc/web.conf"))
    second = seen(1, trace=ran("ls var", "rm -f var/x"), parent=0)
    found = untried([first, second])
    assert not found["config_env"] and not found["leftovers"] and found["data"] and found["untried"]
    assert found["undo"] and found["recheck"]
    assert untried([first, seen(2, trace=ran("rm -f var/x", "ls var"), parent=0)])["recheck"] is False
    assert all(untried([])[group] for group in ("modes_links", "config_env", "scripts_schedule", "data", "leftovers"))


def test_directives_name_what_the_record_says() -> None:
    history = [seen(0, trace=ran("cat etc/env", "ls -l", "rm -f var/x", "sed -i 1d data/y"))]
    assert directive_text("untried", history) == (
        "Look first at: config files, scripts, schedule, input data, leftover files."
    )
    assert directive_text("undo", history) == "Undo the last change: input data."
    assert directive_text("recheck", history) == "Check again what was changed last: input data, leftover files."


def test_features_are_counted_by_hand() -> None:
    first = seen(0, trace=ran("cat etc/env"), correct=0.25)
    trace = (*ran("./health", text="ok a\nFAIL b"), *ran("chmod 755 x"), *ran("./health", text="ok a\nok b"))
    found = features([first, seen(1, trace=(*trace, *ran("oops", failed=True)), parent=0, correct=0.75)])
    assert found["terminal.untried_layers"] == 7
    assert found["terminal.last_change.modes_links"] == 1 and found["terminal.last_change.data"] == 0
    assert (found["terminal.changes"], found["terminal.errors"], found["terminal.repeated"]) == (1, 1, 0)
    assert (found["terminal.health"], found["terminal.health_gain"]) == (1.0, 0.5)
    assert found["terminal.health_change"] == 0.5 and found["terminal.tested"] == 1
    assert features([])["terminal.untried_layers"] == 8 and "terminal.health" not in features([])
