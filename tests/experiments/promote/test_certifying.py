"""Certificates: of an honest gate that says promote, and of nothing that only says so."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from controllers.program import controller_of
from experiments.gate.holdout.register import register_gate, survey_of
from experiments.gate.holdout.run import NUMBERS, run_gate
from experiments.gate.report import JSON_FILE
from experiments.promote.certifying import CANDIDATE, certificate_of
from optimizers.gate.holdout import HoldoutLedger
from signatures.digest import digest_bytes, digest_of
from signatures.errors import EvidenceError, StoreError, UsageError
from tests.worlds.gated import gate_config, saved
from tests.worlds.lab import lamp_follower, steered

PASSING = {"slices": 1, "min_effect": 0.15, "margins": {"cheap": 0.1, "clean": 0.1}}
LEDGER = "holdout-planted.db"
Json = dict[str, object]


def gated(root: Path, **changed: object) -> Path:
    """The folder of a gate of the lamp follower, run."""
    lamp = saved(root / "saved", "lamp", lamp_follower())
    registration, _ = register_gate(gate_config(root / "runs", lamp, **changed))  # type: ignore[arg-type]
    run_gate(registration)
    return registration.parent


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gate that said promote. Nothing may change it."""
    return gated(tmp_path_factory.mktemp("passed"), **PASSING)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gate that said hold. Nothing may change it."""
    return gated(tmp_path_factory.mktemp("held"))


@pytest.fixture
def folder(passed: Path, tmp_path: Path) -> Path:
    """A copy of the first, with its ledger, to be forged."""
    shutil.copytree(passed.parent, tmp_path / "runs")
    return tmp_path / "runs" / passed.name


def edit(path: Path, change: Callable[[Json], object]) -> None:
    """Change a JSON file in place."""
    body = json.loads(path.read_text(encoding="utf-8"))
    change(body)
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def test_a_gate_that_says_promote_has_a_certificate(passed: Path) -> None:
    found = certificate_of(passed)
    certificate = found.certificate
    assert found.report == (passed / JSON_FILE).read_bytes()
    assert certificate.report == digest_bytes(found.report)
    assert certificate.sentence == json.loads(found.report)["sentence"]
    assert certificate.sentence.startswith("promote: lamp - continue@3 on 180 tasks")
    assert certificate.gate == passed.name
    assert certificate.gate.endswith(certificate.registration[:12])
    assert certificate.candidate == lamp_follower().digest
    assert (certificate.benchmark, found.config.attempts, found.config.turns) == ("planted", 3, 3)
    with HoldoutLedger(passed.parent / LEDGER) as ledger:
        head = ledger.verify()
    assert (certificate.ledger_rows, certificate.ledger_chain) == (head.rows, head.chain)


def test_the_grant_is_the_candidates_own(passed: Path) -> None:
    """Not what the config says: an arm such as `long@1` has another cut of the same budget."""
    assert certificate_of(passed).grant == survey_of(certificate_of(passed).config, folder=passed).candidate.grant
    assert certificate_of(passed).grant.attempts == 3


def test_asking_changes_nothing(passed: Path) -> None:
    before = {path: path.read_bytes() for path in passed.rglob("*") if path.is_file()}
    assert certificate_of(passed) == certificate_of(passed)
    assert {path: path.read_bytes() for path in passed.rglob("*") if path.is_file()} == before


def test_another_gate_in_the_same_ledger_leaves_it_valid(folder: Path) -> None:
    before = certificate_of(folder).certificate
    with HoldoutLedger(folder.parent / LEDGER) as ledger, ledger._table.writing() as entries:
        ledger._table.add(entries[0].model_copy(update={"registration": "another"}))
    assert certificate_of(folder).certificate == before


def test_a_gate_that_says_hold_has_none(held: Path) -> None:
    with pytest.raises(EvidenceError, match="decision: the gate says hold, not promote: hold: lamp"):
        certificate_of(held)


class TestForgedReport:
    """`report.json` says something else than its numbers do."""

    @pytest.fixture
    def hold(self, held: Path, tmp_path: Path) -> Path:
        shutil.copytree(held.parent, tmp_path / "runs")
        return tmp_path / "runs" / held.name

    def test_a_sentence_that_says_promote(self, hold: Path) -> None:
        def promote(body: Json) -> None:
            body["sentence"] = str(body["sentence"]).replace("hold", "promote")

        edit(hold / JSON_FILE, promote)
        with pytest.raises(EvidenceError, match=r"report\.json: sentence: the report was edited.*hold: lamp"):
            certificate_of(hold)

    def test_a_decision_that_says_promote(self, hold: Path) -> None:
        def promote(body: Json) -> None:
            body["contrasts"][0]["decided"]["decision"] = "promote"  # type: ignore[index]

        edit(hold / JSON_FILE, promote)
        with pytest.raises(EvidenceError, match=r"report\.json: contrasts: the report was edited"):
            certificate_of(hold)

    @pytest.mark.parametrize(
        ("field", "value"),
        [("gap", 0.5), ("split", "search"), ("notes", []), ("numbers", {"x": 1.0}), ("seed", 5), ("excluded", [])],
    )
    def test_any_field(self, folder: Path, field: str, value: object) -> None:
        edit(folder / JSON_FILE, lambda body: body.update({field: value}))
        with pytest.raises(EvidenceError, match=rf"report\.json: {field}: the report was edited"):
            certificate_of(folder)

    def test_a_field_of_its_own(self, folder: Path) -> None:
        edit(folder / JSON_FILE, lambda body: body.update({"approved": True}))
        with pytest.raises(EvidenceError, match=r"report\.json: approved: cannot be read"):
            certificate_of(folder)

    def test_a_ledger_end_that_never_was(self, folder: Path) -> None:
        edit(
            folder / JSON_FILE, lambda body: body["notes"].append(str(body["notes"].pop()).replace("3 rows", "2 rows"))
        )  # type: ignore[attr-defined]
        with pytest.raises(EvidenceError, match="notes: the report was edited"):
            certificate_of(folder)

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"kind": "gate"}'])
    def test_no_report(self, folder: Path, text: str) -> None:
        (folder / JSON_FILE).write_text(text, encoding="utf-8")
        with pytest.raises(EvidenceError, match=r"report\.json: .*cannot be read as a report"):
            certificate_of(folder)
        (folder / JSON_FILE).unlink()
        with pytest.raises(UsageError, match="report: cannot be read"):
            certificate_of(folder)


class TestForgedNumbers:
    def test_better_values(self, folder: Path) -> None:
        def better(body: Json) -> None:
            for one in body["played"]:  # type: ignore[attr-defined]
                if one["arm"] == "candidate":
                    one["values"]["correct"] = 1.0

        edit(folder / NUMBERS, better)
        with pytest.raises(EvidenceError, match=r"numbers\.json: holds other numbers than those that completed"):
            certificate_of(folder)

    def test_a_losing_episode_called_failed(self, folder: Path) -> None:
        """The ledger's digest does not cover why a value is missing, so none may be."""

        def failed(body: Json) -> None:
            body["played"][0]["failure"] = {"error": "WorkerError", "message": "lost", "where": "worker"}  # type: ignore[index]

        edit(folder / NUMBERS, failed)
        with pytest.raises(EvidenceError, match=r"numbers\.json: played: is not every task and seed"):
            certificate_of(folder)

    def test_other_seeds(self, folder: Path) -> None:
        edit(folder / NUMBERS, lambda body: body["played"][0].update(seed=1))  # type: ignore[index]
        with pytest.raises(EvidenceError, match=r"numbers\.json: played: is not every task and seed"):
            certificate_of(folder)

    def test_none(self, folder: Path) -> None:
        (folder / NUMBERS).unlink()
        with pytest.raises(EvidenceError, match=r"numbers\.json: cannot be read"):
            certificate_of(folder)

    def test_those_of_a_hold_with_its_report(self, folder: Path, held: Path) -> None:
        for name in (NUMBERS, JSON_FILE):
            shutil.copy(held / name, folder / name)
        with pytest.raises(EvidenceError, match=r"numbers\.json"):
            certificate_of(folder)


