"""From episodes to a report: a decision by the registered rules, or a refusal; crafted episodes of a real gate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.gate.holdout.register import Gate, gate_of, survey_of
from experiments.gate.holdout.report import Result, excluded_of, lines_of, result_of
from experiments.gate.report import write_report
from optimizers.gate.holdout_episodes import Played
from optimizers.gate.holdout_ledger import Head
from signatures.records import Amounts
from tests.worlds.gated import gate_config, saved
from tests.worlds.lab import lamp_follower

HEAD = Head(rows=3, chain="ab" * 32)
BETTER = 20
"""Tasks of 36 on which the crafted candidate is better."""


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    margins = dict.fromkeys(("correct", "fast", "cheap", "clean"), 0.2)
    config = gate_config(tmp_path / "runs", saved(tmp_path, "lamp", lamp_follower()), searched=0.9, margins=margins)
    survey = survey_of(config)
    return gate_of(survey, survey.slices[0])


Crafted = Callable[..., tuple[Played, ...]]


@pytest.fixture
def crafted(gate: Gate) -> Crafted:
    """Episodes of both arms: the candidate better on the first tasks of the slice, and all else equal."""

    def make(better: int = BETTER, *, more: float = 1.0, excluded: tuple[int, int] = (0, 0)) -> tuple[Played, ...]:
        found = []
        for number, task in enumerate(gate.tasks):
            for arm, gone in zip(("baseline", "candidate"), excluded, strict=True):
                correct = float(arm == "candidate" and number < better)
                tokens = round(1000 * (more if arm == "candidate" else 1))
                found.append(
                    Played(
                        arm=arm,
                        task=task.digest,
                        seed=gate.registration.seeds[0],
                        values={"correct": correct, "fast": 0.5, "cheap": 0.5, "clean": 0.5},
                        spent=Amounts(attempts=3, turns=9, tokens=tokens),
                        excluded=int(number < gone),
                    )
                )
        return tuple(found)

    return make


def verdict(found: Result) -> str | None:
    decided = found.report.contrasts[0].decided
    return None if decided is None else decided.decision


def test_a_better_candidate_is_promoted_with_its_numbers(gate: Gate, crafted: Crafted) -> None:
    found = result_of(gate, crafted(), HEAD)
    report, primary = found.report, found.report.contrasts[0].evidence
    assert (verdict(found), found.refusal) == ("promote", None)
    assert (primary.objective, primary.n, primary.wins, primary.losses) == ("correct", 36, BETTER, 0)
    assert primary.q == primary.p < 0.025
    assert [one.evidence.objective for one in report.contrasts] == ["correct", "fast", "cheap", "clean"]
    assert [one.decided is not None for one in report.contrasts] == [True, False, False, False]
    assert report.gap == pytest.approx(0.9 - BETTER / 36)
    assert [(one.arm, one.turns) for one in report.spend] == [("baseline", 324), ("candidate", 324)]
    assert (report.split, report.kind) == ("holdout", "gate")
    assert report.sentence.startswith("promote: lamp - continue@3 on 36 tasks of planted holdout 1 of 5: better")


def test_twenty_percent_more_tokens_confound_what_would_be_promoted(gate: Gate, crafted: Crafted) -> None:
    found = result_of(gate, crafted(more=1.2), HEAD)
    assert verdict(found) == "confounded"
    assert "1200 tokens per episode, baseline 1000 (+20.0%)" in found.report.sentence
    assert verdict(result_of(gate, crafted(more=1.05), HEAD)) == "promote"


def test_as_good_for_fewer_turns_is_promoted(gate: Gate, crafted: Crafted) -> None:
    same = [one.model_copy(update={"values": {**one.values, "correct": 1.0}}) for one in crafted()]
    assert verdict(result_of(gate, same, HEAD)) == "uninformative"
    saving = [
        one.model_copy(update={"spent": one.spent.model_copy(update={"turns": 3})}) if one.arm == "candidate" else one
        for one in same
    ]
    found = result_of(gate, saving, HEAD)
    assert verdict(found) == "promote"
    assert any("saves 6 turns per episode" in note for note in found.report.notes)


def test_exclusions_beyond_chance_refuse_a_decision_but_not_the_numbers(gate: Gate, crafted: Crafted) -> None:
    found = result_of(gate, crafted(excluded=(0, 20)), HEAD)
    assert verdict(found) is None
    assert found.refusal is not None and "0 of 36 episodes from one arm and 20 of 56" in found.refusal
    assert found.report.sentence.startswith("refused: ")
    assert found.report.contrasts[0].evidence.wins == BETTER
    assert verdict(result_of(gate, crafted(excluded=(9, 10)), HEAD)) == "promote"


def test_exclusions_are_tries_of_all_that_were_begun(crafted: Crafted) -> None:
    assert [(one.arm, one.excluded, one.episodes) for one in excluded_of(crafted(excluded=(0, 5)))] == [
        ("baseline", 0, 36),
        ("candidate", 5, 41),
    ]


def test_the_rest_of_a_family_makes_the_q_as_large_as_it_can_be(gate: Gate, crafted: Crafted) -> None:
    names = (gate.survey.contrast, "b - c", "d - c")
    family = gate.registration.model_copy(update={"family": names})
    wide = Gate(gate.survey, gate.slice, gate.tasks, gate.manifest, family)
    primary = result_of(wide, crafted(6), HEAD).report.contrasts[0].evidence
    assert primary.q == pytest.approx(3 * primary.p)
    assert (verdict(result_of(gate, crafted(6), HEAD)), verdict(result_of(wide, crafted(6), HEAD))) == (
        "promote",
        "hold",
    )


def test_one_program_on_both_sides_is_hold_without_an_episode(tmp_path: Path) -> None:
    survey = survey_of(gate_config(tmp_path / "runs", "continue@3"))
    found = result_of(gate_of(survey, survey.slices[0]), (), HEAD)
    assert verdict(found) == "hold"
    assert "same program" in found.report.sentence
    assert any("still unread" in note for note in found.report.notes)
    assert found.report.gap is None


def test_the_report_tells_the_ledgers_head_and_what_was_registered(
    gate: Gate, crafted: Crafted, tmp_path: Path
) -> None:
    report = result_of(gate, crafted(), HEAD).report
    page = write_report(tmp_path, report).markdown.read_text(encoding="utf-8")
    said = "\n".join(lines_of(report))
    for part in (HEAD.chain, gate.registration.digest, gate.slice.seal, "margins correct 0.2"):
        assert part in page and part in said
    for part in ("least p", "5 points", "10 points", "discordant 20", "0 tries excluded", "less holdout value: +34.4"):
        assert part in said
