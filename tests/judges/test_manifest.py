from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from controllers import Checker
from judges.manifest import Manifest, freeze, manifest_of, require_unchanged
from judges.testing import ScriptedJudge
from signatures.errors import StoreError, UsageError
from signatures.records import AttemptResult, CheckerResult, Directive, Objective, Split, Task


@dataclass(frozen=True)
class Clock:
    """A checker with a setting that is plain and one that is not."""

    limit: int = 12
    objective: str = "fast"
    note: object = None

    async def check(self, task: Task, result: AttemptResult) -> CheckerResult:
        return CheckerResult(objective=self.objective, value=result.cost.turns, unit="turns")


CORRECT = Objective(name="correct", unit="share", worst=0.0, best=1.0, over="judge")
FAST = Objective(name="fast", unit="turns", worst=36.0, best=0.0, over="episode")
LOOK = Directive(action="look", text="Look where nothing was looked at yet.")
UNDO = Directive(action="undo", text="Undo the last change.")


def tasks(*digests: str) -> list[Task]:
    return [Task(digest=digest, benchmark="toy", prompt="?") for digest in digests]


SPLITS: dict[Split, list[Task]] = {"search": tasks("a", "b"), "dev": tasks("c")}


def made(**changed: object) -> Manifest:
    parts: dict[str, object] = {
        "judge": ScriptedJudge({"a": "yes"}),
        "checkers": [Clock()],
        "splits": SPLITS,
        "objectives": [CORRECT, FAST],
        "directives": [LOOK, UNDO],
        "gate": {"alpha": "0.025"},
    }
    return manifest_of(**{**parts, **changed})  # type: ignore[arg-type]  # one part at a time is replaced


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "manifest.json"
    freeze(path, made())
    return path


def test_the_same_parts_give_the_same_digest(frozen: Path) -> None:
    assert made().digest == made().digest
    require_unchanged(frozen, made())
    assert Manifest.model_validate_json(frozen.read_text()) == made()


def test_it_is_written_once(frozen: Path) -> None:
    before = frozen.read_bytes(), frozen.stat().st_mtime_ns
    freeze(frozen, made())
    with pytest.raises(UsageError, match=r"gate\.alpha"):
        freeze(frozen, made(gate={"alpha": "0.05"}))
    assert (frozen.read_bytes(), frozen.stat().st_mtime_ns) == before
    assert [path.name for path in frozen.parent.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"judge": ScriptedJudge({"a": "yes"}, revision="scripted 2")}, "judge, judge_source"),
        ({"judge": ScriptedJudge({"a": "no"})}, "judge_source"),
        ({"checkers": [Clock(limit=20)]}, "checkers.fast"),
        ({"checkers": [Clock(), Clock(objective="cheap")]}, "checkers.cheap"),
        ({"checkers": []}, "checkers.fast"),
        ({"splits": {**SPLITS, "dev": tasks("c", "d")}}, "splits.dev"),
        ({"splits": {**SPLITS, "search": tasks("b", "a")}}, "splits.search"),
        ({"splits": {**SPLITS, "holdout": tasks("h")}}, "splits.holdout"),
        ({"objectives": [FAST, CORRECT]}, "objectives"),
        ({"objectives": [CORRECT, FAST.model_copy(update={"worst": 40.0})]}, "objectives.fast"),
        ({"directives": [LOOK]}, "directives, directives.undo"),
        ({"directives": [LOOK.model_copy(update={"text": "Look."}), UNDO]}, "directives.look"),
        ({"gate": {}}, "gate.alpha"),
        ({"gate": {"alpha": "0.05"}, "checkers": [Clock(limit=1)]}, "checkers.fast, gate.alpha"),
    ],
)
def test_exactly_the_changed_parts_are_listed(frozen: Path, changed: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        require_unchanged(frozen, made(**changed))
    assert str(caught.value).split("frozen: ")[1] == named
    assert made(**changed).digest != made().digest


@pytest.mark.parametrize("note", [MappingProxyType({"a": (1, None)}), math.inf, FAST, [True, "x"]])
def test_a_plain_setting_counts(note: object) -> None:
    assert made(checkers=[Clock(note=note)]).digest != made().digest
    assert made(checkers=[Clock(note=note)]).digest == made(checkers=[Clock(note=note)]).digest


def test_a_setting_that_is_not_plain_does_not_count() -> None:
    assert made(checkers=[Clock(note=object())]).digest == made(checkers=[Clock(note=object())]).digest


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "plugin_checker.py"
    path.write_text("class Mine:\n    objective = 'clean'\n")
    spec = importlib.util.spec_from_file_location("plugin_checker", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["plugin_checker"] = module
    spec.loader.exec_module(module)
    yield path
    del sys.modules["plugin_checker"]


def test_a_checker_is_its_source(plugin: Path, tmp_path: Path) -> None:
    checker: Checker = sys.modules["plugin_checker"].Mine()
    path = tmp_path / "manifest.json"
    freeze(path, made(checkers=[checker]))
    plugin.write_text(plugin.read_text() + "    lenient = True\n")
    with pytest.raises(UsageError, match=r"frozen: checkers\.clean$"):
        require_unchanged(path, made(checkers=[checker]))
    plugin.unlink()
    with pytest.raises(UsageError, match=r"plugin_checker\.Mine has no source file"):
        made(checkers=[checker])


def test_two_checkers_of_one_objective_are_refused() -> None:
    with pytest.raises(UsageError, match="two checkers measure one objective: fast, fast"):
        made(checkers=[Clock(), Clock(limit=3)])


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"judge": "x"'])
def test_an_unreadable_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="not a readable manifest"):
        require_unchanged(path, made())


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no manifest was frozen here"):
        require_unchanged(tmp_path / "manifest.json", made())


def test_a_place_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot freeze"):
        freeze(tmp_path / "file" / "manifest.json", made())