class TestForgedRegistration:
    def test_a_swapped_candidate(self, folder: Path) -> None:
        other = controller_of(steered("fan")).dumps()
        (folder / CANDIDATE).write_text(other + "\n", encoding="utf-8")
        with pytest.raises(UsageError, match="candidate"):
            certificate_of(folder)

    def test_a_swapped_candidate_in_the_registration_too(self, folder: Path) -> None:
        other = controller_of(steered("fan"))
        (folder / CANDIDATE).write_text(other.dumps() + "\n", encoding="utf-8")
        edit(folder / "registration.json", lambda body: body.update(candidate=other.digest))
        with pytest.raises(UsageError, match=r"registration: .* was never noted in this ledger"):
            certificate_of(folder)

    def test_an_easier_rule(self, folder: Path) -> None:
        edit(folder / "registration.json", lambda body: body.update(alpha=0.4))
        with pytest.raises(UsageError, match="alpha"):
            certificate_of(folder)

    def test_other_settings(self, folder: Path) -> None:
        path = folder / "gate.toml"
        path.write_text(path.read_text(encoding="utf-8").replace("turns = 3", "turns = 4"), encoding="utf-8")
        with pytest.raises(UsageError, match="differs from what was registered"):
            certificate_of(folder)

    def test_another_definition_of_done(self, folder: Path) -> None:
        edit(folder / "manifest.json", lambda body: body.update(judge="kind judge"))
        with pytest.raises(UsageError, match="manifest"):
            certificate_of(folder)

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="nothing was registered here"):
            certificate_of(tmp_path)


class TestForgedLedger:
    def test_none(self, folder: Path) -> None:
        (folder.parent / LEDGER).unlink()
        with pytest.raises(UsageError, match="ledger: is missing"):
            certificate_of(folder)
        assert not (folder.parent / LEDGER).exists()

    def test_another(self, folder: Path, held: Path) -> None:
        shutil.copy(held.parent / LEDGER, folder.parent / LEDGER)
        with pytest.raises(UsageError, match=r"registration: .* was never noted in this ledger"):
            certificate_of(folder)

    def test_an_edited_row(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder.parent / LEDGER)) as db:
            db.execute("DROP TRIGGER never_edited")
            (body,) = db.execute("SELECT body FROM entries WHERE kind = 'completed'").fetchone()
            forged = json.dumps({**json.loads(body), "verdicts": digest_of("better")})
            db.execute("UPDATE entries SET body = ? WHERE kind = 'completed'", (forged,))
            db.commit()
        with pytest.raises(StoreError, match=r"row 3 .* was edited or inserted"):
            certificate_of(folder)

    def test_one_that_ends_before_the_read(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder.parent / LEDGER)) as db:
            db.execute("DROP TRIGGER never_deleted")
            db.execute("DELETE FROM entries WHERE kind = 'completed'")
            db.execute("UPDATE sqlite_sequence SET seq = 2")
            db.commit()
        with pytest.raises(EvidenceError, match=r"verdicts: the read of planted holdout 1 of 1 .* is not completed"):
            certificate_of(folder)
