from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.worlds.wordnet_lexicon import FILES, RELATIONS, Lexicon
from controllers.worlds.wordnet_question import Condition, conditions_of, holds, prompt_of

KETTLE, CALDRON = "n00000030", "n00000050"
WORDS = st.from_regex(r"[a-z]{2,9}", fullmatch=True)
PATHS = st.lists(st.sampled_from(sorted(RELATIONS.values())), min_size=1, max_size=3).map(tuple)
NONE: st.SearchStrategy[tuple[str, ...]] = st.just(())
CONDITIONS = st.one_of(
    st.builds(Condition, st.just("file"), st.sampled_from(FILES).map(lambda file: (file,)), NONE),
    st.builds(Condition, st.just("gloss"), st.lists(WORDS, min_size=1, max_size=2).map(tuple), PATHS),
    st.builds(Condition, st.just("lemma"), WORDS.map(lambda word: (word,)), PATHS),
    st.builds(Condition, st.just("names"), st.integers(1, 30).map(lambda n: (str(n),)), NONE),
    st.builds(Condition, st.just("about"), WORDS.map(lambda word: (word,)), NONE),
)


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon(Path(__file__).parents[2] / "data" / "wordnet")


@given(st.lists(CONDITIONS, max_size=6))
def test_a_prompt_is_read_back_as_it_was_written(conditions: list[Condition]) -> None:
    assert conditions_of(prompt_of(conditions)) == tuple(conditions)


def test_a_prompt_reads_as_a_list_of_sentences() -> None:
    prompt = prompt_of(
        [
            Condition("gloss", ("can",), ("hypernym", "hypernym")),
            Condition("gloss", ("pan", "frying"), ("hypernym", "hyponym")),
            Condition("names", ("1",)),
        ]
    )
    assert prompt.splitlines()[1:4] == [
        '1. Some hypernym of some hypernym of it has a gloss with the word "can".',
        '2. Some hyponym of some hypernym of it has a gloss with both "pan" and "frying".',
        "3. It has exactly 1 lemma.",
    ]


@given(st.text())
def test_any_other_text_holds_no_condition_or_a_whole_one(text: str) -> None:
    assert all(prompt_of([condition]) for condition in conditions_of(text))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Condition("file", ("noun.artifact",)), True),
        (Condition("file", ("noun.substance",)), False),
        (Condition("names", ("2",)), True),
        (Condition("names", ("3",)), False),
        (Condition("gloss", ("holds",), ("hypernym", "hypernym")), True),
        (Condition("gloss", ("pan", "fry"), ("hypernym", "hyponym")), True),
        (Condition("gloss", ("pan", "stewing"), ("hypernym", "hyponym")), False),
        (Condition("gloss", ("heating",), ("hypernym", "hyponym")), False),
        (Condition("gloss", ("pouring",), ("part meronym",)), True),
        (Condition("lemma", ("ca",), ("hypernym", "hyponym")), True),
        (Condition("lemma", ("ke",), ("hypernym", "hyponym")), False),
        (Condition("about", ("liquid",)), False),
    ],
)
def test_conditions_hold_for_the_kettle(lexicon: Lexicon, condition: Condition, expected: bool) -> None:
    assert holds(condition, KETTLE, lexicon.entry) is expected


def test_what_was_not_read_holds_nothing(lexicon: Lexicon) -> None:
    sibling = Condition("lemma", ("ca",), ("hypernym", "hyponym"))
    unread = {CALDRON}
    assert not holds(sibling, KETTLE, lambda id: None if id in unread else lexicon.entry(id))
    assert not holds(Condition("names", ("2",)), KETTLE, lambda id: None)


def test_words_to_search_for_are_those_of_glosses_and_of_the_last_condition() -> None:
    assert Condition("gloss", ("a", "b"), ("hyponym",)).terms == ("a", "b")
    assert Condition("about", ("liquid",)).terms == ("liquid",)
    assert Condition("lemma", ("ca",), ("hyponym",)).terms == ()
    assert not Condition("about", ("liquid",)).crisp and Condition("names", ("2",)).crisp
