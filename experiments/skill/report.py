"""What a skill run leaves behind: one JSON file, one Markdown page, one MLflow run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import Field, JsonValue

from experiments.events import ArtifactWritten, EventLog, SearchFinished, SearchStarted
from experiments.gate.report import JSON_FILE, MARKDOWN_FILE, level, mirrored, table
from experiments.whole_file import write_whole
from optimizers.skill.scoring import Scored
from signatures.records import Finite, PolicyName, Record

HEADER: Final = ("way", "right", "accuracy [95 %]", "p chance", "p zero-shot", "p always one", "tokens", "s")


class PolicyReport(Record):
    """One kind of decision."""

    policy: PolicyName
    n: int = Field(ge=1)
    "test questions, each of a task of its own"
    chance: Finite
    "share right by choosing evenly among the legal actions"
    answers: tuple[str, ...]
    calibration: int = Field(ge=0)
    demos: int = Field(ge=0)
    mined: int = Field(ge=0)
    "questions that the record answers"
    held_out: tuple[str, ...]
    "families of the test tasks alone"
    ways: tuple[Scored, ...]
    shipped: str
    "the way that the candidate is made of, chosen on the calibration questions"
    shipped_left_out: Finite
    "its accuracy there, each question left out of its own fit"


class SkillReport(Record):
    """A model's skill at the decisions of one benchmark."""

    model: str
    benchmark: str
    worker: str
    "whose attempts the questions are about"
    corpus: str
    trees: int
    config: Mapping[str, JsonValue]
    policies: tuple[PolicyReport, ...]
    lacking: Mapping[str, str]
    "policies without questions, and why"
    asked: int = Field(ge=0)
    "questions put to the model, those of an earlier part of the run counted"

    @property
    def sentence(self) -> str:
        """The result in words."""
        parts = []
        for one in self.policies:
            best = max((way for way in one.ways if way.tokens is not None), key=lambda way: way.right)
            zero = next(way for way in one.ways if way.way == "zero-shot")
            told = f"zero-shot {zero.right} of {one.n}, best way {best.way} {best.right}"
            parts.append(f"{one.policy}: {told}, chance {one.chance * one.n:.1f}")
        return "; ".join(parts)


def row(one: Scored) -> list[str]:
    """A way in the table."""
    return [
        one.way,
        f"{one.right}/{one.n}" + (f" ({one.unread} unread)" if one.unread else ""),
        f"{one.accuracy:.3f} [{one.lo:.3f}, {one.hi:.3f}]",
        level(one.p_chance),
        level(one.p_baseline.get("zero-shot")),
        level(one.p_baseline.get("always one")),
        "-" if one.tokens is None else f"{one.tokens:,.0f}",
        "-" if one.seconds is None else f"{one.seconds:.1f}",
    ]


def markdown_of(report: SkillReport) -> str:
    """The report as one page."""
    parts = [
        f"# Policy skill of {report.model}",
        report.sentence,
        f"Decisions recorded on {report.benchmark} ({report.worker}), {report.trees} trees. The answer is the action "
        "after which `correct` by the checkers is expected to be highest; no verdict is read.",
    ]
    for one in report.policies:
        parts += [f"## {one.policy}", "\n".join(_about(one)), table(HEADER, [row(way) for way in one.ways])]
        parts += [f"### {one.policy} by family", _families(one)]
    if report.lacking:
        parts += ["## Not asked", "\n".join(f"- {policy}: {why}" for policy, why in report.lacking.items())]
    parts += ["## Config", "```json\n" + json.dumps(dict(report.config), indent=1, sort_keys=True) + "\n```"]
    return "\n\n".join(parts) + "\n"


def _about(one: PolicyReport) -> Iterator[str]:
    yield f"- {one.n} test questions, one of a task, {len(one.answers)} answers: {', '.join(one.answers)}"
    yield f"- chance {one.chance * one.n:.1f} of {one.n}; drawn from {one.mined} recorded decisions"
    yield f"- {one.calibration} calibration questions and {one.demos} demos of tasks without {', '.join(one.held_out)}"
    yield f"- the candidate asks by: {one.shipped} (right {one.shipped_left_out:.2f} of the calibration, left out)"


def _families(one: PolicyReport) -> str:
    names = [count.family for count in one.ways[0].families]
    rows = []
    for way in one.ways:
        by = {count.family: f"{count.right}/{count.n}" for count in way.families}
        rows.append([way.way, *(by.get(name, "-") for name in names)])
    return table(("way", *names), rows)


def publish(folder: Path, report: SkillReport, *, seed: int, tracking: bool) -> str:
    """Write both files and, with `tracking`, one MLflow run; the line on how that went. Raises StoreError."""
    write_whole(folder / JSON_FILE, json.dumps(report.model_dump(mode="json"), indent=1) + "\n")
    write_whole(folder / MARKDOWN_FILE, markdown_of(report))
    lines: list[str] = []
    with mirrored(folder, lines, tracking=tracking) as listen, EventLog(folder, listen=listen) as log:
        flat = {k: v if isinstance(v, str) else json.dumps(v) for k, v in report.config.items()}
        tags = {"tiller.sentence": report.sentence, "tiller.model": report.model, "tiller.corpus": report.corpus}
        log.emit(
            SearchStarted(
                run_id=folder.name, benchmark=report.benchmark, engine="skill", seed=seed, config=flat, tags=tags
            )
        )
        for path in (JSON_FILE, MARKDOWN_FILE):
            log.emit(ArtifactWritten.of(folder, path))
        log.emit(SearchFinished(metrics=metrics_of(report)))
    return "".join(lines)


def metrics_of(report: SkillReport) -> dict[str, float]:
    """Accuracy, interval, tokens and seconds by policy and way."""
    found: dict[str, float] = {}
    for one in report.policies:
        for way in one.ways:
            name = f"{one.policy}/{way.way.replace(' + ', '_').replace(' ', '_')}"
            values = {
                "accuracy": way.accuracy,
                "lo": way.lo,
                "hi": way.hi,
                "tokens": way.tokens,
                "seconds": way.seconds,
            }
            found |= {f"{name}/{key}": value for key, value in values.items() if value is not None}
    return found
