"""What gepa calls: evaluate a candidate, build reflective records, propose a text, accept or reject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple

from gepa.core.adapter import EvaluationBatch

from optimizers.archive import Archive
from optimizers.bridge import Bridge
from optimizers.evaluator import Evaluator, Request, Scored
from optimizers.proposers import Proposer
from optimizers.records import TaskScore
from optimizers.reflection import Reflection, reflections
from optimizers.search import Decided, Found, Listener, SearchPlan
from optimizers.vectors import entry_of, worth_keeping
from signatures.digest import seed_of
from signatures.records import Candidate, PolicyName, Task

SEEDS: Final[Mapping[str, int]] = {"train": 1, "val": 2}
"""Train and val episodes draw different seeds, so that a task in both is not the same episode."""


class Example(NamedTuple):
    """gepa's data item: a task and which part of the search split it serves."""

    task: Task
    part: Literal["train", "val"]


class Kept:
    """A context that remembers the first error to leave it: gepa swallows what proposing and reflecting raise."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        """Raises the error of before: after one nothing more is asked, billed or journaled."""
        if self.error is not None:
            raise self.error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.error = self.error or error


class Adapter:
    """gepa's `GEPAAdapter`, its acceptance criterion and our book of what was found."""

    def __init__(
        self, plan: SearchPlan, evaluator: Evaluator, proposer: Proposer, listener: Listener, bridge: Bridge
    ) -> None:
        self.plan = plan
        self.bridge = bridge
        self.archive = Archive(evaluator.setup.objectives)
        self.kept = Kept()
        self.generation_open = False
        self._generation = 0
        self._found_in_generation = 0
        self._evaluator = evaluator
        self._proposer = proposer
        self._listener = listener
        self._proposed: dict[str, tuple[str, str]] = {}
        self._proposals = 0
        self._parents: list[str] = []

    def digest_of(self, texts: Mapping[str, str]) -> str:
        """The candidate digest of gepa's component texts."""
        return Candidate(components=dict(texts)).digest

    def next_generation(self, number: int) -> None:
        """Names of candidates count up within a generation."""
        self._generation, self._found_in_generation, self.generation_open = number, 0, False

    def evaluate(
        self, batch: list[Example], candidate: dict[str, str], capture_traces: bool = False
    ) -> EvaluationBatch[Any, Any]:
        """Score `candidate` on `batch`; on the val tasks the result enters the archive."""
        part = batch[0].part
        seed = seed_of("search", self.plan.seed, SEEDS[part])
        request = Request(
            Candidate(components=candidate), [e.task for e in batch], seed=seed, keep_rollouts=capture_traces
        )
        with self.kept:
            scored = self.bridge.call(self._evaluator.evaluate(request))
            if part == "val":
                self._admit(request.candidate, [one.score for one in scored])
            return self._batch(scored, capture_traces)

    def batch_evaluate(self, items: list[tuple[dict[str, str], list[Example]]]) -> list[EvaluationBatch[Any, Any]]:
        """Several (candidate, batch) pairs; traces for minibatches only, because traces cannot be replayed."""
        return [self.evaluate(batch, candidate, batch[0].part == "train") for candidate, batch in items]

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: EvaluationBatch[Any, Any], components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Every move of the batch's episodes, and of recorded trees of the same tasks, as reflective records."""
        setup = self._evaluator.setup
        records: list[Reflection] = []
        with self.kept:
            for one in {one.score.task_digest: one for one in eval_batch.trajectories or []}.values():
                if one.rollout is not None:  # a replayed score has no episode of its own beside the recorded tree
                    records += reflections(one.rollout.history, setup.observer, setup.grant, with_text=True)
                records += self._evaluator.recorded_moves(one.score.task_digest)
        return {name: [{"record": r} for r in records if r.policy == name] for name in components_to_update}

    def propose_new_texts(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        """One edit: the proposer is asked for the components in turn until it has a new text for one of them."""
        texts: dict[str, str] = {}
        for name in components_to_update:
            component: PolicyName = name  # type: ignore[assignment]  # gepa names components by str
            records: list[Reflection] = [row["record"] for row in reflective_dataset[name]]
            parent = Candidate(components=candidate)
            with self.kept:
                self._proposals += 1
                ask = self._evaluator.propose(self._proposer, parent, component, records, number=self._proposals)
                proposal = self.bridge.call(ask)
            if proposal is not None and proposal.text != candidate[name]:
                texts[name] = proposal.text
                child = self.digest_of({**candidate, **texts})
                self._proposed[child] = (proposal.proposer, proposal.evidence)
                break
        return texts

    def should_accept(self, proposal: Any, state: Any) -> bool:
        """Keep a child whose vector on the minibatch is neither dominated by nor equal to its parent's.

        One that the record does not support, and that cannot be attempted, is not kept and not called worse either.
        """
        child, parent = proposal.eval_after.outputs, proposal.eval_before.outputs
        self._parents = [self.digest_of(state.program_candidates[i]) for i in proposal.parent_program_ids]
        with self.kept:
            aside = any(score.set_aside for score in child)
            keep = not aside and worth_keeping(child, parent, self._evaluator.setup.objectives)
            if not keep:
                decision: Decided = "unsupported" if aside else "rejected"
                self._tell(Candidate(components=proposal.candidate), self._parents, child, decision)
        return keep

    def _admit(self, candidate: Candidate, scores: Sequence[TaskScore]) -> None:
        first = self._generation == 0 and self._found_in_generation == 0
        if not first and any(score.set_aside for score in scores):
            self._tell(candidate, self._parents, scores, "unsupported")
            return
        self.archive.add(entry_of(scores, self._evaluator.setup.objectives, generation=self._generation))
        self._tell(candidate, [] if first else self._parents, scores, "seed" if first else "accepted")

    def _tell(
        self,
        candidate: Candidate,
        parents: Sequence[str],
        scores: Sequence[TaskScore],
        decision: Decided,
    ) -> None:
        proposer, evidence = self._proposed.get(candidate.digest, ("start", ""))
        name = f"g{self._generation:02d}-c{self._found_in_generation}"
        self._found_in_generation += 1
        self.generation_open = True
        self._listener.found(
            Found(
                name=name,
                candidate=candidate,
                parents=tuple(parents),
                generation=self._generation,
                proposer=proposer,
                evidence=evidence,
                decision=decision,
                scores=tuple(scores),
            )
        )

    def _batch(self, scored: Sequence[Scored], capture_traces: bool) -> EvaluationBatch[Any, Any]:
        """gepa wants a number for each item: a missing value is the mean of those there are, which moves nothing.

        Where a minibatch has none, 0 stands for all of them: our acceptance does not look at these numbers.
        """
        objectives = self._evaluator.setup.objectives
        scores = [one.score for one in scored]
        filled: list[dict[str, float]] = [{} for _ in scores]
        for name in (objective.name for objective in objectives):
            known = [value for score in scores if (value := score.values[name]) is not None]
            mean = sum(known) / len(known) if known else 0.0
            for row, score in zip(filled, scores, strict=True):
                value = score.values[name]
                row[name] = mean if value is None else value
        return EvaluationBatch(
            outputs=scores,
            scores=[row[objectives[0].name] for row in filled],
            trajectories=list(scored) if capture_traces else None,
            objective_scores=filled,
        )
