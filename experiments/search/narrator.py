"""Telling: what a run does, as events for the log and the dashboard, and as lines for whoever watches."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence

from rich.console import Console

from controllers.program import controller_of
from experiments.events import Body, CandidateScored, GenerationDone
from optimizers.archive import Archive
from optimizers.evaluator import Evaluator
from optimizers.intervals import Interval, mean_interval
from optimizers.records import TaskScore
from optimizers.search import Found
from signatures.records import Candidate, Objective

Emit = Callable[[Body], object]


class Narrator:
    """The listener of one search: emits its events and prints one line per generation."""

    def __init__(
        self, emit: Emit, console: Console, evaluator: Evaluator, *, title: str, children: bool = True
    ) -> None:
        self._emit = emit
        self._console = console
        self._evaluator = evaluator
        self._title = title
        self._children = children
        self._texts: dict[str, Candidate] = {}
        self.found_by_digest: dict[str, Found] = {}
        self.aside_by_digest: dict[str, Found] = {}
        "candidates without support; some may be attempted live in the end"
        self.volumes: list[float] = []
        self._unsupported: list[float] = []

    def found(self, found: Found) -> None:
        """One candidate was scored."""
        self._texts[found.candidate.digest] = found.candidate
        self._unsupported += [score.unsupported for score in found.scores]
        if found.decision == "unsupported":
            self.aside_by_digest.setdefault(found.candidate.digest, found)
        elif found.decision != "rejected":
            self.found_by_digest.setdefault(found.candidate.digest, found)
        if self._children:
            self._emit(candidate_event(found, self._parent_of(found), self._evaluator.setup.objectives))

    def generation(self, number: int, archive: Archive) -> None:
        """One generation ended."""
        volume, front = archive.hypervolume(), archive.front()
        self.volumes.append(volume)
        spent, stood = self._evaluator.budget.spent, self._evaluator.tally.attempts
        metrics = {
            "search/hypervolume": volume,
            "search/front_size": float(len(front)),
            "search/best_correct": max(entry.vector[0] for entry in front),
            "search/attempts": float(spent.attempts or 0),
            "search/evaluated_attempts": float(stood),
            "search/unsupported": sum(self._unsupported) / max(1, len(self._unsupported)),
        }
        if spent.tokens is not None:
            metrics["search/tokens"] = float(spent.tokens)
        if spent.usd is not None:
            metrics["search/cost_usd"] = spent.usd
        if self._children:
            self._emit(GenerationDone(generation=number, metrics=metrics))
        best = metrics["search/best_correct"]
        took = f"{spent.attempts or 0} attempts"
        if self._evaluator.replays:
            took = f"{stood} attempts replayed or made, {spent.attempts or 0} of them live"
        line = f"front {len(front)}, best correct {best:.3f}, hypervolume {volume:.4f}, {took}"
        self._console.print(f"{self._title} generation {number}: {line}", highlight=False)

    def _parent_of(self, found: Found) -> Candidate | None:
        return next((self._texts[p] for p in found.parents if p in self._texts), None)


def candidate_event(found: Found, parent: Candidate | None, objectives: Sequence[Objective]) -> CandidateScored:
    """The event of one candidate: its metrics, its lineage, its controller and the diff to its parent."""
    where = "search" if found.decision in ("seed", "accepted") else "batch"
    artifacts = {"controller.json": _pretty(found.candidate)}
    if found.evidence:
        artifacts["evidence.txt"] = found.evidence + "\n"
    if parent is not None:
        artifacts["diff.txt"] = _diff(parent, found.candidate)
    return CandidateScored(
        name=found.name,
        role="candidate",
        generation=found.generation,
        digest=found.candidate.digest,
        tags={
            "tiller.generation": str(found.generation),
            "tiller.candidate": found.candidate.digest,
            "tiller.parents": ",".join(found.parents),
            "tiller.decision": found.decision,
            "tiller.front": "no",
            "tiller.proposer": found.proposer,
        },
        params=component_params(found.candidate),
        # Of a candidate without support only the tasks that happen to be in the record have a value.
        metrics={} if found.decision == "unsupported" else score_metrics(where, found.scores, objectives),
        artifacts=artifacts,
    )


def score_metrics(where: str, scores: Sequence[TaskScore], objectives: Sequence[Objective]) -> dict[str, float]:
    """`<where>/<objective>` with its interval, and what an episode cost on average."""
    metrics: dict[str, float] = {}
    for objective in objectives:
        interval = interval_of(scores, objective.name)
        for suffix, value in (("", interval.mean), ("_lo", interval.lo), ("_hi", interval.hi)):
            if value is not None:
                metrics[f"{where}/{objective.name}{suffix}"] = value
    for resource in ("attempts", "turns", "tokens", "usd"):
        used = [value for score in scores if (value := getattr(score.used, resource)) is not None]
        if used:
            metrics[f"cost/{resource}"] = sum(used) / len(used)
    return metrics


def interval_of(scores: Sequence[TaskScore], objective: str) -> Interval:
    """The mean of one objective over tasks, with its 95 % interval."""
    values: dict[str, list[float | None]] = {}
    for score in scores:
        values.setdefault(score.task_digest, []).append(score.values.get(objective))
    return mean_interval(values)


def component_params(candidate: Candidate) -> dict[str, str]:
    """Short categorical facts: each policy's tier, and how many rules a rule policy has."""
    params: dict[str, str] = {}
    for name, text in candidate.components.items():
        body = json.loads(text)
        params[f"{name}.tier"] = body["tier"]
        if body["tier"] == "rule":
            params[f"{name}.rules"] = str(len(body["rules"]))
            params[f"{name}.otherwise"] = max(body["otherwise"], key=lambda action: body["otherwise"][action])
    return params


def _pretty(candidate: Candidate) -> str:
    """The loadable controller where it is all rules; a model's components are shown as they are."""
    bodies = {name: json.loads(text) for name, text in candidate.components.items()}
    if all(body["tier"] == "rule" for body in bodies.values()):
        return controller_of(candidate).dumps() + "\n"
    return json.dumps(bodies, indent=2, sort_keys=True) + "\n"


def _diff(parent: Candidate, child: Candidate) -> str:
    return "\n".join(difflib.unified_diff(_lines(parent), _lines(child), "parent", "child", lineterm="")) + "\n"


def _lines(candidate: Candidate) -> list[str]:
    bodies = {name: json.loads(text) for name, text in candidate.components.items()}
    return json.dumps(bodies, indent=1, sort_keys=True).splitlines()
