"""Findings over runs: kept beside the run folders, told again by a resumed run, and used only where a run learns."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.search.findings import BEFORE, FOUND, findings_file, found_in, keep, recurrent_before
from optimizers.evidence.findings import AnalysisFinding
from optimizers.evidence.recurring import Findings
from signatures.errors import StoreError
from tests.worlds.jobs import job_at
from tests.worlds.small import small


def with_basis(found: tuple[AnalysisFinding, ...], basis: str) -> tuple[AnalysisFinding, ...]:
    """The same findings on evidence of another run's own."""
    return tuple(one.model_copy(update={"basis": f"{basis} {one.id}"}) for one in found)


def test_what_two_runs_found_on_evidence_of_their_own_recurs(tmp_path: Path) -> None:
    with job_at(tmp_path) as job:
        found = found_in(job.config, job.wired, job.replay.trees)
        assert found == found_in(job.config, job.wired, job.replay.trees)
        assert found and {one.benchmark for one in found} == {"planted"}
        first = keep(job.folder, "planted", found)
        assert (first.found, first.recurrent) == (len({one.id for one in found}), ())
        file = findings_file(job.folder, "planted")
        assert file == tmp_path / "findings-planted.jsonl"
        other = tmp_path / "other"
        other.mkdir()
        second = keep(other, "planted", with_basis(found, "other"))
        assert {one.finding.id for one in second.recurrent} == {one.id for one in found}
        assert second.recurrent[0].runs == (job.folder.name, "other")
        assert "found in 2 runs" in second.lines[1]
        before = file.read_bytes()
        assert keep(job.folder, "planted", found) == first  # executed again, it says what it said
        assert file.read_bytes() == before


def test_only_a_run_that_learns_is_told_what_recurs_and_always_the_same(tmp_path: Path) -> None:
    with job_at(tmp_path) as job:
        found = found_in(job.config, job.wired, job.replay.trees)
        findings = Findings(findings_file(job.folder, "planted"))
        findings.add("a", found)
        findings.add("b", with_basis(found, "b"))
        assert recurrent_before(job.config, job.folder, "planted") == ()
        assert not (job.folder / BEFORE).exists()
        learning = small(tmp_path, learn_from="all")
        told = recurrent_before(learning, job.folder, "planted")
        assert {one.finding.id for one in told} == {one.id for one in found}
        findings.add("c", with_basis(found, "c"))
        assert recurrent_before(learning, job.folder, "planted") == told


def test_a_note_that_is_not_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / FOUND).write_text("{}")
    with pytest.raises(StoreError, match=FOUND):
        keep(tmp_path, "planted", ())
