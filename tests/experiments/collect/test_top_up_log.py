"""The log of purchases: written before they are made, one holder at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.collect.top_up_log import TopUp, TopUpLog, top_ups_beside
from optimizers.collect.collecting import Purchase
from signatures.errors import StoreError, UsageError

ONE = TopUp(
    attempts=3,
    made_with="a",
    purchases=(Purchase(task_digest="t", parent_id="p", action="fan", depth=2, repeat=1),),
)


def test_it_lies_beside_the_corpus() -> None:
    assert top_ups_beside(Path("runs/corpus-x.db")) == Path("runs/corpus-x.top-ups.jsonl")


def test_a_top_up_is_pending_until_it_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "log.jsonl"
    with TopUpLog(path) as log:
        assert log.pending is None
        log.begin(ONE)
        assert log.pending == ONE
    with TopUpLog(path) as log:
        assert log.pending == ONE
        log.finish()
        assert log.pending is None
    with TopUpLog(path) as log:
        assert log.pending is None


def test_a_list_that_was_half_written_was_never_begun(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with TopUpLog(path) as log:
        log.begin(ONE)
        log.finish()
        whole = path.read_bytes()
        log.begin(ONE)
    half = path.read_bytes()
    path.write_bytes(half[: (len(whole) + len(half)) // 2])
    with TopUpLog(path) as log:
        assert log.pending is None
    assert path.read_bytes() == whole


def test_two_do_not_collect_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with TopUpLog(path), pytest.raises(UsageError, match="another process is collecting into this corpus"):
        TopUpLog(path)
    TopUpLog(path).close()


@pytest.mark.parametrize("text", ['{"top_up":{"attempts":0}}\n', "not json\n"])
def test_a_damaged_log_is_not_taken_for_an_empty_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    for _ in range(2):  # and what failed let go of the file
        with pytest.raises(StoreError, match=r"log\.jsonl"):
            TopUpLog(path)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open for appending"):
        TopUpLog(tmp_path / "file" / "log.jsonl")
