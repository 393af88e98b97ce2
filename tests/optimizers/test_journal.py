"""The search journal: what survives a kill, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.journal import Journal, Proposal, Proposed, request_key
from optimizers.records import TaskScore
from signatures.errors import StoreError, UsageError
from signatures.records import Amounts, Cost, Failure

VALUES = st.dictionaries(st.text(max_size=5), st.none() | st.floats(0, 1), max_size=4)
WHOLE = st.none() | st.integers(0, 10**9)
AMOUNTS = st.builds(Amounts, attempts=WHOLE, turns=WHOLE, usd=st.none() | st.floats(0, 1e6))
FAILURES = st.none() | st.builds(Failure, error=st.text(), message=st.text(), where=st.text())
SCORES = st.builds(
    TaskScore,
    candidate=st.text(),
    condition=st.text(),
    task_digest=st.text(),
    seed=st.integers(0, 2**63),
    split=st.sampled_from(["search", "dev"]),
    values=VALUES,
    source=st.sampled_from(["live", "replay"]),
    unsupported=st.floats(0, 1),
    failure=FAILURES,
    spent=AMOUNTS,
    used=AMOUNTS,
)
PROPOSALS = st.builds(
    Proposed,
    proposal=st.none() | st.builds(Proposal, text=st.text(), evidence=st.text(), proposer=st.text()),
    cost=st.builds(Cost, tokens_in=WHOLE, usd=st.none() | st.floats(0, 1e3)),
)


def a_score(number: int) -> TaskScore:
    values = {"correct": number / 10, "fast": None}
    return TaskScore.model_validate(
        {
            "candidate": "c",
            "condition": "candidate",
            "task_digest": f"t{number}",
            "seed": 1,
            "split": "search",
            "values": values,
            "source": "live",
        }
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with closing(Journal(path)) as opened:
        yield opened


@settings(max_examples=40, deadline=None)
@given(scores=st.lists(SCORES, max_size=4), proposals=st.lists(PROPOSALS, max_size=3))
def test_what_is_written_is_answered_by_this_and_by_the_next_process(
    tmp_path_factory: pytest.TempPathFactory, scores: list[TaskScore], proposals: list[Proposed]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    with closing(Journal(path)) as first:
        first.part("a").write_scores({f"k{n}": score for n, score in enumerate(scores)})
        for number, proposal in enumerate(proposals):
            first.write_proposal(f"p{number}", proposal)
        with closing(Journal(path)) as second:
            for journal in (first, second):
                assert [journal.part("a").score(f"k{n}") for n in range(len(scores))] == scores
                assert [journal.proposal(f"p{n}") for n in range(len(proposals))] == proposals


def test_what_was_not_written_has_no_answer(journal: Journal) -> None:
    journal.part("a").write_scores({"k": a_score(1)})
    assert journal.part("a").score("other") is None
    assert journal.part("b").score("k") is None, "two searches of one run do not answer each other"
    assert journal.proposal("k") is None


def test_no_scores_are_no_entry(journal: Journal, path: Path) -> None:
    journal.part("a").write_scores({})
    assert path.read_bytes() == b""


def written(path: Path) -> bytes:
    with closing(Journal(path)) as journal:
        journal.require_same("search one")
        journal.part("a").write_scores({"k1": a_score(1), "k2": a_score(2)})
        journal.write_proposal("p", Proposed(proposal=None))
        journal.part("a").write_scores({"k3": a_score(3)})
    return path.read_bytes()


def test_a_torn_tail_is_dropped_wherever_the_kill_came(path: Path) -> None:
    data = written(path)
    ends = [n + 1 for n, byte in enumerate(data) if byte == ord("\n")]
    around = {end + step for end in ends[:-1] for step in (-1, 0, 1)}
    for cut in sorted({0, *range(1, len(data), 29), *around}):
        path.write_bytes(data[:cut])
        whole = sum(end <= cut for end in ends)
        with closing(Journal(path)) as journal:
            assert (
                (journal.part("a").score("k1") is not None)
                == (journal.part("a").score("k2") is not None)
                == (whole >= 2)
            )
            assert (journal.proposal("p") is not None) == (whole >= 3)
            assert journal.part("a").score("k3") is None
            journal.require_same("search one")
            journal.part("a").write_scores({"k3": a_score(3)})
        with closing(Journal(path)) as journal:
            assert journal.part("a").score("k3") == a_score(3)


def test_the_journal_of_another_search_is_refused(path: Path) -> None:
    written(path)
    with closing(Journal(path)) as journal:
        journal.require_same("search one")
        with pytest.raises(UsageError, match=r"journal\.jsonl: belongs to another search"):
            journal.require_same("search two")
    assert path.read_bytes().count(b"search one") == 1


@pytest.mark.parametrize(
    "damage",
    [
        b"not json",
        b"[1, 2]",
        b"{}",
        b'{"scores": [["k"]]}',
        b'{"scores": [["a/k", {"candidate": "c"}]]}',
        b'{"scores": [[["a"], {}]]}',
        b'{"proposal": ["p", {"proposal": 3}]}',
        b'{"proposal": "p"}',
        b'{"search": 3}',
        b'{"something": "else"}',
    ],
)
def test_a_damaged_entry_is_named(path: Path, damage: bytes) -> None:
    lines = written(path).splitlines()
    lines[2] = damage
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(StoreError, match=r"journal\.jsonl:3: "):
        Journal(path)


@pytest.mark.parametrize("value", [-0.1, 1.1, "0.5", True])
def test_a_score_that_was_edited_to_what_no_score_can_be_is_named(path: Path, value: object) -> None:
    lines = written(path).splitlines()
    entry = json.loads(lines[1])
    entry["scores"][0][1]["values"]["correct"] = value
    lines[1] = json.dumps(entry).encode()
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(StoreError, match=r":2: not an entry of a search journal"):
        Journal(path)


def test_a_key_names_all_that_decides_a_score() -> None:
    base = ("candidate", 1, "search", "revision")
    keys = {request_key(*base)}
    for place, other in enumerate(("c2", 2, "dev", "r2")):
        keys.add(request_key(*(*base[:place], other, *base[place + 1 :])))  # type: ignore[arg-type]
    assert len(keys) == 5
    assert request_key(*base) == request_key(*base)


def test_entries_are_timed_only_where_they_are_told_to_be(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        part = journal.part("a")
        part.write_proposal("timed", Proposed(proposal=None), wall_s=1.5)
        part.write_proposal("not", Proposed(proposal=None))
        assert part.wall("timed") is None, "of an earlier execution, not of this one"
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        part = journal.part("a")
        assert (part.wall("timed"), part.wall("not")) == (1.5, None)
        assert part.proposal("timed") == Proposed(proposal=None)
