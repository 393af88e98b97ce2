"""What a terminal record shows: where was looked, what was changed, and the features a policy may read.

All of it comes from traces and checker results, so it is the same in a simulation and in production.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from controllers.history import Seen
from controllers.worlds.layered import LayeredRecord, last_step
from controllers.worlds.terminal_layers import BENCHMARK, LAYERS, command_of, health_share, shows, touches

RECORD: Final = LayeredRecord(
    BENCHMARK,
    LAYERS,
    shown=lambda event: shows(command_of(event)),
    changed=lambda event: touches(command_of(event)),
)
looked, changed_last, repeated = RECORD.looked, RECORD.changed_last, RECORD.repeated
untried, directive_text = RECORD.untried, RECORD.directive_text


def features(history: Sequence[Seen]) -> dict[str, float]:
    """Terminal's own observation features, after those of `LayeredRecord.features`; see there which are absent.

    name                        meaning
    terminal.changes            commands of the last attempt that changed something
    terminal.errors             its failed commands
    terminal.repeated           its commands that were run before with nothing changed since
    terminal.tested             whether it ran the health script
    terminal.health             the share of checks that its last such run passed
    terminal.health_gain        change of that share from its first such run to its last
    terminal.health_change      change of the checker's share since the parent attempt
    """
    return RECORD.features(history, _of_last)


def _of_last(history: Sequence[Seen]) -> dict[str, float]:
    trace = history[-1].trace
    tools = [event for event in trace if event.kind == "tool"]
    tests = [share for event in tools if (share := health_share(event.text)) is not None]
    return {
        **RECORD.counts(trace),
        "tested": float(bool(tests)),
        "health": tests[-1] if tests else 0.0,
        "health_gain": tests[-1] - tests[0] if tests else 0.0,
        "health_change": last_step(history),
    }
