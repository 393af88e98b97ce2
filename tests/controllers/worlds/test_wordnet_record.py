from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from controllers.history import Seen
from controllers.worlds.wordnet_question import Condition, prompt_of
from controllers.worlds.wordnet_record import DIRECTIVES, directive_text, features, looked, untried
from signatures.errors import UsageError
from signatures.records import Attempt, Steer, TraceEvent, WorkerFingerprint

KETTLE, POT, CALDRON = "n00000030", "n00000020", "n00000050"
PROMPT = prompt_of(
    [
        Condition("file", ("noun.artifact",)),
        Condition("gloss", ("holds",), ("hypernym", "hypernym")),
        Condition("gloss", ("pan", "frying"), ("hypernym", "hyponym")),
        Condition("about", ("liquid",)),
    ]
)
TABLE = {directive.action: directive.text for directive in DIRECTIVES}


def event(tool: str, text: str = "", *, failed: bool = False, **arguments: str) -> TraceEvent:
    return TraceEvent(turn=0, kind="tool", name=tool, arguments=json.dumps(arguments), text=text, failed=failed)


def seen(id: str, trace: Sequence[TraceEvent], parent: str | None = None) -> Seen:
    attempt = Attempt(
        id=id,
        episode_id="e",
        round=0,
        index=0,
        parent_id=parent,
        task_digest="t",
        benchmark="wordnet",
        worker=WorkerFingerprint(name="wordnet"),
        steer=Steer(),
        outcome="ok",
    )
    return Seen(attempt, tuple(trace))


SEARCH = event("search", f"{KETTLE} kettle (noun.artifact): a pot", words="holding things")
CLIMB = event("hop", f"hypernym of {KETTLE}, 1 to 1 of 1:\n{POT} pot", synset=KETTLE, relation="hypernym")
DOWN = event("hop", f"hyponym of {POT}, 1 to 2 of 2:\n{KETTLE}\n{CALDRON}", synset=POT, relation="hyponym")
ANSWER = event("answer", "the answer is now", synset=KETTLE)


def test_it_keeps_what_calls_looked_at() -> None:
    found = looked([[SEARCH, CLIMB], [event("open", f"{POT} pot", synset=POT), ANSWER]])
    assert found.searched == {"hold", "thing"} and found.opened == {POT}
    assert found.hopped == {(KETTLE, "hypernym")} and found.read == {KETTLE, POT} and found.answers == (KETTLE,)


def test_failed_calls_messages_and_strange_arguments_show_nothing() -> None:
    odd = TraceEvent(turn=0, kind="tool", name="search", arguments="not JSON", text="nothing found")
    message = TraceEvent(turn=0, kind="message", name="assistant", text=KETTLE)
    found = looked([[event("open", failed=True, synset=POT), odd, message]])
    assert not any(found)


def test_untried_is_what_the_lineage_has_not_done() -> None:
    before = untried([], PROMPT)
    assert before == {
        **dict.fromkeys(("broaden", "narrow", "reword", "meaning", "untried"), True),
        "siblings": False,
        "verify": False,
    }
    root = seen("a", [SEARCH, CLIMB, ANSWER])
    found = untried([root], PROMPT)
    assert not found["broaden"] and found["narrow"] and found["siblings"] and found["verify"]
    assert found["reword"] and found["meaning"] and found["untried"]
    both = [DOWN, event("open", synset=KETTLE), event("search", words="frying liquid")]
    assert not any(untried([root, seen("b", both, parent="a")], PROMPT).values())
    assert untried([root, seen("c", both)], PROMPT)["broaden"], "a fresh attempt has a lineage of its own"


def test_directives_name_what_the_record_shows() -> None:
    history = [seen("a", [SEARCH, ANSWER])]
    texts = {action: directive_text(action, history, PROMPT) for action in TABLE}
    assert texts["reword"] == "Search again with words that were not searched yet: pan, frying."
    assert texts["untried"] == "Begin with condition 3, 4: not looked at yet."
    assert '"liquid"' in texts["meaning"]
    assert all(KETTLE in texts[action] for action in ("siblings", "verify", "restart"))
    assert texts["broaden"] == TABLE["broaden"] and texts["narrow"] == TABLE["narrow"]


def test_directives_have_a_fixed_text_where_the_record_shows_nothing() -> None:
    assert {action: directive_text(action, [], PROMPT) for action in TABLE} == TABLE
    assert {action: directive_text(action, [seen("a", [])], "") for action in TABLE} == TABLE
    with pytest.raises(UsageError, match="no directive 'dance'"):
        directive_text("dance", [], PROMPT)


def test_features_are_of_the_lineage() -> None:
    assert features([], PROMPT) == {}
    root = seen("a", [SEARCH, CLIMB, ANSWER])
    child = seen("b", [DOWN, event("open", synset=KETTLE), event("search", words="liquid"), ANSWER], parent="a")
    assert features([root], PROMPT) == {
        "wordnet.opened": 0,
        "wordnet.read": 2,
        "wordnet.searches": 2,
        "wordnet.climbed": 1,
        "wordnet.descended": 0,
        "wordnet.siblings": 0,
        "wordnet.answers": 1,
        "wordnet.answered": 1,
        "wordnet.opened_answer": 0,
        "wordnet.same_answer": 0,
        "wordnet.unsearched": 2,
        "wordnet.meaning": 0,
    }
    after = features([root, child], PROMPT)
    changed = {name for name, value in after.items() if value != features([root], PROMPT)[name]}
    assert changed == {
        *("wordnet.opened", "wordnet.read", "wordnet.searches", "wordnet.descended", "wordnet.siblings"),
        *("wordnet.opened_answer", "wordnet.same_answer", "wordnet.unsearched", "wordnet.meaning"),
    }


def test_without_the_question_what_needs_it_is_left_out() -> None:
    found = features([seen("a", [SEARCH])], "")
    assert "wordnet.unsearched" not in found and "wordnet.meaning" not in found and found["wordnet.searches"] == 2
