from __future__ import annotations

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
