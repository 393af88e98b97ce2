"""Where a saved controller came from, by its digest in the search's log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.promote.lineage import lineage_of
from experiments.search.learned import LEARNED, CorpusRead, Learned
from signatures.digest import digest_of
from signatures.release import Lineage


@pytest.fixture
def run(tmp_path: Path, tell: Callable[..., Path]) -> Path:
    folder = tmp_path / "telecom-gepa-s7-1"
    (folder / "candidates").mkdir(parents=True)
    return tell(folder)


def test_a_candidate_of_a_search_has_generation_and_parents(run: Path) -> None:
    found = lineage_of(run / "candidates" / "g02-c1.json", digest_of("g02-c1"))
    assert found == Lineage(
        search_run="telecom-gepa-s7-1", engine="gepa", name="g02-c1", generation=2, parents=("g01-c1",)
    )


def test_a_renamed_file_keeps_its_own_lineage_and_a_strange_one_gets_none(run: Path) -> None:
    assert lineage_of(run / "candidates" / "best.json", digest_of("g02-c1")).name == "g02-c1"
    assert lineage_of(run / "candidates" / "g02-c1.json", "of another") == Lineage(name="g02-c1")
    assert lineage_of(run / "g02-c1.json", digest_of("g02-c1")) == Lineage(name="g02-c1")


def test_control_arms_are_no_candidates(run: Path) -> None:
    assert lineage_of(run / "candidates" / "x.json", digest_of("continue@3")).search_run is None


def test_what_the_search_had_read_is_part_of_it(run: Path) -> None:
    read = CorpusRead(name="corpus-shop.db", until=9, segments=(), episodes={}, left_out={}, moves=3, digest="d1")
    (run / LEARNED).write_text(Learned(corpora=(read,)).model_dump_json(), encoding="utf-8")
    found = lineage_of(run / "candidates" / "g02-c1.json", digest_of("g02-c1"))
    assert found.learned_from == {"corpus-shop.db": "d1"}
