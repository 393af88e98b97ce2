"""From a controller to a proposal, its report and the gate's command; and a gate that promotes it."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from controllers.program import loads
from experiments.demote_run import run
from experiments.gate.report import GateReport
from experiments.tiers.demoting import DEMOTED, gate_command
from experiments.tiers.material import material_of
from tests.experiments.tiers.conftest import Recorded
from tests.worlds.model import served
from tests.worlds.tiered import BENCHMARK, demote_config, model

ROOT = Path(__file__).parents[3]


def test_without_answers_nothing_is_proposed_and_nothing_is_asked(recorded: Recorded, tmp_path: Path) -> None:
    config = demote_config(tmp_path, recorded.controller, corpus=str(recorded.root / "corpus-planted.db"))
    lm, engine = model()
    ended = run(config, lm=lm)
    assert engine.prompts == [] and ended.command is None and ended.proposal.candidate is None
    assert ended.report.sentence.startswith("nothing is proposed: steer: correct may lose up to")
    assert "is not on record" in ended.report.sentence
    assert not (ended.folder / DEMOTED).exists()
    assert ended.proposal.unsupported > 0.9


def test_the_lamps_are_found_and_answers_are_paid_for_once(recorded: Recorded) -> None:
    lm, engine = model()
    ended = run(demote_config(recorded.root, recorded.controller, ask=True), lm=lm)
    (one,) = ended.proposal.demotions
    assert one.proposed and one.agreement is not None and one.agreement.share.mean == 1.0
    assert [rule.split(":")[1].strip() for rule in one.rules] == ["fan", "pump", "valve"]
    assert all(regret.hi <= 0.05 for regret in one.regrets)
    assert len(engine.prompts) > 50
    demoted = loads((ended.folder / DEMOTED).read_text())
    assert demoted.candidate == ended.proposal.candidate
    body = GateReport.model_validate_json((ended.folder / "report.json").read_text())
    assert body == ended.report and body.contrasts[0].decided is None
    assert "if planted.lit.fan > 0.5: fan" in (ended.folder / "report.md").read_text()

    again, silent = model()
    second = run(demote_config(recorded.root, recorded.controller), lm=again)
    assert silent.prompts == []
    assert second.proposal == ended.proposal, "the answers of the first run are on record"


def test_the_gates_command_names_all_that_differs_from_its_defaults(recorded: Recorded) -> None:
    lm, _ = model()
    config = demote_config(recorded.root, recorded.controller, ask=True, options={"noise": 0.1})
    command = run(config, lm=lm).command
    assert command is not None
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "experiments.gate_run", "register"]
    for word in (BENCHMARK, recorded.controller, "attempts=2", "turns=3", "lm=openai/scripted", "options.noise=0.1"):
        assert word in words


def test_the_gates_command_names_the_model_as_it_was_named_here(recorded: Recorded) -> None:
    config = demote_config(recorded.root, recorded.controller, lm="local:small.gguf")
    found = asyncio.run(material_of(config, model()[0]))
    assert "lm=local:small.gguf" in shlex.split(gate_command(config, found, Path("demoted.json")))


def test_of_a_local_model_that_was_not_named_the_gates_command_says_which_file(recorded: Recorded) -> None:
    config = demote_config(recorded.root, recorded.controller)
    found = replace(asyncio.run(material_of(config, model()[0])), models=("local/small@0123456789ab",))
    assert "lm=local:PATH/small.gguf" in shlex.split(gate_command(config, found, Path("demoted.json")))


@pytest.mark.slow
def test_the_gate_promotes_what_is_as_good_and_cheaper(recorded: Recorded) -> None:
    def ran(*command: str) -> str:
        environment = {**os.environ, "OPENAI_API_KEY": "x"}
        ended = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    lm, _ = model()
    with served() as server:
        config = demote_config(recorded.root, recorded.controller, ask=True, api_base=server.url)
        command = run(config, lm=lm).command
        assert command is not None
        registered = ran(*shlex.split(command)[1:], "tracking=false")
        following = shlex.split(registered.split("next: ")[1])
        report = GateReport.model_validate_json(ran(*following[1:], "--json"))
    decided = report.contrasts[0].decided
    assert decided is not None and decided.decision == "promote", json.dumps(decided.reasons)
    assert decided.reasons[0].startswith("not worse, and cheaper")
