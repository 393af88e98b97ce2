"""Running a gate: one read, resumed after failures, refused twice, and deaf to every attempt to move it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from controllers.corpus import SqliteCorpus
from experiments.events import FILE, SearchFinished, read_events
from experiments.gate.holdout.config import HoldoutConfig
from experiments.gate.holdout.register import CONFIG, ledger_path, register_gate
from experiments.gate.holdout.run import CORPUS, NUMBERS, Ended, run_gate
from experiments.gate.report import GateReport
from optimizers.gate.holdout import HoldoutLedger
from signatures.errors import EvidenceError, HoldoutSpent, Outage, StoreError, UsageError
from signatures.records import Attempt
from tests.worlds.gated import HERE, gate_config, saved
from tests.worlds.lab import lamp_follower, steered
from tests.worlds.planted import PlantedBenchmark
from tests.worlds.troubled import CANARY, FAILS, SLEEP_S

ROOT = Path(__file__).parents[4]
TROUBLED = "tests.worlds.troubled:TroubledWorker"


def config(root: Path, **changed: object) -> HoldoutConfig:
    """A gate of the lamp follower."""
    return gate_config(root / "runs", saved(root / "saved", "lamp", lamp_follower()), **changed)  # type: ignore[arg-type]


def registered(root: Path, **changed: object) -> Path:
    return register_gate(config(root, **changed))[0]


def decision(ended: Ended) -> str:
    decided = ended.report.contrasts[0].decided
    assert decided is not None
    return decided.decision


def entries(root: Path) -> list[str]:
    with HoldoutLedger(ledger_path(root / "runs", PlantedBenchmark())) as ledger:
        return [entry.kind for entry in ledger.entries()]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Ended]:
    """A gate that was run: its root, its registration, and its end. Nothing may change it."""
    root = tmp_path_factory.mktemp("done")
    path = registered(root)
    return root, path, run_gate(path)


@pytest.fixture
def copied(done: tuple[Path, Path, Ended], tmp_path: Path) -> tuple[Path, Path]:
    """The same, copied: its root and its registration."""
    root, path, _ = done
    shutil.copytree(root / "runs", tmp_path / "runs")
    return tmp_path, tmp_path / path.relative_to(root)


def test_the_read_is_completed_and_reported(done: tuple[Path, Path, Ended]) -> None:
    root, path, ended = done
    assert entries(root) == ["registered", "opened", "completed"]
    assert decision(ended) == "hold"
    assert [one.episodes for one in ended.report.spend] == [36, 36]
    stored = GateReport.model_validate_json((path.parent / "report.json").read_text(encoding="utf-8"))
    assert stored == ended.report
    assert (path.parent / "report.md").is_file()
    assert isinstance(list(read_events(path.parent / FILE))[-1].body, SearchFinished)


def test_the_holdout_is_read_once(copied: tuple[Path, Path]) -> None:
    root, path = copied
    report = (path.parent / "report.json").read_bytes()
    with pytest.raises(HoldoutSpent):
        run_gate(path)
    assert (path.parent / "report.json").read_bytes() == report
    assert entries(root) == ["registered", "opened", "completed"]


def test_holdout_episodes_are_in_no_corpus_that_is_learned_from(done: tuple[Path, Path, Ended]) -> None:
    root, path, _ = done
    assert [file.parent for file in root.rglob("*.db") if "corpus" in file.name] == []
    assert (path.parent / CORPUS).is_file()


def test_on_the_whole_holdout_the_planted_effect_is_promoted(tmp_path: Path) -> None:
    ended = run_gate(registered(tmp_path, slices=1, min_effect=0.15, margins={"cheap": 0.1, "clean": 0.1}))
    primary = ended.report.contrasts[0].evidence
    assert (decision(ended), primary.n) == ("promote", 180)


def test_one_program_against_itself_is_hold_and_spends_nothing(tmp_path: Path) -> None:
    path = registered(tmp_path, baseline=saved(tmp_path / "other", "copy", lamp_follower()))
    assert decision(run_gate(path)) == "hold"
    assert entries(tmp_path) == ["registered"]
    assert decision(run_gate(path)) == "hold"


def test_a_worker_that_reports_its_own_score_changes_nothing(tmp_path: Path, done: tuple[Path, Path, Ended]) -> None:
    boasted = run_gate(registered(tmp_path, benchmark=f"{HERE}:BoastingBenchmark")).report
    plain = done[2].report
    assert [one.evidence for one in boasted.contrasts] == [one.evidence for one in plain.contrasts]


def test_an_arm_that_spends_more_tokens_is_confounded(tmp_path: Path) -> None:
    ended = run_gate(registered(tmp_path, benchmark=f"{HERE}:WordyBenchmark"))
    assert decision(ended) == "confounded"
    assert "tokens per episode" in ended.report.sentence


async def test_no_verdict_leaves_the_ledger_but_as_a_number(tmp_path: Path) -> None:
    path = registered(tmp_path, benchmark="tests.worlds.troubled:MarkedBenchmark", slices=20)
    ended = await asyncio.to_thread(run_gate, path)
    assert ended.report.contrasts[0].evidence.n == 9
    texts = [file for file in path.parent.iterdir() if file.suffix in (".json", ".md", ".toml", ".jsonl")]
    assert len(texts) == 9 and not any(CANARY in file.read_text(encoding="utf-8") for file in texts)
    with closing(SqliteCorpus.open_readonly(path.with_name(CORPUS))) as corpus:
        attempts = [one async for one in corpus.scan(Attempt, {})]
        blobs = [await corpus.blob(digest) async for digest in corpus.blob_digests()]
    assert attempts and blobs
    assert not any(CANARY in one.model_dump_json() for one in attempts)
    assert not any(CANARY.encode() in one for one in blobs)


def test_verdicts_missing_for_losing_pairs_block(tmp_path: Path) -> None:
    path = registered(tmp_path, benchmark=f"{HERE}:KindBenchmark")
    for _ in range(2):
        with pytest.raises(EvidenceError, match=r"baseline correct: \d+ of 36 verdicts are missing"):
            run_gate(path)
    assert entries(tmp_path) == ["registered", "opened", "opened"]
    assert not (path.parent / "report.json").exists()


class TestWhatWasEdited:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return registered(tmp_path)

    def test_the_registration_alone(self, path: Path, tmp_path: Path) -> None:
        path.write_text(path.read_text(encoding="utf-8").replace('"alpha": 0.025', '"alpha": 0.2'), encoding="utf-8")
        with pytest.raises(UsageError, match=r"differs from what was registered: alpha \(0.2 registered, 0.025 now\)"):
            run_gate(path)

    def test_the_config_alone(self, path: Path) -> None:
        file = path.with_name(CONFIG)
        file.write_text(file.read_text(encoding="utf-8").replace("turns = 3", "turns = 4"), encoding="utf-8")
        with pytest.raises(UsageError, match=r"conditions.config.turns \(\\?\"3\\?\" registered, \\?\"4\\?\" now\)"):
            run_gate(path)

    def test_both_in_the_same_way(self, path: Path, tmp_path: Path) -> None:
        for file in (path, path.with_name(CONFIG)):
            text = file.read_text(encoding="utf-8")
            assert "0.025" in text
            file.write_text(text.replace("0.025", "0.2"), encoding="utf-8")
        with pytest.raises(UsageError, match="was edited after it was registered"):
            run_gate(path)
        assert entries(tmp_path) == ["registered"]

    def test_the_controller(self, path: Path) -> None:
        saved(path.parent, "candidate", steered("core"))
        with pytest.raises(UsageError, match=r"differs from what was registered: candidate \("):
            run_gate(path)

    def test_the_ledger(self, copied: tuple[Path, Path]) -> None:
        root, path = copied
        with closing(sqlite3.connect(ledger_path(root / "runs", PlantedBenchmark()))) as db:
            db.execute("DROP TRIGGER never_deleted")
            db.execute("DELETE FROM entries WHERE kind = 'completed'")
            db.commit()
        with pytest.raises(StoreError, match="row 3 was deleted"):
            run_gate(path)

    def test_what_is_no_registration(self, tmp_path: Path, path: Path) -> None:
        path.with_name(CONFIG).unlink()
        with pytest.raises(UsageError, match="is no folder of a registered gate"):
            run_gate(path)
        with pytest.raises(UsageError, match="nothing was registered here"):
            run_gate(tmp_path / "none.json")


class TestAfterTheReadIsComplete:
    def lose_the_report(self, path: Path) -> None:
        """As if the run had been killed right after the ledger completed the read."""
        for name in ("report.json", "report.md", FILE):
            path.with_name(name).unlink()

    def test_a_lost_report_is_made_again_without_an_attempt(
        self, copied: tuple[Path, Path], done: tuple[Path, Path, Ended]
    ) -> None:
        root, path = copied
        self.lose_the_report(path)
        path.with_name(CORPUS).unlink()
        said: list[str] = []
        assert run_gate(path, said=said.append).report == done[2].report
        assert not path.with_name(CORPUS).exists() and "numbers that were kept" in said[0]
        assert entries(root) == ["registered", "opened", "completed"]
        with pytest.raises(HoldoutSpent):
            run_gate(path)

    def test_from_no_other_numbers(self, copied: tuple[Path, Path]) -> None:
        _, path = copied
        self.lose_the_report(path)
        numbers = path.with_name(NUMBERS)
        body = json.loads(numbers.read_text(encoding="utf-8"))
        loser = next(one for one in body["played"] if one["arm"] == "candidate" and not one["values"]["correct"])
        loser["values"]["correct"] = 1.0
        numbers.write_text(json.dumps(body), encoding="utf-8")
        with pytest.raises(StoreError, match="it was edited"):
            run_gate(path)

    def test_and_not_without_them(self, copied: tuple[Path, Path]) -> None:
        _, path = copied
        self.lose_the_report(path)
        path.with_name(NUMBERS).unlink()
        with pytest.raises(HoldoutSpent):
            run_gate(path)


class TestInfrastructure:
    def test_an_outage_leaves_the_read_open_and_the_same_command_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = registered(tmp_path, worker=TROUBLED, slices=20)
        trouble = tmp_path / "trouble"
        trouble.touch()
        monkeypatch.setenv(FAILS, str(trouble))
        with pytest.raises(Outage):
            run_gate(path)
        assert entries(tmp_path) == ["registered", "opened"]
        trouble.unlink()
        ended = run_gate(path)
        assert entries(tmp_path) == ["registered", "opened", "opened", "completed"]
        assert sum(one.excluded for one in ended.report.excluded) > 0
        assert all(one.episodes == 9 + one.excluded for one in ended.report.excluded)

    def test_another_candidate_cannot_use_the_open_read(self, tmp_path: Path) -> None:
        path, gate = register_gate(config(tmp_path))
        other = registered_other(tmp_path)
        with HoldoutLedger(ledger_path(tmp_path / "runs", gate.survey.benchmark)) as ledger:
            at = ledger.entries()[0].at
            digest = gate.registration.digest
            ledger.open_read(gate.slice, candidate=gate.registration.candidate, registration=digest, at=at).close()
        with pytest.raises(HoldoutSpent):
            run_gate(other)
        assert decision(run_gate(path)) == "hold"

    def test_of_two_processes_at_once_one_reads_and_killed_it_leaves_the_read_to_the_other(
        self, tmp_path: Path
    ) -> None:
        path = registered(tmp_path, worker=TROUBLED, slices=60, concurrency=1)
        command = [sys.executable, "-m", "experiments.gate_run", "run", str(path)]
        environment = {**os.environ, SLEEP_S: "0.1", "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as first:
            assert first.stdout is not None
            assert "episodes on 3 tasks" in first.stdout.readline()
            with pytest.raises(HoldoutSpent, match="by another process at this moment"):
                run_gate(path)
            first.kill()
        ended = run_gate(path)
        assert entries(tmp_path) == ["registered", "opened", "opened", "completed"]
        assert any("opened 2 times" in note for note in ended.report.notes)
        whole = run_gate(registered(tmp_path / "whole", worker=TROUBLED, slices=60, concurrency=1))
        assert [one.evidence for one in ended.report.contrasts] == [one.evidence for one in whole.report.contrasts]
        assert ended.report.spend == whole.report.spend


def registered_other(root: Path) -> Path:
    """Another candidate, registered for the same slice."""
    other = gate_config(root / "runs", saved(root / "saved", "fan", steered("fan")))
    return register_gate(other)[0]
