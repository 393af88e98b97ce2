from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.worlds.wordnet_lexicon import FILES, INVERSE, Entry, Lexicon, stem, stems
from signatures.errors import UsageError

DICT = Path(__file__).parents[2] / "data" / "wordnet"
KETTLE, SKILLET, POT = "n00000030", "n00000040", "n00000020"


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon(DICT)


def test_an_entry_is_read_whole(lexicon: Lexicon) -> None:
    assert lexicon.entry(KETTLE) == Entry(
        KETTLE,
        ("kettle", "boiler"),
        "a metal pot for heating water",
        "noun.artifact",
        {"hypernym": (POT,), "part meronym": ("n00000060",)},
    )
    assert lexicon.entry(POT).lemmas == ("pot", "cooking vessel")
    assert lexicon.entry("v00000110").links == {"hypernym": ("v00000100",), "cause": ("v00000120",)}
    assert lexicon.entry(KETTLE).line == f"{KETTLE} kettle, boiler (noun.artifact): a metal pot for heating water"


def test_ids_are_in_order_and_without_the_licence(lexicon: Lexicon) -> None:
    assert len(lexicon.ids) == 12 and list(lexicon.ids) == sorted(lexicon.ids)
    assert lexicon.in_file("noun.substance") == ["n00000070", "n00000080", "n00000090"]
    assert lexicon.in_file("noun.animal") == [] == lexicon.in_file("no.file")
    assert KETTLE in lexicon and "n99999999" not in lexicon


def test_a_path_leads_to_neighbours_but_never_back(lexicon: Lexicon) -> None:
    assert lexicon.neighbours(KETTLE, ("hypernym", "hyponym")) == [SKILLET, "n00000050"]
    assert lexicon.neighbours(KETTLE, ("hypernym", "hypernym")) == ["n00000010"]
    assert lexicon.neighbours(KETTLE, ("hyponym",)) == []


def test_every_link_of_a_relation_with_an_inverse_leads_back(lexicon: Lexicon) -> None:
    for id in lexicon.ids:
        for relation, others in lexicon.entry(id).links.items():
            for other in others if relation in INVERSE else ():
                assert id in lexicon.entry(other).links[INVERSE[relation]]


def test_search_finds_words_whatever_their_ending(lexicon: Lexicon) -> None:
    assert [entry.id for entry in lexicon.search("heated waters")][:2] == [KETTLE, "n00000080"]
    assert lexicon.search("zebra") == []
    assert len(lexicon.search("a pot used for", most=2)) == 2


def test_search_puts_a_lemma_first_and_the_shorter_gloss_next(lexicon: Lexicon) -> None:
    assert lexicon.search("water")[0].id == "n00000080"
    assert lexicon.search("cooking vessel")[0].id == POT
    assert [entry.id for entry in lexicon.search("used")] == [SKILLET, "n00000050", POT]


def test_search_within_a_file_finds_no_other(lexicon: Lexicon) -> None:
    assert [entry.id for entry in lexicon.search("water", file="noun.artifact")] == [KETTLE]


def test_words_are_looked_up_by_stem_and_by_lemma(lexicon: Lexicon) -> None:
    assert lexicon.with_stem("heats") == [KETTLE, "v00000100", "v00000110"]
    assert lexicon.of_lemma("h2o") == ["n00000080"]
    assert lexicon.of_lemma("nothing") == []


def test_no_example_is_part_of_a_gloss_or_found(lexicon: Lexicon) -> None:
    assert lexicon.search("stove") == [] == lexicon.search("eggs")


def test_the_files_are_numbered_as_in_wordnet() -> None:
    assert len(FILES) == 41
    assert FILES[0] == "noun.Tops" and FILES[5 - 3] == "noun.animal" and FILES[43 - 3] == "verb.weather"


def test_what_cannot_be_read_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="wordnet-base"):
        Lexicon(tmp_path)
    (tmp_path / "data.noun").write_text("00000010 06 n 01 thing\n00000020 99 n 01 thing 0 000 | x\n")
    (tmp_path / "data.verb").write_text("")
    broken = Lexicon(tmp_path)
    for id in ("n00000010", "n00000020"):
        with pytest.raises(UsageError, match="not a line"):
            broken.entry(id)
    with pytest.raises(UsageError, match="no synset"):
        broken.entry("n00000030")


def test_the_release_is_that_of_the_bytes(tmp_path: Path, lexicon: Lexicon) -> None:
    for part in ("noun", "verb"):
        (tmp_path / f"data.{part}").write_bytes((DICT / f"data.{part}").read_bytes())
    assert Lexicon(tmp_path).release == lexicon.release
    (tmp_path / "data.verb").write_bytes(b"")
    assert Lexicon(tmp_path).release != lexicon.release


@given(st.text())
def test_stems_are_of_any_text_and_stay_what_they_are_in_lower_case(text: str) -> None:
    assert all(len(one) >= 2 and one.isascii() for one in stems(text))
    assert stems(text) == stems(text.lower())


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("dogs", "dog"),
        ("berries", "berry"),
        ("glasses", "glass"),
        ("glass", "glass"),
        ("frying", "fry"),
        ("ring", "ring"),
    ],
)
def test_a_common_ending_is_cut(word: str, expected: str) -> None:
    assert stem(word) == expected
