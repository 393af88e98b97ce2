"""The end of a run: tables, picture, front members and traces for the log, and the sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from controllers.program import controller_of
from experiments.events import ArtifactWritten, CandidateScored, CandidateUpdated, SearchUpdated
from experiments.search.confirmed import Confirmed
from experiments.search.confirming import table_of as confirmed_table
from experiments.search.families import MOST_FAMILIES, by_family, family_table, held_out
from experiments.search.figure import draw_search
from experiments.search.job import Job
from experiments.search.narrator import component_params, score_metrics
from experiments.search.report import Row, as_json, best_row, compare, row_of, sentence, table_of
from experiments.search.searching import RANDOM
from experiments.search.spending import spend_metrics
from experiments.search.trees import Recording
from experiments.tracking import store_of
from optimizers.meter import Spend
from optimizers.records import TaskScore
from signatures.records import Candidate, Objective

Scores = tuple[TaskScore, ...]
KEPT_ASIDE: Final = "search tasks kept aside, replayed"


@dataclass(frozen=True)
class Account:
    """What a search cost in live attempts, and what it would have cost without a record."""

    fill: int
    "where the record did not hold what a candidate does; where the run is live, everything"
    confirm: int
    evaluations: int
    "attempts that a live search would have used for the same evaluations"
    recording: Recording

    @property
    def sentence(self) -> str:
        """One line, the recording apart: later searches reuse it."""
        if not self.confirm and self.fill == self.evaluations:
            return f"live attempts: {self.fill}, everything was attempted live"
        kept = f"recording the trees took {self.recording.new} new attempts, {self.recording.recalled} were there"
        return (
            f"live attempts: {self.fill + self.confirm} ({self.fill} for what the record lacked, {self.confirm} to "
            f"confirm), where a live search would have used {self.evaluations} for the same evaluations; {kept}"
        )


@dataclass(frozen=True)
class Outcome:
    """What the stages measured on dev, by name; the first member is the one that the search split chose."""

    arms: Mapping[str, Scores]
    members: Mapping[str, Scores]
    rivals: Mapping[str, Scores]
    controllers: Mapping[str, Candidate]
    "of members and rivals"
    volumes: Mapping[str, Sequence[float]]
    account: Account
    confirmed: Sequence[Confirmed] = ()
    "what was attempted live after replay; none where the run is live"
    spends: Mapping[str, Spend] = field(default_factory=dict)
    "what each search spent of everything, the engine's first"


def tell_baseline(job: Job, name: str, candidate: Candidate, scores: Mapping[str, Scores]) -> None:
    """One baseline event; `scores` by split."""
    metrics: dict[str, float] = {}
    for split, found in scores.items():
        metrics |= score_metrics(split, found, job.wired.benchmark.objectives)
    job.log.emit(
        CandidateScored(
            name=name,
            role="baseline",
            digest=candidate.digest,
            tags={"tiller.candidate": candidate.digest, "tiller.decision": "baseline"},
            params=component_params(candidate),
            metrics=metrics,
        )
    )


def tell_members(job: Job, outcome: Outcome) -> None:
    """Dev values and front membership into the log; each member's controller into the run folder."""
    folder = job.folder / "candidates"
    folder.mkdir(exist_ok=True)
    for name, scores in outcome.members.items():
        metrics = score_metrics("dev", scores, job.wired.benchmark.objectives)
        job.log.emit(CandidateUpdated(name=name, metrics=metrics, tags={"tiller.front": "yes"}))
        text = controller_of(outcome.controllers[name], job.wired.lm).dumps()
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    for name, scores in outcome.rivals.items():
        tell_baseline(job, name, outcome.controllers[name], {"dev": scores})
    spent = next((spend_metrics(spend) for spend in outcome.spends.values()), {})
    job.log.emit(SearchUpdated(metrics=spent, tags={"tiller.front": ", ".join(outcome.members)}))


def report(job: Job, outcome: Outcome) -> dict[str, object]:
    """Print the tables, the sentence and the paths; return them as JSON-able data."""
    objectives, k = job.wired.benchmark.objectives, job.config.attempts
    rows = _rows(job, outcome)
    chosen = next(iter(outcome.members))
    controls = [name for name in (f"random@{k}", f"placebo@{k}") if name in outcome.arms]
    if (best := best_row([row for row in rows if row.role == "arm"], job.primary)) not in controls:
        controls.append(best)
    comparisons = [compare(outcome.members[chosen], outcome.arms[name], name, job.primary) for name in controls]
    n, front = len(job.wired.splits.dev), len(outcome.members)
    tasks = KEPT_ASIDE if job.wired.recorded else "tasks"
    of = KEPT_ASIDE if job.wired.recorded else "dev split"
    text = sentence(chosen, job.primary, comparisons, n=n, front=front, tasks=tasks)
    families = by_family(
        {**outcome.arms, chosen: outcome.members[chosen]},
        held_out(job.wired.benchmark, job.wired.splits.dev),
        job.primary,
    )
    draw_search(job.folder / "front.png", rows, outcome.volumes, (cost_axis(objectives), job.primary), of=of)
    job.log.emit(ArtifactWritten.of(job.folder, "front.png"))
    if outcome.confirmed:  # of the rival's candidates the chosen one; the log and the JSON have all
        ended = {candidate.digest for candidate in outcome.controllers.values()}
        shown = [one for one in outcome.confirmed if one.search != RANDOM or one.digest in ended]
        job.console.print(confirmed_table(shown, objectives))
    job.console.print(table_of(rows, objectives, of))
    if 0 < len(next(iter(families.values()), {})) <= MOST_FAMILIES:
        job.console.print(family_table(families, job.primary))
    job.say(text)
    job.say(outcome.account.sentence)
    for title, spend in outcome.spends.items():
        job.say(spend_sentence(title, spend))
    paths = {
        "run": str(job.folder),
        "candidates": str(job.folder / "candidates"),
        "chosen": str(job.folder / "candidates" / f"{chosen}.json"),
        "figure": str(job.folder / "front.png"),
    }
    if job.config.tracking:
        paths["mlflow"] = store_of(job.folder.parent).shown
    for name, path in paths.items():
        job.say(f"{name}: {path}")
    named = {row: {name: one.model_dump(mode="json") for name, one in cells.items()} for row, cells in families.items()}
    return {
        **as_json(rows, comparisons, text, paths),
        "families": named,
        "confirmed": [one.model_dump(mode="json") for one in outcome.confirmed],
        "attempts": {**asdict(outcome.account), "recording": outcome.account.recording._asdict()},
        "engine": job.config.engine,
        "spent": {title: spend._asdict() for title, spend in outcome.spends.items()},
    }


def spend_sentence(title: str, spend: Spend) -> str:
    """What a search spent of everything, in one line: compute is what engines are compared at."""
    return (
        f"spent by {title}: compute of {spend.compute} attempts, {spend.attempts} of them live, {spend.tokens} tokens, "
        f"{spend.usd:.4f} usd, {spend.wall_s:.0f} s"
    )


def cost_axis(objectives: Sequence[Objective]) -> str:
    """What the primary objective is drawn against: `cheap`, else `fast`, else the next one there is."""
    names = [objective.name for objective in objectives]
    return next((name for name in ("cheap", "fast", *names[1:]) if name in names[1:]), names[0])


def _rows(job: Job, outcome: Outcome) -> list[Row]:
    objectives = job.wired.benchmark.objectives
    groups = (("arm", outcome.arms), (RANDOM, outcome.rivals), ("front", outcome.members))
    return [row_of(name, role, scores, objectives) for role, group in groups for name, scores in group.items()]
