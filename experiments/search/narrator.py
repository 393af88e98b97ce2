"""Telling: what a run does, as events for the log and the dashboard, and as lines for whoever watches."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from rich.console import Console

from controllers.program import controller_of
from experiments.events import Body, CandidateScored, GenerationDone
from experiments.lineages import BETWEEN
from experiments.search.spending import spend_metrics
from optimizers.archive import Archive
from optimizers.evaluator import Evaluator
from optimizers.intervals import Interval, mean_interval
from optimizers.records import TaskScore
from optimizers.search import Found
from signatures.records import Candidate, Objective

Emit = Callable[[Body], object]
WALL: Final = "spent/wall_s"
VALUELESS: Final = frozenset(("unsupported", "duplicate"))
"""Decisions on candidates without a value: at most the tasks that happen to be in the record have one."""


class Narrator:
    """The listener of one search: emits its events and prints one line per generation."""

    def __init__(
        self, emit: Emit, console: Console, evaluator: Evaluator, *, title: str, children: bool = True
    ) -> None:
        self._emit = emit
        self._console = console
        self.evaluator = evaluator
        self._title = title
        self._children = children
        self._texts: dict[str, Candidate] = {}
        self._lineages: dict[str, tuple[str, ...]] = {}
        "digest -> names from the start to it, along first parents"
        self.found_by_digest: dict[str, Found] = {}
        self.aside_by_digest: dict[str, Found] = {}
        "candidates without support; some may be attempted live in the end"
        self.volumes: list[float] = []
        self._unsupported: list[float] = []

    def found(self, found: Found) -> None:
        """One candidate was scored."""
        self._texts.setdefault(found.candidate.digest, found.candidate)
        lineage = self._lineage(found)
        self._unsupported += [score.unsupported for score in found.scores]
        if found.decision == "unsupported":
            self.aside_by_digest.setdefault(found.candidate.digest, found)
        elif found.decision in ("seed", "accepted"):
            self.found_by_digest.setdefault(found.candidate.digest, found)
        if self._children:
            event = candidate_event(found, self._parent_of(found), self.evaluator.setup.objectives)
            self._emit(event.model_copy(update={"tags": {**event.tags, **lineage}, "metrics": self._with_spend(event)}))

    def generation(self, number: int, archive: Archive) -> None:
        """One generation ended."""
        volume, front = archive.hypervolume(), archive.front()
        self.volumes.append(volume)
        spent, stood = self.evaluator.budget.spent, self.evaluator.tally.attempts
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
        if self.evaluator.replays:
            took = f"{stood} attempts replayed or made, {spent.attempts or 0} of them live"
        line = f"front {len(front)}, best correct {best:.3f}, hypervolume {volume:.4f}, {took}"
        self._console.print(f"{self._title} generation {number}: {line}", highlight=False)

    def _with_spend(self, event: CandidateScored) -> dict[str, float]:
        """The candidate's metrics, with what the search had spent when it was told. Wall time is not the same twice."""
        spent = spend_metrics(self.evaluator.meter.spent())
        return {**event.metrics, **{name: value for name, value in spent.items() if name != WALL}}

    def _lineage(self, found: Found) -> dict[str, str]:
        """The tags that say where a candidate comes from, by name. One found again keeps its first lineage."""
        ancestors = next((self._lineages[p] for p in found.parents if p in self._lineages), ())
        lineage = (*ancestors, found.name)
        self._lineages.setdefault(found.candidate.digest, lineage)
        parents = [self._lineages[p][-1] for p in found.parents if p in self._lineages]
        return {
            "tiller.engine": self._title,
            "tiller.parent_names": ",".join(parents),
            "tiller.lineage": BETWEEN.join(lineage),
        }

    def _parent_of(self, found: Found) -> Candidate | None:
        return next((self._texts[p] for p in found.parents if p in self._texts), None)


def candidate_event(found: Found, parent: Candidate | None, objectives: Sequence[Objective]) -> CandidateScored:
    """The event of one candidate: its metrics, its lineage, its controller and the diff to its parent."""
    where = "search" if found.decision in ("seed", "accepted") else "batch"
    artifacts = texts_of(found.candidate)
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
            **({"tiller.hypothesis": found.hypothesis} if found.hypothesis else {}),
        },
        params=component_params(found.candidate),
        metrics={} if found.decision in VALUELESS else score_metrics(where, found.scores, objectives),
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
    """Short categorical facts: each policy's tier, how many rules a rule policy has, how many lines a program."""
    params: dict[str, str] = {}
    for name, text in candidate.components.items():
        body = json.loads(text)
        params[f"{name}.tier"] = body["tier"]
        if "source" in body:
            params[f"{name}.lines"] = str(len(body["source"].strip().splitlines()))
        elif body["tier"] == "rule":
            params[f"{name}.rules"] = str(len(body["rules"]))
            params[f"{name}.otherwise"] = max(body["otherwise"], key=lambda action: body["otherwise"][action])
    return params


def texts_of(candidate: Candidate) -> dict[str, str]:
    """The candidate as files to read: its controller, and a program's source as it was written."""
    texts = {"controller.json": _pretty(candidate)}
    for name, body in _bodies(candidate).items():
        if "source" in body:
            texts[f"{name}.py"] = body["source"].rstrip() + "\n"
    return texts


def _bodies(candidate: Candidate) -> dict[str, dict[str, Any]]:
    return {name: json.loads(text) for name, text in candidate.components.items()}


def _pretty(candidate: Candidate) -> str:
    """The loadable controller where it is all rules; a model's components are shown as they are."""
    bodies = _bodies(candidate)
    if all(body["tier"] == "rule" for body in bodies.values()):
        return controller_of(candidate).dumps() + "\n"
    return json.dumps(bodies, indent=2, sort_keys=True) + "\n"


def _diff(parent: Candidate, child: Candidate) -> str:
    return "\n".join(difflib.unified_diff(_lines(parent), _lines(child), "parent", "child", lineterm="")) + "\n"


def _lines(candidate: Candidate) -> list[str]:
    """The text that a diff is made of: JSON, and of a program its source, line by line."""
    bodies = _bodies(candidate)
    sources = [line for body in bodies.values() for line in body.pop("source", "").splitlines()]
    return json.dumps(bodies, indent=1, sort_keys=True).splitlines() + sources
