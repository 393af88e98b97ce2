from __future__ import annotations

from pathlib import Path

from controllers.worlds.wordnet import WordnetWorld
from controllers.worlds.wordnet_reader import Reader, ids_in

DICT = Path(__file__).parents[2] / "data" / "wordnet"
KETTLE, POT = "n00000030", "n00000020"


def told(reader: Reader, tool: str, **arguments: object) -> list[str]:
    text, failed = WordnetWorld(DICT).session("", None).call(tool, arguments)
    assert not failed
    return reader.learn(tool, text)


def test_it_learns_what_a_search_shows() -> None:
    reader = Reader()
    assert told(reader, "search", words="heating water")[0] == KETTLE
    entry = reader.known[KETTLE]
    assert (entry.lemmas, entry.file, entry.gloss) == (
        ("kettle", "boiler"),
        "noun.artifact",
        "a metal pot for heating water",
    )
    assert entry.links == {}


def test_it_learns_links_both_ways() -> None:
    reader = Reader()
    told(reader, "open", synset=KETTLE)
    assert reader.known[KETTLE].links == {"hypernym": [POT], "part meronym": ["n00000060"]}
    assert reader.linked(POT, "hyponym") == [KETTLE] and POT not in reader.known
    told(reader, "hop", synset=POT, relation="hyponym")
    assert reader.linked(POT, "hyponym") == [KETTLE, "n00000040", "n00000050"]
    assert reader.known["n00000050"].links == {"hypernym": [POT]}


def test_it_knows_which_page_comes_next() -> None:
    reader = Reader()
    assert reader.next_page(POT, "hyponym") == 1
    reader.turned(POT, "hyponym", 1, f"hyponym of {POT}, 1 to 8 of 9:\n...")
    assert reader.next_page(POT, "hyponym") == 2
    reader.turned(POT, "hyponym", 2, f"hyponym of {POT}, 9 to 9 of 9:\n...")
    assert reader.next_page(POT, "hyponym") is None
    reader.turned(KETTLE, "hyponym", 1, f"{KETTLE} has no hyponym")
    assert reader.next_page(KETTLE, "hyponym") is None


def test_a_review_tells_the_answer() -> None:
    session = WordnetWorld(DICT).session("", None)
    reader = Reader()
    reader.learn("review", session.call("review", {})[0])
    assert reader.answer is None
    session.call("open", {"synset": KETTLE})
    session.call("answer", {"synset": KETTLE})
    assert reader.learn("review", session.call("review", {})[0]) == [KETTLE]
    assert reader.answer == KETTLE


def test_kin_are_the_word_and_the_kinds_that_were_read() -> None:
    reader = Reader()
    found = told(reader, "search", words="liquid")
    assert reader.kin("liquid", found[:1]) == {"liquid"}
    told(reader, "hop", synset=found[0], relation="hyponym")
    assert reader.kin("liquid", found[:1]) == {"liquid", "water", "h2o", "oil"}


def test_ids_are_found_in_any_text() -> None:
    assert ids_in(f"Open {KETTLE}, then v00000110; not n1.") == [KETTLE, "v00000110"]
