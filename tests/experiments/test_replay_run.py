"""Replaying controllers from a corpus file: values, refusals with reasons, exit codes, and nothing attempted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controllers.baselines import controller_components, seed_candidate
from controllers.program import controller_of
from experiments.collect.config import CollectConfig
from experiments.collect_run import run as collect
from experiments.replay_run import ReplayConfig, app, require_an_estimate, run
from optimizers.replay.estimates import Estimate, Refusal
from signatures.errors import NoSupport, StoreError, UsageError
from signatures.records import Candidate

PLANTED = "tests.worlds.planted:PlantedBenchmark"
ACTIONS = ("none", "fan", "pump", "valve", "core")
ANY = Candidate(components=controller_components(refine=True, steer=dict.fromkeys(ACTIONS, 1.0)))
SHOUT = Candidate(components=controller_components(refine=True, steer={"shout": 1.0}))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus of trees and stochastic episodes."""
    root = tmp_path_factory.mktemp("recorded")
    collect(CollectConfig(benchmark=PLANTED, root=str(root), tasks=12, episodes_per_task=24))
    return root / "corpus-planted.db"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Saved controllers by name."""
    folder = tmp_path_factory.mktemp("controllers")
    found = {}
    for name, candidate in {"any": ANY, "seed": seed_candidate(), "shout": SHOUT}.items():
        path = folder / f"{name}.json"
        path.write_text(controller_of(candidate).dumps(), encoding="utf-8")
        found[name] = str(path)
    return found


def config(corpus: Path, files: dict[str, str], *estimators: str, names: tuple[str, ...] = ("any",)) -> ReplayConfig:
    chosen = tuple(files[name] for name in names)
    return ReplayConfig(corpus=str(corpus), candidates=chosen, benchmark=PLANTED, estimators=estimators)


def test_estimators_agree_on_a_controller_near_the_recorded_one(recorded: Path, files: dict[str, str]) -> None:
    found = {one.estimator: one for one in run(config(recorded, files, "tree", "snips", "pd-snips", "dr"))}
    assert set(found) == {"tree", "snips", "pd-snips", "dr"}
    values = [one.values["correct"] for one in found.values() if isinstance(one, Estimate)]
    assert len(values) == 4
    assert max(one.value for one in values) - min(one.value for one in values) < 0.1
    assert all(one.lo is not None and one.hi is not None and one.lo < one.value < one.hi for one in values)


def test_nothing_is_attempted_and_nothing_changes(recorded: Path, files: dict[str, str]) -> None:
    before = recorded.read_bytes()
    first, second = (run(config(recorded, files, "tree", "snips")) for _ in range(2))
    assert first == second
    assert recorded.read_bytes() == before


def test_an_action_that_was_never_recorded_is_refused_by_all(recorded: Path, files: dict[str, str]) -> None:
    found = run(config(recorded, files, "tree", "snips", "dr", names=("shout",)))
    assert all(isinstance(one, Refusal) and "shout" in one.reason for one in found)
    with pytest.raises(NoSupport, match="shout"):
        require_an_estimate(found)


def test_answers_stand_controller_by_controller(recorded: Path, files: dict[str, str]) -> None:
    found = run(config(recorded, files, "tree", "random@k", names=("any", "seed")))
    assert [(one.candidate, one.estimator) for one in found] == [
        (name, id) for name in ("any", "seed") for id in ("tree", "random@k")
    ]


def test_the_command_prints_json_and_refuses_in_one_line(
    recorded: Path, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--corpus", str(recorded), "--benchmark", PLANTED, "--estimator", "tree"]
    app(["--candidate", files["any"], files["seed"], "--json", *common], standalone_mode=False)
    printed = json.loads(capsys.readouterr().out)
    assert [one["candidate"] for one in printed] == ["any", "seed"]
    with pytest.raises(SystemExit) as ended:
        app(["--candidate", files["shout"], *common], standalone_mode=False)
    assert ended.value.code == 4
    assert capsys.readouterr().err == "error: the record supports no estimate of shout\n"


def test_bad_input_is_named(recorded: Path, files: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown estimator 'oracle'"):
        run(config(recorded, files, "oracle"))
    with pytest.raises(UsageError, match="cannot be read"):
        run(config(recorded, {"any": str(tmp_path / "none.json")}))
    with pytest.raises(StoreError, match="no such corpus"):
        run(config(tmp_path / "none.db", files))
