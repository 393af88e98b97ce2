"""The two sides of a gate: arms by name, controllers from files, and the value that a search gave them."""

from __future__ import annotations

from pathlib import Path

import pytest

from controllers.program import loads
from experiments.events import CandidateScored, EventLog, SearchStarted
from experiments.gate.holdout.contenders import contender_of, cut_of, searched_value, text_of
from experiments.search.confirmed import Confirmed, Pair
from optimizers.gate.holdout_episodes import Contender
from optimizers.setup import Grant
from signatures.errors import UsageError
from tests.worlds.gated import gate_config, saved
from tests.worlds.lab import STEERS, lamp_follower, steered

PAIR = Pair(n=4, offline=0.7, offline_lo=None, offline_hi=None, live=0.6, live_lo=None, live_hi=None)


def of(named: str, root: Path, *, copy: Path | None = None) -> Contender:
    return contender_of(named, gate_config(root, named), STEERS, lm=None, copy=copy)


def test_a_file_is_a_controller_with_the_whole_table(tmp_path: Path) -> None:
    found = of(saved(tmp_path, "lamp", lamp_follower()), tmp_path)
    assert (found.name, found.candidate.digest) == ("lamp", lamp_follower().digest)
    assert found.grant == Grant(3, 3, STEERS)
    assert loads(text_of(found, None)).digest == found.candidate.digest


def test_an_arm_has_its_own_cut_of_the_same_turns(tmp_path: Path) -> None:
    kept, long = of("continue@3", tmp_path), of("long@1", tmp_path)
    assert (kept.grant, long.grant) == (Grant(3, 3, ("none",)), Grant(1, 9, ("none",)))
    assert kept.grant.amounts.turns == long.grant.amounts.turns
    assert cut_of(long) == '[1, 9, "none"]'


def test_a_copy_stands_for_the_file_that_may_be_gone(tmp_path: Path) -> None:
    copy = Path(saved(tmp_path, "candidate", lamp_follower()))
    assert of("gone/lamp.json", tmp_path, copy=copy) == of(saved(tmp_path, "lamp", lamp_follower()), tmp_path)


def test_what_is_neither_is_refused_with_the_arms_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no control arm \(random@3, continue@3"):
        of("none", tmp_path)


@pytest.mark.parametrize("extra", ['"score": 1.0,', ""])
def test_an_edited_file_is_refused_even_where_it_only_claims_a_score(tmp_path: Path, extra: str) -> None:
    path = Path(saved(tmp_path, "lamp", lamp_follower()))
    text = path.read_text(encoding="utf-8")
    path.write_text("{" + extra + text[1:].replace("planted.lit.fan", "planted.lit.pump"), encoding="utf-8")
    with pytest.raises(UsageError, match="was edited"):
        of(str(path), tmp_path)


class TestWhatTheSearchSaid:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """A saved candidate in a run folder whose log knows it, an arm, and one that was confirmed live."""
        lamp, fan = lamp_follower().digest, steered("fan").digest
        with EventLog(tmp_path) as log:
            log.emit(SearchStarted(run_id="r", benchmark="planted", engine="gepa", seed=0))
            log.emit(CandidateScored(name="g01-c1", digest=lamp, metrics={"search/correct": 0.8}))
            log.emit(CandidateScored(name="g01-c2", digest=fan, metrics={"search/correct": 0.7}))
            log.emit(
                CandidateScored(name="continue@3", role="baseline", metrics={"search/correct": 0.3, "dev/correct": 0.2})
            )
            told = {"tasks": 4, "replayed": 4, "unsupported": 0.0, "attempts": 8, "values": {"correct": PAIR}}
            log.emit(Confirmed.model_validate({"name": "g01-c2", "search": "gepa", "digest": fan, **told}))
        return Path(saved(tmp_path / "candidates", "g01-c1", lamp_follower()))

    def test_it_is_the_value_on_the_search_split(self, file: Path) -> None:
        assert searched_value(file, of(str(file), file.parent), "correct") == 0.8

    def test_a_live_value_is_better_than_a_replayed_one(self, file: Path) -> None:
        other = Path(saved(file.parent, "g01-c2", steered("fan")))
        assert searched_value(other, of(str(other), file.parent), "correct") == 0.6

    def test_an_arm_is_found_by_its_name(self, file: Path) -> None:
        assert searched_value(file, of("continue@3", file.parent), "correct") == 0.3

    def test_elsewhere_it_is_not_known(self, file: Path, tmp_path: Path) -> None:
        away = Path(saved(tmp_path / "away", "g01-c1", lamp_follower()))
        assert searched_value(away, of(str(away), tmp_path), "correct") is None
        assert searched_value(file, of("random@3", tmp_path), "correct") is None
        assert searched_value(file, of(str(file), tmp_path), "fast") is None
