from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.history import Seen
from controllers.worlds.layered import Layer, LayeredRecord, directives, groups, labels, last_step, spoken_of
from signatures.errors import UsageError
from signatures.records import TraceEvent
from tests.controllers.parts import seen, tool

LAYERS = (
    Layer("door", "front", "front door", r"\bdoors?\b"),
    Layer("roof", "top", "roof tiles", r"\broof|\btiles?\b"),
    Layer("lock", "front", "lock", r"\block"),
)
NAMES = [layer.name for layer in LAYERS]
TABLE = {directive.action: directive.text for directive in directives(LAYERS)}


def shown(event: TraceEvent) -> list[str]:
    return event.arguments.split() if event.name == "see" else []


def changed(event: TraceEvent) -> list[str]:
    return event.arguments.split() if event.name == "set" else []


def own(history: Sequence[Seen]) -> Mapping[str, float]:
    return {"rounds": float(len(history))}


HOUSE = LayeredRecord("house", LAYERS, shown=shown, changed=changed)


def see(names: str, *, failed: bool = False) -> TraceEvent:
    return tool("see", arguments=names, failed=failed)


def put(names: str, *, failed: bool = False) -> TraceEvent:
    return tool("set", arguments=names, failed=failed)


EVENTS = st.builds(
    lambda make, names, failed: make(" ".join(names), failed=failed),
    st.sampled_from((see, put)),
    st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    st.booleans(),
)
TRACES = st.lists(EVENTS, max_size=8).map(tuple)


def test_a_table_has_groups_labels_and_words() -> None:
    assert groups(LAYERS) == {"front": ["door", "lock"], "top": ["roof"]}
    assert labels(LAYERS, ["lock", "door", "lock"]) == "front door, lock" and labels(LAYERS, []) == ""
    assert spoken_of(LAYERS, "LOCK it, then count tiles") == {"lock", "roof"}
    assert spoken_of(LAYERS, "indoors") == set()


def test_a_directive_points_at_each_group_and_three_at_the_record() -> None:
    assert TABLE == {
        "front": "Look first at: front door, lock.",
        "top": "Look first at: roof tiles.",
        "untried": "Look first at what was not looked at yet in this job.",
        "undo": "Undo the last change, then go on.",
        "recheck": "Check again what was changed last, then go on.",
    }


def test_looks_and_changes_are_read_from_events_that_did_not_fail() -> None:
    assert HOUSE.looked([[see("door")], [see("roof"), see("lock", failed=True), put("lock")]]) == {"door", "roof"}
    assert HOUSE.changed_last([put("door roof"), see("door"), put("lock"), put("door"), put("roof", failed=True)]) == [
        "door",
        "lock",
        "roof",
    ]


def test_a_world_may_say_itself_what_traces_show_in_all() -> None:
    halves = LayeredRecord("house", LAYERS, shown=shown, changed=changed, together=lambda traces: {"roof"})
    assert halves.looked([[see("door")]]) == {"roof"}
    assert halves.untried([seen(0, trace=(see("door lock"),))])["front"]
    assert not halves.untried([seen(0, trace=(put("door"), see("door")))])["recheck"], "but not what one event shows"


def test_a_call_is_repeated_with_the_same_arguments_and_nothing_changed_between() -> None:
    look = see("door")
    assert HOUSE.repeated([look, look, see("roof"), look]) == 2
    assert HOUSE.repeated([look, put("door", failed=True), look]) == 1
    assert HOUSE.repeated([look, put("roof"), look]) == 0
    assert HOUSE.repeated([look, tool("knock", arguments="door")]) == 0
    said = TraceEvent(turn=0, kind="message", name="see", arguments="door")
    assert HOUSE.repeated([look, said, said]) == 0


