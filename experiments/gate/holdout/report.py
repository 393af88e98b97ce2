"""From the episodes of a read to its report: evidence on each objective, one decision, spend, exclusions, the gap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from experiments.gate.holdout.register import Gate
from experiments.gate.report import Contrast, Excluded, GateReport, interval_text, level, points
from experiments.gate.workers import said_of
from optimizers.gate.decide import Question, decide
from optimizers.gate.evidence import evidence_of
from optimizers.gate.families import q_values
from optimizers.gate.holdout_episodes import ARMS, Played, spent_of, values_of
from optimizers.gate.holdout_ledger import Head
from optimizers.gate.paired import pairs_of
from optimizers.gate.records import Decided, Evidence
from optimizers.gate.spend import Saving, cheaper, confounded, savings, spend_of, unequal_exclusions
from signatures.records import Amounts

BASELINE_GAP: Final = "gap of the baseline"


class Result(NamedTuple):
    """What a read came to."""

    report: GateReport
    refusal: str | None
    "why nothing may be concluded; then the report has numbers and no decision"


def result_of(gate: Gate, played: Sequence[Played], head: Head, *, tries: int = 1) -> Result:
    """Decide on a complete read; on none, where both sides are one program.

    `head`: the ledger's end after it; `tries`: how often the read was opened, which is told.
    """
    spend = [spend_of(arm, by_task) for arm in ARMS if (by_task := spent_of(played, arm))]
    excluded = excluded_of(played)
    refusal = None
    if excluded:
        refusal = unequal_exclusions(
            excluded[0].excluded, excluded[0].episodes, excluded[1].excluded, excluded[1].episodes
        )
    evidence = evidence_by_objective(gate, played)
    more = confounded(spend[1], spend[0]) if spend else ()
    saved = cheaper(_savings(gate, played)) if spend else ()
    same = gate.survey.candidate.same_as(gate.survey.baseline)
    registered = gate.registration
    decided = None
    if refusal is None:
        question = Question(
            evidence=evidence,
            margins=registered.margins,
            alpha=registered.alpha,
            min_effect=registered.min_effect,
            confounded=more,
            cheaper=bool(saved),
            same=same,
        )
        decided = decide(question)
    notes = (*saved, *_notes(gate, head, tries=tries if played else 0))
    report = _report(gate, evidence, decided, notes=notes, sentence=_sentence(gate, evidence[0], decided, refusal))
    contrasts = tuple(one.model_copy(update={"confounded": more}) for one in report.contrasts)
    told = {"contrasts": contrasts, "spend": tuple(spend), "excluded": excluded}
    return Result(report.model_copy(update=told), refusal)


def evidence_by_objective(gate: Gate, played: Sequence[Played]) -> tuple[Evidence, ...]:
    """The primary objective first, with its q.

    The family's other contrasts are decided elsewhere, so each is taken for a p of 1: Benjamini-Hochberg with their
    own p could only give a smaller q.
    """
    registered = gate.registration
    names = (registered.primary, *(name for name in registered.margins if name != registered.primary))
    found = []
    for name in names:
        pairs = pairs_of(name, *(values_of(played, arm, name) for arm in ARMS))
        least = registered.min_effect if name == registered.primary else None
        found.append(
            evidence_of(
                pairs,
                alpha=registered.alpha,
                min_effect=least,
                optional_stopping=registered.optional_stopping,
            )
        )
    family = dict.fromkeys(registered.family, 1.0) | {gate.survey.contrast: found[0].p}
    return (found[0].model_copy(update={"q": q_values(family)[gate.survey.contrast]}), *found[1:])


def excluded_of(played: Sequence[Played]) -> tuple[Excluded, ...]:
    """By arm: tries that infrastructure ended, of all that were begun."""
    found = []
    for arm in ARMS:
        own = [one for one in played if one.arm == arm]
        gone = sum(one.excluded for one in own)
        judged = sum(one.failure is None for one in own)
        if own:
            found.append(Excluded(arm=arm, excluded=gone, episodes=gone + judged))
    return tuple(found)


def _savings(gate: Gate, played: Sequence[Played]) -> tuple[Saving, ...]:
    baseline, candidate = (spent_of(played, arm) for arm in ARMS)
    granted: Amounts = gate.registration.granted
    return savings(candidate, baseline, granted=granted, alpha=gate.registration.alpha)


def _report(
    gate: Gate, evidence: Sequence[Evidence], decided: Decided | None, *, notes: tuple[str, ...], sentence: str
) -> GateReport:
    survey, registered = gate.survey, gate.registration
    primary = evidence[0]
    gap, own = (
        _less(survey.config.searched, primary.candidate),
        _less(survey.config.searched_baseline, primary.baseline),
    )
    family = ", ".join(registered.family)
    return GateReport(
        kind="gate",
        title=f"Gate: {survey.contrast} on {gate.slice.name}",
        benchmark=survey.benchmark.id,
        worker=survey.worker.fingerprint.name,
        who=said_of(survey.worker.fingerprint, survey.benchmark.id),
        seed=survey.config.seed,
        split="holdout",
        config=survey.config.model_dump(mode="json"),
        sentence=sentence,
        contrasts=tuple(
            Contrast(
                name="candidate - baseline",
                family=family if one is primary else "other objectives: not worse by more than their margins",
                treatment=survey.candidate.name,
                control=survey.baseline.name,
                evidence=one,
                decided=decided if one is primary else None,
            )
            for one in evidence
        ),
        gap=gap,
        numbers={} if own is None else {BASELINE_GAP: own},
        notes=notes,
    )


def _less(searched: float | None, held_out: float | None) -> float | None:
    return None if searched is None or held_out is None else searched - held_out


def _sentence(gate: Gate, primary: Evidence, decided: Decided | None, refusal: str | None) -> str:
    where = f"{gate.survey.contrast} on {primary.n} tasks of {gate.slice.name}"
    if decided is None:
        return f"refused: {where}: {refusal}"
    return f"{decided.decision}: {where}: {decided.reasons[0]}"


def _notes(gate: Gate, head: Head, *, tries: int) -> Iterator[str]:
    survey, registered = gate.survey, gate.registration
    margins = ", ".join(f"{name} {margin:g}" for name, margin in registered.margins.items())
    yield f"registered beforehand: {registered.digest}; primary {registered.primary}, margins {margins}"
    if tries > 1:
        yield f"the read was opened {tries} times: what was recorded before was not run again"
    if not tries:
        yield "candidate and baseline are one program: no task was run, and the slice is still unread"
    known = "its prompt" if survey.known_by == "prompt" else "the benchmark's own digest, since tasks share a prompt"
    yield f"slice {gate.slice.name}: {len(gate.tasks)} tasks, seal {gate.slice.seal}; a task is known by {known}"
    if len(registered.family) > 1:
        others = len(registered.family) - 1
        yield f"q: {others} further contrasts of the family are taken for p = 1, so it is the largest that it can be"
    if survey.config.searched is None:
        yield "the search's value of the candidate is not known, so there is no gap"
    yield ledger_note(head)


def ledger_note(head: Head) -> str:
    """A report's last note: the ledger's end when the report was made."""
    return f"holdout ledger verified: {head.rows} rows, chain {head.chain}"


def lines_of(report: GateReport) -> Iterator[str]:
    """The report for whoever watches: the decision with its reasons, each objective, spend, exclusions, the gap."""
    yield report.sentence
    decided = report.contrasts[0].decided
    if decided is not None:
        yield from (f"  because: {reason}" for reason in decided.reasons)
    for one in report.contrasts:
        found, name = one.evidence, one.evidence.objective
        change = "" if decided is None else f", {decided.changes[name]}"
        q = "" if found.q is None else f", q {level(found.q)}"
        sides = f"{points(found.baseline, signed=False)} -> {points(found.candidate, signed=False)}"
        yield (
            f"{name}: {sides}, {interval_text(found)} points, n {found.n}, discordant {found.discordant},"
            f" p {level(found.p)}{q}, e {found.e_value:.3g}{change}"
        )
    primary = report.contrasts[0].evidence
    power = ", ".join(f"{float(effect) * 100:g} points {share:.2f}" for effect, share in primary.power.items())
    yield f"least p {level(primary.min_p)}; found with 80 % power: {points(primary.mde, signed=False)} points; {power}"
    for spend in report.spend:
        amounts = ("attempts", "turns", "tokens", "usd")
        each = [f"{value:,.6g} {name}" for name in amounts if (value := getattr(spend, name)) is not None]
        gone = next((one.excluded for one in report.excluded if one.arm == spend.arm), 0)
        yield f"{spend.arm}: {spend.episodes} episodes, {', '.join(each)}; {gone} tries excluded for infrastructure"
    if report.gap is not None:
        own = report.numbers.get(BASELINE_GAP)
        beside = "" if own is None else f", the baseline's {points(own)} (what both share is the tasks')"
        yield f"search value less holdout value: {points(report.gap)} points{beside}"
    yield from report.notes
