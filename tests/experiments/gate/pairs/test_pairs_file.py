"""Pairs from a file: grouping, types, and every cell that cannot be named in one line."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments.gate.pairs.options import Range
from experiments.gate.pairs.pairs_file import PairsFile, read_pairs
from signatures.errors import UsageError


def read(folder: Path, text: str, *ranges: str) -> PairsFile:
    path = folder / "pairs.csv"
    path.write_text(text, encoding="utf-8")
    return read_pairs(path, ranges)


def test_a_plain_file_is_one_experiment_without_a_name(tmp_path: Path) -> None:
    found = read(tmp_path, "task,baseline,candidate\n007,0,1\nb,0.5,.25\n")
    assert found.ranges == {"primary": Range()}
    assert found.values == {"primary": ([0.0, 0.5], [1.0, 0.25])}
    assert found.experiments == {None: {"007": [0], "b": [1]}}
    assert (found.clusters, found.ignored) == (None, ())


def test_experiments_clusters_repeats_and_further_objectives(tmp_path: Path) -> None:
    text = (
        "experiment,task,repeat,cluster,candidate,baseline,fast_candidate,fast_baseline,note\n"
        "x,a,1,k,1,0,90,80,hi\n"
        "y,a,1,l,0,0,70,60,\n"
        "x,a,2,k,0,1,10,20,\n"
    )
    found = read(tmp_path, text, "fast=0,100")
    assert list(found.ranges.items()) == [("primary", Range()), ("fast", Range(0, 100))]
    assert found.values == {"primary": ([0, 0, 1], [1, 0, 0]), "fast": ([80, 60, 20], [90, 70, 10])}
    assert found.experiments == {"x": {"a": [0, 2]}, "y": {"a": [1]}}
    assert found.clusters == ["k", "l", "k"]
    assert found.ignored == ("note",)


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    columns = {
        "experiment": [1, 1],
        "task": pa.array(["a", "b"]).dictionary_encode(),
        "baseline": [True, False],
        "candidate": pa.array([1, 0], pa.int8()),
    }
    pq.write_table(pa.table(columns), path)
    assert read_pairs(path) == read(tmp_path, "experiment,task,baseline,candidate\n1,a,true,1\n1,b,False,0\n")


@pytest.mark.parametrize("cell", ["", " ", "NA", "null", "None", "nan"])
@pytest.mark.parametrize("column", ["baseline", "candidate", "fast_candidate"])
def test_a_missing_side_names_its_task_and_column(tmp_path: Path, cell: str, column: str) -> None:
    row = {"task": "t9", "baseline": "1", "candidate": "1", "fast_baseline": "1", "fast_candidate": "1", column: cell}
    with pytest.raises(UsageError, match=f"line 2: task t9: no value in column '{column}'$"):
        read(tmp_path, f"{','.join(row)}\n{','.join(row.values())}\n")


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_null_in_parquet_is_a_missing_side(tmp_path: Path, value: float | None) -> None:
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"task": ["t1", "t2"], "baseline": [1.0, 0.5], "candidate": [1.0, value]}), path)
    with pytest.raises(UsageError, match="row 2: task t2: no value in column 'candidate'"):
        read_pairs(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task,baseline\na,1\n", "no column 'candidate'; it has 'task', 'baseline'"),
        ("task,candidate\na,1\n", "no column 'baseline'"),
        ("id,baseline,candidate\na,1,1\n", "no column 'task'"),
        ("task,baseline,candidate\na,0,1.01\n", "task a: 1.01 in column 'candidate' is outside the range 0 to 1"),
        ("task,baseline,candidate\na,-1,1\n", "task a: -1 in column 'baseline' is outside"),
        ("task,baseline,candidate\na,1,inf\n", "inf in column 'candidate' is outside"),
        ("task,baseline,candidate\na,1,good\n", "task a: 'good' in column 'candidate' is no number"),
        ("task,baseline,candidate\na,0,1\nb,0,1\na,0,1\n", "line 4: task a is there twice, first in line 2"),
        ("task,repeat,baseline,candidate\na,1,0,1\na,1,0,0\n", "line 3: task a, repeat 1, is there twice"),
        ("experiment,task,baseline,candidate\nx,a,0,1\nx,a,0,1\n", "task a is there twice in experiment x"),
        ("task,baseline,candidate\n,0,1\n", "line 2: no value in column 'task'"),
        ("experiment,task,baseline,candidate\n,a,0,1\n", "no value in column 'experiment'"),
        ("cluster,task,baseline,candidate\n,a,0,1\n", "no value in column 'cluster'"),
        ("repeat,task,baseline,candidate\n,a,0,1\n", "no value in column 'repeat'"),
        (
            "cluster,repeat,task,baseline,candidate\nk,1,a,0,1\nl,2,a,0,1\n",
            "line 3: task a is in two clusters: k, l",
        ),
        ("task,baseline,candidate,clusters\na,0,1,k\n", "column 'clusters': did you mean 'cluster'"),
        ("task,baseline,candidate,fast_candidate\na,0,1,1\n", "'fast_candidate' stands alone: no column 'fast_base"),
        ("task,baseline,candidate,primary_candidate,primary_baseline\na,0,1,1,1\n", "'primary' names"),
    ],
)
def test_a_file_that_cannot_be_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        read(tmp_path, text)
    assert "\n" not in str(raised.value)
    assert "pairs.csv" in str(raised.value)


def test_a_value_at_the_end_of_the_range_is_inside(tmp_path: Path) -> None:
    found = read(tmp_path, "task,baseline,candidate\na,-5,5\n", "-5,5")
    assert found.values["primary"] == ([-5.0], [5.0])


def test_a_range_for_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no objective of that name can have one; there are primary"):
        read(tmp_path, "task,baseline,candidate\na,0,1\n", "fast=0,1")