def test_untried_is_what_the_lineage_of_the_last_attempt_has_not_seen() -> None:
    assert HOUSE.untried([]) == {"front": True, "top": True, "untried": True, "undo": False, "recheck": False}
    root, child = seen(0, trace=(see("door"),)), seen(1, parent=0, trace=(see("lock"),))
    assert HOUSE.untried([root])["front"]
    assert not HOUSE.untried([root, child])["front"] and HOUSE.untried([root, child])["top"]
    assert HOUSE.untried([root, child, seen(2)])["front"], "a fresh attempt has a lineage of its own"
    assert not any(HOUSE.untried([seen(0, trace=(see("door roof lock"),))]).values())


@pytest.mark.parametrize(
    ("looks", "undo", "recheck"),
    [("", True, True), ("lock", True, True), ("door", False, True), ("door roof", False, False)],
)
def test_undo_and_recheck_point_at_changes_nobody_looked_at_again(looks: str, undo: bool, recheck: bool) -> None:
    found = HOUSE.untried([seen(0, trace=(put("roof"), put("door"), see(looks)))])
    assert (found["undo"], found["recheck"]) == (undo, recheck)


def test_directives_name_what_the_record_shows() -> None:
    history = [seen(0, trace=(see("roof"), put("roof"), put("door")))]
    found = {action: HOUSE.directive_text(action, history) for action in TABLE}
    assert found == TABLE | {
        "untried": "Look first at: front door, lock.",
        "undo": "Undo the last change: front door.",
        "recheck": "Check again what was changed last: front door, roof tiles.",
    }


def test_directives_have_a_fixed_text_where_the_record_shows_nothing() -> None:
    assert {action: HOUSE.directive_text(action, []) for action in TABLE} == TABLE
    everything = [seen(0, trace=(see("door roof lock"),))]
    assert {action: HOUSE.directive_text(action, everything) for action in TABLE} == TABLE
    with pytest.raises(
        UsageError, match=r"^house has no directive 'dance'; it has front, top, untried, undo, recheck$"
    ):
        HOUSE.directive_text("dance", [])


def test_features_are_in_order_and_the_worlds_own_come_last() -> None:
    before = {"house.untried_layers": 3.0, "house.looked.front": 0.0, "house.looked.top": 0.0}
    assert list(HOUSE.features([], own).items()) == list(before.items())
    history = [seen(0, trace=(see("roof"),)), seen(1, parent=0, trace=(put("roof"), put("lock")))]
    assert list(HOUSE.features(history, own).items()) == [
        ("house.untried_layers", 2.0),
        ("house.looked.front", 0.0),
        ("house.looked.top", 1.0),
        ("house.last_change.front", 1.0),
        ("house.last_change.top", 0.0),
        ("house.rounds", 2.0),
    ]


def test_counts_are_of_events() -> None:
    trace = [put("door roof"), put("lock", failed=True), see("door"), see("door")]
    assert HOUSE.counts(trace) == {"changes": 1.0, "errors": 1.0, "repeated": 1.0}


def test_the_last_step_is_from_the_parent() -> None:
    history = [seen(0, correct=0.5), seen(1, correct=0.9), seen(2, parent=0, correct=0.75)]
    assert (last_step(history), last_step(history[:1]), last_step([])) == (0.25, 0.0, 0.0)


@given(TRACES)
def test_what_a_record_says_fits_together(trace: tuple[TraceEvent, ...]) -> None:
    history = [seen(0, trace=trace)]
    looked, changed_last, found = HOUSE.looked([trace]), HOUSE.changed_last(trace), HOUSE.untried(history)
    features = HOUSE.features(history, own)
    assert features["house.untried_layers"] == len(set(NAMES) - looked)
    assert sum(features[f"house.last_change.{group}"] for group in groups(LAYERS)) == bool(changed_last)
    assert all(features[f"house.looked.{group}"] != found[group] for group in groups(LAYERS))
    assert not found["undo"] or found["recheck"]
    assert found["recheck"] <= bool(changed_last)
    again = [seen(0, trace=(*trace, see("door roof lock")))]
    assert not any(HOUSE.untried(again).values()), "whoever then looks at everything has nothing untried"
