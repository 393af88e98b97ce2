from __future__ import annotations

import pytest

from controllers.history import Seen
from controllers.prompts import SHOWN, render
from signatures.errors import FirewallBreach
from tests.controllers.parts import check, seen, tool


def test_observations_are_all_events_then_all_checks_in_order() -> None:
    trace = (tool("ping", text="lost"), tool("toggle", turn=1, failed=True))
    checks = (check("correct", 0.5), check("fast", None))
    found = seen(4, trace=trace, checks=checks).observations()
    assert [one.source for one in found] == [*trace, *checks]
    assert {one.attempt_id for one in found} == {"a4"}
    assert len({one.id for one in found}) == 4


def test_an_attempt_that_left_nothing_has_no_observations() -> None:
    assert seen(0, failed=True).observations() == ()
    assert seen(0, failed=True).shown() == ()


def test_what_is_shown_is_each_observation_as_rendered_and_made_once() -> None:
    one = seen(1, trace=tuple(tool(f"call{n}", turn=n, text="<sk-" + "a1B2" * 9) for n in range(SHOWN + 5)))
    observations = one.observations()
    shown = one.shown()
    assert [each.id for each in shown] == [each.id for each in observations]
    assert [each.line for each in shown] == render(observations, last=len(observations))
    assert "a1B2" not in "".join(each.line for each in shown)
    assert one.shown() is shown


def test_another_record_is_shown_as_it_is() -> None:
    one = seen(1, trace=(tool("ping", text="lost"),))
    one.shown()
    other = one._replace(attempt=one.attempt.model_copy(update={"id": "else"}), trace=(tool("ping", text="found"),))
    assert isinstance(other, Seen)
    assert one == Seen(one.attempt, one.trace) != other
    assert "found" in other.shown()[0].line
    assert other.shown()[0].id != one.shown()[0].id


def test_what_may_not_be_shown_is_refused_each_time() -> None:
    one = seen(1)
    forged = Seen(one.attempt, (tool("x").model_copy(update={"text": object()}),))
    for _ in range(2):
        with pytest.raises(FirewallBreach):
            forged.shown()
