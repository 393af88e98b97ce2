"""The command: a row per objective, pictures in the run folders and in MLflow, and one line for what cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from experiments.calibration_run import PICTURE, CalibrationConfig, app, run
from experiments.events import FILE, ArtifactWritten, read_events
from experiments.mirror import replay
from experiments.tracking import store_of
from signatures.errors import UsageError
from tests.experiments.calibration.test_predicted import confirmed, logged, pair


def made(folder: Path, *, tracking: bool = False, shift: float = 0.0) -> Path:
    """A run folder with three confirmed candidates."""
    records = [
        confirmed(f"g0{n}-c0", f"d{n}", correct=pair(n / 10, n / 10 + shift), fast=pair(0.5, 0.5)) for n in (1, 2, 3)
    ]
    logged(folder, *records)
    (folder / "config.toml").write_text(f"tracking = {str(tracking).lower()}\n")
    (folder / "manifest.json").write_text("{}\n")
    return folder


def test_one_run_gets_its_picture_and_its_log_names_it(tmp_path: Path) -> None:
    folder = made(tmp_path / "a-1")
    found = run(CalibrationConfig(runs=(folder,)))
    assert found.figures == (str(folder / PICTURE),)
    assert (folder / PICTURE).is_file()
    assert [(one.objective, one.n) for one in found.objectives] == [("correct", 3), ("fast", 3)]
    assert found.objectives[0].slope == pytest.approx(1.0)
    bodies = [event.body for event in read_events(folder / FILE)]
    assert [body.path for body in bodies if isinstance(body, ArtifactWritten)] == [PICTURE]
    before = (folder / FILE).read_bytes()
    assert run(CalibrationConfig(runs=(folder,))) == found
    assert (folder / FILE).read_bytes() == before


def test_several_runs_are_pooled_below_their_root(tmp_path: Path) -> None:
    for name, shift in (("a-1", 0.0), ("b-1", 0.1)):
        made(tmp_path / name, shift=shift)
    logged(tmp_path / "live-1")  # confirmed nothing
    found = run(CalibrationConfig(root=tmp_path))
    assert found.runs == ("a-1", "b-1")
    assert found.figures == tuple(str(tmp_path / name) for name in (PICTURE, f"a-1/{PICTURE}", f"b-1/{PICTURE}"))
    assert all(Path(name).is_file() for name in found.figures)
    assert found.objectives[0].n == 6
    assert found.objectives[0].bias == pytest.approx(-0.05)
    assert not (tmp_path / "live-1" / PICTURE).exists()


def test_runs_that_confirmed_nothing_are_refused(tmp_path: Path) -> None:
    logged(tmp_path / "live-1")
    with pytest.raises(UsageError, match="no candidate of 1 runs was replayed and then attempted live"):
        run(CalibrationConfig(root=tmp_path))


def test_a_tracked_run_has_the_picture_in_mlflow(root: Path, contents: Any) -> None:
    folder = made(root / "a-1", tracking=True)
    store = store_of(root)
    replay(read_events(folder / FILE), folder, store=store)
    assert run(CalibrationConfig(root=root)).notes == ()
    with_it = [name for name, kept in contents(store).items() if PICTURE in kept.get("artifacts", ())]
    assert len(with_it) == 1  # the run of the search, and none of its candidates


def test_the_command_prints_a_row_per_objective_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made(tmp_path / "a-1")
    app([str(folder)], standalone_mode=False)
    out = capsys.readouterr().out
    assert "3 candidates of 1 runs" in out
    assert "100% of 3" in out
    assert f"figure: {folder / PICTURE}" in out
    app([str(folder), "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert [one["n"] for one in found["objectives"]] == [3, 3]
    assert len(found["points"]) == 6
    shutil.rmtree(folder)
    with pytest.raises(SystemExit) as ended:
        app([str(folder)], standalone_mode=False)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {folder}: no run folder")
