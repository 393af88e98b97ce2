from __future__ import annotations

from optimizers.skill.ways import Reply
from optimizers.skill.ways.named import Named
from tests.worlds.asked import question


def test_the_named_action_is_taken_and_none_where_none_was_read() -> None:
    plain, shown = Named(demos=False), Named(demos=True)
    assert (plain.id, shown.id, plain.fits) == ("zero-shot", "demos", False)
    assert plain.ask is not None and shown.ask is not None and plain.ask != shown.ask
    decide = plain.fit([])
    assert decide(question("a"), Reply(action="refine_last")) == "refine_last"
    assert decide(question("a"), Reply()) is None and decide(question("a"), None) is None
