"""The note of what a run learned from: which corpora are meant, which segments were read, how it is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from controllers.corpus.columns import Kind
from controllers.corpus.manifest import Manifest, Segment
from experiments.search.learned import (
    LEARNED,
    CorpusRead,
    Learned,
    SegmentRead,
    corpora_named,
    read_learned,
    require_readable,
    segments_read,
)
from experiments.wiring import ready
from signatures.errors import StoreError, UsageError
from tests.worlds.small import small


def corpus(name: str, **changed: object) -> CorpusRead:
    segment = SegmentRead(file="attempts-1-9.parquet", kind="attempts", first_n=1, last_n=9, rows=7, sha256="aa")
    given: dict[str, object] = {
        "name": name,
        "until": 9,
        "segments": (segment,),
        "episodes": {"planted production": 3},
        "left_out": {"of the dev split": 2},
        "moves": 12,
        "digest": name,
    }
    return CorpusRead.model_validate({**given, **changed})


def touched(root: Path, *names: str) -> None:
    for name in names:
        (root / name).write_bytes(b".")


def test_all_means_every_corpus_below_the_root_and_no_ledger(tmp_path: Path) -> None:
    touched(tmp_path, "corpus-b.db", "corpus-a.db", "corpus-a.verdicts.db", "holdout-a.db", "production-a.db")
    found = corpora_named(small(tmp_path, learn_from="all"), tmp_path, "a")
    assert [path.name for path in found] == ["corpus-a.db", "corpus-b.db"]


def test_all_means_no_file_that_holds_nothing_and_no_folder(tmp_path: Path) -> None:
    touched(tmp_path, "corpus-a.db")
    (tmp_path / "corpus-made-just-now.db").write_bytes(b"")
    (tmp_path / "corpus-folder.db").mkdir()
    (tmp_path / "corpus-gone.db").symlink_to(tmp_path / "nowhere")
    found = corpora_named(small(tmp_path, learn_from="all"), tmp_path, "a")
    assert [path.name for path in found] == ["corpus-a.db"]


def test_a_corpus_that_cannot_be_opened_is_named_before_a_run_begins(tmp_path: Path) -> None:
    (tmp_path / "corpus-other.db").write_bytes(b"junk" * 1_000)
    config = small(tmp_path, learn_from="all")
    with pytest.raises(UsageError, match=r"learn_from: .*corpus-other\.db: .*move it away, or name the corpora"):
        ready(config)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus-other.db"]
    ready(config, root=tmp_path)  # a run that goes on reads what it read before
    with pytest.raises(UsageError, match="is another program's database"):
        with closing(sqlite3.connect(tmp_path / "theirs.db")) as db:
            db.execute("CREATE TABLE theirs (x)")
        require_readable((tmp_path / "theirs.db",))


def test_all_means_the_runs_own_corpus_wherever_it_lies(tmp_path: Path) -> None:
    touched(tmp_path, "corpus-a.db", "mine.db")
    config = small(tmp_path, learn_from="all", corpus=str(tmp_path / "mine.db"))
    assert [path.name for path in corpora_named(config, tmp_path, "a")] == ["corpus-a.db", "mine.db"]
    inside = small(tmp_path, learn_from="all", corpus=str(tmp_path / "corpus-a.db"))
    assert [path.name for path in corpora_named(inside, tmp_path, "a")] == ["corpus-a.db"]


def test_named_corpora_are_those_and_must_be_there(tmp_path: Path) -> None:
    touched(tmp_path, "x.db", "y.db")
    one, two = str(tmp_path / "x.db"), str(tmp_path / "y.db")
    assert corpora_named(small(tmp_path, learn_from=one), tmp_path, "a") == (Path(one),)
    assert corpora_named(small(tmp_path, learn_from=(two, one)), tmp_path, "a") == (Path(two), Path(one))
    with pytest.raises(UsageError, match=r"learn_from: nowhere\.db: no such corpus"):
        corpora_named(small(tmp_path, learn_from="nowhere.db"), tmp_path, "a")


def test_a_run_that_learns_nothing_names_nothing(tmp_path: Path) -> None:
    touched(tmp_path, "corpus-a.db")
    assert corpora_named(small(tmp_path), tmp_path, "a") == ()


def test_the_note_is_read_back_as_it_was(tmp_path: Path) -> None:
    assert read_learned(tmp_path) is None
    note = Learned(corpora=(corpus("corpus-a.db"), corpus("corpus-b.db")))
    (tmp_path / LEARNED).write_text(note.model_dump_json(indent=1), encoding="utf-8")
    assert read_learned(tmp_path) == note
    (tmp_path / LEARNED).write_text("{}", encoding="utf-8")
    with pytest.raises(StoreError, match=r"learned\.json: cannot be read"):
        read_learned(tmp_path)


def test_tags_say_how_much_and_which_rows() -> None:
    note = Learned(corpora=(corpus("corpus-a.db"), corpus("corpus-b.db", until=4)))
    assert note.tags == {
        "tiller.learned": note.digest,
        "tiller.learned.corpora": "corpus-a.db to row 9, corpus-b.db to row 4",
        "tiller.learned.segments": "2",
        "tiller.learned.rows": "14",
        "tiller.learned.moves": "24",
    }
    assert note.digest != Learned(corpora=note.corpora[:1]).digest


def test_it_is_told_in_one_line() -> None:
    line = Learned(corpora=(corpus("a"), corpus("b", episodes={"machines search": 5}))).said()
    assert line == (
        "learned from 24 moves of 5 machines search episodes, 3 planted production episodes "
        "(not read: 4 of the dev split)"
    )
    assert Learned(corpora=()).said() == "learned from nothing, of 0 corpora"


def test_segments_behind_the_mark_were_not_read() -> None:
    def segment(first: int, last: int, kind: Kind = "attempts") -> Segment:
        return Segment(
            file=f"{kind}-{first:012}-{last:012}.parquet",
            kind=kind,
            first_n=first,
            last_n=last,
            last_id="x",
            rows=1,
            bytes=1,
            sha256="aa",
            footer_crc32=0,
            column_crc32={},
        )

    found = segments_read(Manifest((segment(1, 5), segment(6, 9)), 9), 5)
    assert [(one.first_n, one.last_n) for one in found] == [(1, 5)]
    every = Manifest((segment(1, 3), segment(2, 4, "decisions"), segment(5, 5, "episodes")), 5)
    assert [one.kind for one in segments_read(every, 5)] == ["attempts", "episodes"]
