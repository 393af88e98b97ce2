from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.worlds import World
from controllers.worlds.wordnet import NOTES, PAGE, Reading, WordnetSession, WordnetWorld
from controllers.worlds.wordnet_lexicon import DEBIAN
from signatures.errors import UsageError

DICT = Path(__file__).parents[2] / "data" / "wordnet"
KETTLE, POT, SKILLET = "n00000030", "n00000020", "n00000040"
CALLS = st.tuples(
    st.sampled_from(["search", "open", "hop", "note", "review", "answer", "fly"]),
    st.dictionaries(
        st.sampled_from(["words", "synset", "relation", "page", "text", "file", "other"]),
        st.one_of(st.none(), st.integers(-3, 3), st.text(max_size=9), st.sampled_from([KETTLE, POT, "hyponym", "pot"])),
        max_size=3,
    ),
)


@pytest.fixture(scope="module")
def world() -> WordnetWorld:
    return WordnetWorld(DICT)


@pytest.fixture
def session(world: WordnetWorld) -> WordnetSession:
    return world.session("any", None)


def test_it_is_a_world(world: WordnetWorld) -> None:
    given: World = world
    names = [tool.name for tool in given.tools()]
    assert names == ["search", "open", "hop", "note", "review", "answer"]
    for tool in given.tools():
        schema = json.loads(tool.parameters_json)
        assert set(schema["required"]) <= set(schema["properties"])


def test_a_search_shows_whole_entries_and_marks_them_read(session: WordnetSession) -> None:
    text, failed = session.call("search", {"words": "frying pan"})
    assert text == f"{SKILLET} skillet, frypan (noun.artifact): a pan used for frying foods" and not failed
    assert session.call("search", {"words": "zebra"}) == ("nothing found", False)
    assert session.call("search", {"words": "water", "file": "noun.substance"})[0].startswith("n00000080 ")
    assert Reading.of(session.snapshot()).read == (SKILLET, "n00000080")


def test_open_names_the_neighbours_by_relation(session: WordnetSession) -> None:
    text, _ = session.call("open", {"synset": POT})
    assert text.splitlines()[1:] == [
        "hypernym 1: n00000010 container",
        f"hyponym 3: {KETTLE} kettle; {SKILLET} skillet; n00000050 caldron",
    ]
    reading = Reading.of(session.snapshot())
    assert reading.visited == reading.read == (POT,)


def test_hop_lists_pages_of_neighbours(tmp_path: Path) -> None:
    many = PAGE + 2
    pointers = " ".join(f"~ {100 + n:08} n 0000" for n in range(many))
    lines = [f"00000001 05 n 01 top 0 {many:03} {pointers} | the top"]
    lines += [f"{100 + n:08} 05 n 01 kind{n} 0 001 @ 00000001 n 0000 | kind {n}" for n in range(many)]
    (tmp_path / "data.noun").write_text("\n".join(lines))
    (tmp_path / "data.verb").write_text("")
    session = WordnetWorld(tmp_path).session("any", None)
    assert "; 2 more by hop" in session.call("open", {"synset": "n00000001"})[0]
    first, _ = session.call("hop", {"synset": "n00000001", "relation": "hyponym"})
    second, _ = session.call("hop", {"synset": "n00000001", "relation": "hyponym", "page": 2})
    assert first.startswith(f"hyponym of n00000001, 1 to {PAGE} of {many}:\n") and len(first.splitlines()) == PAGE + 1
    assert second.splitlines()[-1] == f"n{100 + many - 1:08} kind{many - 1} (noun.animal): kind {many - 1}"
    assert session.call("hop", {"synset": "n00000001", "relation": "hyponym", "page": 3})[0].endswith("on page 3")
    assert session.call("hop", {"synset": "n00000001", "relation": "hypernym"})[0] == "n00000001 has no hypernym"


def test_a_review_shows_what_is_carried(world: WordnetWorld, session: WordnetSession) -> None:
    session.call("open", {"synset": KETTLE})
    session.call("note", {"text": "boils water"})
    session.call("answer", {"synset": KETTLE})
    later = world.session("any", session.snapshot())
    assert later.call("review", {})[0].splitlines() == [
        f"answer: {KETTLE}",
        "note: boils water",
        "opened:",
        f"{KETTLE} kettle, boiler (noun.artifact): a metal pot for heating water",
    ]
    assert later.snapshot() == session.snapshot()


@pytest.mark.parametrize(
    ("tool", "arguments", "why"),
    [
        ("fly", {}, "no tool 'fly'"),
        ("open", {}, "needs the text 'synset'"),
        ("open", {"synset": "n99999999"}, "no synset"),
        ("open", {"synset": KETTLE, "page": 1}, "no argument 'page'"),
        ("hop", {"synset": KETTLE, "relation": "uncle"}, "no relation 'uncle'"),
        ("hop", {"synset": KETTLE, "relation": "hypernym", "page": 0}, "whole number"),
        ("search", {"words": "x" * 201}, "200 characters"),
        ("search", {"words": "water", "file": "noun.nothing"}, "no lexicographer file"),
        ("answer", {"synset": "kettle"}, "no synset"),
    ],
)
def test_a_bad_call_fails_and_changes_nothing(
    session: WordnetSession, tool: str, arguments: dict[str, object], why: str
) -> None:
    text, failed = session.call(tool, arguments)
    assert failed and why in text and Reading.of(session.snapshot()) == Reading()


def test_notes_have_an_end(session: WordnetSession) -> None:
    results = [session.call("note", {"text": "x"})[1] for _ in range(NOTES + 1)]
    assert results == [False] * NOTES + [True]


@given(st.lists(CALLS, max_size=8))
def test_any_calls_leave_a_state_that_is_gone_on_from(
    world: WordnetWorld, calls: list[tuple[str, dict[str, object]]]
) -> None:
    session = world.session("any", None)
    for tool, arguments in calls:
        session.call(tool, arguments)
    state = session.snapshot()
    assert world.session("another", state).snapshot() == state


@pytest.mark.parametrize("state", ["", "{}x", '{"answer": 3}', '{"answer": "n99999999"}', '{"read": ["n99999999"]}'])
def test_what_is_no_state_is_refused(world: WordnetWorld, state: str) -> None:
    with pytest.raises(UsageError, match="not a snapshot"):
        world.session("any", state)


def test_an_entry_is_known_once_read_and_its_links_once_visited(world: WordnetWorld) -> None:
    look = Reading(read=(KETTLE, POT, "n99999999"), visited=(POT, SKILLET)).look
    kettle, pot = look(world.lexicon, KETTLE), look(world.lexicon, POT)
    assert kettle is not None and kettle.links == {} and kettle.lemmas == ("kettle", "boiler")
    assert pot is not None and set(pot.links) == {"hypernym", "hyponym"}
    assert look(world.lexicon, SKILLET) is None is look(world.lexicon, "n99999999")


def test_without_a_folder_it_is_debians(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"options\.folder"):
        _ = WordnetWorld(tmp_path).lexicon
    if not (DEBIAN / "data.noun").is_file():
        with pytest.raises(UsageError, match="wordnet-base"):
            WordnetWorld()
