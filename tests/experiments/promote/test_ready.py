"""What a promotion needs, looked at before anything is written: above all a gate that says promote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.gate.holdout.register import register_gate
from experiments.gate.holdout.run import run_gate
from experiments.promote.config import PromoteConfig
from experiments.promote.ready import Nomination, newest_gate, ready
from signatures.errors import EvidenceError, UsageError
from tests.worlds.gated import gate_config, saved
from tests.worlds.lab import lamp_follower, steered

WORLD = "tests.worlds.planted:PlantedBenchmark"


class Gated(NamedTuple):
    root: Path
    gate: Path
    lamp: Path
    core: Path

    def config(self, **changed: object) -> PromoteConfig:
        return PromoteConfig.model_validate({"root": str(self.root), **changed})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Gated:
    """A gate that says promote of the lamp follower."""
    folder = tmp_path_factory.mktemp("gated")
    lamp, core = saved(folder, "lamp", lamp_follower()), saved(folder, "core", steered("core"))
    margins = {"cheap": 0.1, "clean": 0.1}
    path, _ = register_gate(gate_config(folder / "runs", lamp, slices=1, min_effect=0.15, margins=margins))
    run_gate(path)
    return Gated(folder / "runs", path.parent, Path(lamp), Path(core))


@pytest.fixture
def gated(done: Gated, tmp_path: Path) -> Gated:
    """A copy to spoil."""
    root = tmp_path / "runs"
    shutil.copytree(done.root, root)
    return done._replace(root=root, gate=root / done.gate.name)


def test_the_gate_that_is_about_the_candidate_is_found_and_fixes_the_rest(done: Gated) -> None:
    given = ready(done.config(exploration=0.1), Nomination(done.lamp))
    assert given.certified is not None
    assert given.certified.certificate.gate == done.gate.name
    assert (given.ungated, given.name, given.config.turns, given.config.benchmark) == ("", "planted", 3, WORLD)
    assert given.reference is not None and "correct" in given.reference.success
    promotion = given.promotion()
    assert promotion.grant == given.certified.grant
    assert promotion.certificate == given.certified.certificate
    assert promotion.report == (done.gate / "report.json").read_bytes()
    assert newest_gate(done.root, "of another") is None


def test_without_a_gate_nothing_is_promoted_unless_loudly(done: Gated) -> None:
    with pytest.raises(UsageError, match="--allow-ungated"):
        ready(done.config(benchmark=WORLD), Nomination(done.core))
    given = ready(done.config(benchmark=WORLD, turns=3), Nomination(done.core, allow_ungated=True))
    assert given.certified is None
    assert "no gate below" in given.ungated
    assert json.loads(given.promotion().report)["kind"] == "ungated"


def test_a_gate_about_another_controller_is_no_certificate(done: Gated) -> None:
    with pytest.raises(UsageError, match="the gate was about another controller"):
        ready(done.config(), Nomination(done.core, gate=done.gate))


def test_a_forged_report_is_refused_and_with_allow_ungated_recorded(gated: Gated) -> None:
    report = gated.gate / "report.json"
    report.write_text(report.read_text().replace('"promote"', '"hold"', 1))
    with pytest.raises((EvidenceError, UsageError)):
        ready(gated.config(), Nomination(gated.lamp))
    given = ready(gated.config(benchmark=WORLD, turns=3), Nomination(gated.lamp, allow_ungated=True))
    assert given.certified is None
    assert "report" in given.ungated


def test_what_the_gate_was_not_about_is_refused_by_name(done: Gated) -> None:
    with pytest.raises(UsageError, match="turns=5"):
        ready(done.config(turns=5), Nomination(done.lamp))


DEEP = f'{{"components": {"[" * 100_000}{"]" * 100_000}}}'


@pytest.mark.parametrize("text", [None, "no json", "[]", "{}", DEEP, '{"components": {"stop": NaN}}'])
def test_what_is_no_controller_is_a_usage_error(done: Gated, tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "c.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be read as a saved controller"):
        ready(done.config(), Nomination(file))
