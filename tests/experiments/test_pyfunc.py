"""The optional pyfunc: the champion's own probabilities by rows, loaded by MLflow without a pickle."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

from controllers.policies import View
from controllers.programs import builtin
from controllers.release import FolderSource, fingerprints_of, load_champion
from experiments.pyfunc import INPUTS, MOST_ROWS, OUTPUTS, _load_pyfunc
from experiments.registry import RELEASE_TAG, Registry
from experiments.tracking import store_of
from optimizers.promotion import write_release
from signatures.errors import ReleaseRefused, UsageError
from signatures.records import Task
from signatures.release import Release
from tests.worlds.shipped import ship
from tests.worlds.signed import AT_S, a_promotion

ROOT = Path(__file__).parents[2]
LEGAL = ["none", "fan", "pump", "valve", "core"]
ROWS = [
    {"policy": "steer", "features": json.dumps({"planted.lit.pump": 1.0}), "legal": json.dumps(LEGAL)},
    {"policy": "steer", "features": "{}", "legal": json.dumps(LEGAL)},
    {"policy": "stop", "features": json.dumps({"best_passed": 1.0, "attempts": 2}), "legal": '["go", "done"]'},
]


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """A release in `release` below the test's folder."""
    return ship(tmp_path / "release")


def test_each_row_is_answered_with_the_policys_own_probabilities(release: Release, tmp_path: Path) -> None:
    found = _load_pyfunc(str(tmp_path / "release")).predict(pandas.DataFrame(ROWS))
    assert [tuple(row) for row in found] == [OUTPUTS] * 3
    assert {(row["tier"], row["release"]) for row in found} == {("rule", release.digest)}
    lit, dark, _ = (json.loads(row["probabilities"]) for row in found)
    assert release.exploration == 0.05
    assert lit == pytest.approx(dict.fromkeys(LEGAL, 0.05) | {"pump": 0.8})
    assert dark == pytest.approx(dict.fromkeys(LEGAL, 0.05) | {"none": 0.8})


def test_without_exploration_they_are_the_policys_weights(tmp_path: Path) -> None:
    ship(tmp_path / "release", exploration=0.0)
    policy = load_champion(FolderSource(tmp_path / "release")).controller.policies["steer"]
    view = View(Task(digest="", benchmark="planted", prompt=""), {"planted.lit.pump": 1.0}, tuple(LEGAL))
    (found,) = _load_pyfunc(str(tmp_path / "release")).predict(pandas.DataFrame(ROWS[:1]))
    weights = asyncio.run(policy.decide(view)).weights
    assert json.loads(found["probabilities"]) == {action: weights.get(action, 0.0) for action in LEGAL}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"policy": "start"}, "row 2: policy"),
        ({"features": "{"}, "row 2: features"),
        ({"features": '{"a": NaN}'}, "row 2: features"),
        ({"features": '{"a": "b"}'}, "row 2: features"),
        ({"features": None}, "row 2: features"),
        ({"legal": "[]"}, "row 2: legal"),
        ({"legal": "fan"}, "row 2: legal"),
        ({"legal": '["fan", "fan"]'}, "named twice"),
        ({"legal": json.dumps([str(n) for n in range(21)])}, "cannot hold for 21 actions"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(
    release: Release, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    served = _load_pyfunc(str(tmp_path / "release"))
    with pytest.raises(UsageError, match=said):
        served.predict(pandas.DataFrame([ROWS[0], {**ROWS[1], **change}]))


def test_columns_and_rows_have_limits(release: Release, tmp_path: Path) -> None:
    served = _load_pyfunc(str(tmp_path / "release"))
    with pytest.raises(UsageError, match="column legal is missing"):
        served.predict(pandas.DataFrame(ROWS)[list(INPUTS[:2])])
    with pytest.raises(UsageError, match="at most 10,000"):
        served.predict(pandas.DataFrame([ROWS[0]] * (MOST_ROWS + 1)))
    assert served.predict(pandas.DataFrame(columns=list(INPUTS))) == []


def test_an_edited_release_is_refused(release: Release, tmp_path: Path) -> None:
    state = tmp_path / "release" / "state.json"
    state.write_text(state.read_text(encoding="utf-8").replace("pump", "core"), encoding="utf-8")
    with pytest.raises(ReleaseRefused, match=r"state\.json"):
        _load_pyfunc(str(tmp_path / "release"))


def test_a_policy_that_asks_a_model_is_refused_before_anything_is_registered(root: Path) -> None:
    ship(root / "release", fingerprints=fingerprints_of(("openai/some-model",), None))
    registry = Registry(store_of(root))
    with pytest.raises(UsageError, match=r"openai/some-model.*which a pyfunc cannot"):
        registry.create_pyfunc("planted", root / "release", {})
    assert registry.versions("planted-pyfunc") == ()


def test_mlflow_loads_and_asks_it(root: Path) -> None:
    """In a fresh process that refuses pickles, as `mlflow models serve` does it."""
    release = ship(root / "release")
    store = store_of(root)
    made = Registry(store).create_pyfunc("planted", root / "release", {"tiller.candidate": "c"})
    assert (made.name, made.version) == ("planted-pyfunc", "1")
    assert made.tags == {"tiller.candidate": "c", RELEASE_TAG: release.digest}
    program = (
        "import json, sys, pandas, mlflow.pyfunc\n"
        "model = mlflow.pyfunc.load_model('models:/planted-pyfunc/1')\n"
        "print(json.dumps([model.loader_module, model.predict(pandas.DataFrame(json.load(sys.stdin)))]))\n"
    )
    given = {
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_TRACKING_URI": store.uri,
        "PYTHONPATH": str(ROOT),
        "PATH": os.environ["PATH"],
    }
    asked = subprocess.run(
        [sys.executable, "-c", program],
        env=given,
        cwd=root,
        input=json.dumps(ROWS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    loader, found = json.loads(asked.stdout)
    assert loader == "experiments.pyfunc"
    assert json.loads(found[0]["probabilities"])["pump"] == pytest.approx(0.8)
    assert not [path.name for path in (root / "mlflow-artifacts").rglob("*") if path.suffix in (".pkl", ".lock")]


def test_a_program_cannot_be_asked_by_rows(tmp_path: Path) -> None:
    write_release(tmp_path / "release", a_promotion(builtin.refine("fan")), at_s=AT_S)
    with pytest.raises(UsageError, match="decides from the attempts, which no row holds; use serve_run"):
        _load_pyfunc(str(tmp_path / "release"))
