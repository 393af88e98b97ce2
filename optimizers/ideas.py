"""Ideas: candidates to be considered, each with the one hypothesis that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optimizers.journal import Proposal
from signatures.records import Candidate


@dataclass(frozen=True)
class Idea:
    """A candidate to be considered, and the one hypothesis that it stands for."""

    candidate: Candidate
    proposer: str
    hypothesis: str
    "one sentence"
    parents: tuple[str, ...] = ()
    "digests of accepted candidates"
    evidence: str = ""


def idea_of(proposal: Proposal, parent: Candidate, component: str, *, parents: Sequence[str]) -> Idea:
    """The child that a proposal for one component makes of `parent`, told as a child of `parents`.

    Its hypothesis is the proposal's own, else that the new component does better, with the evidence for it.
    """
    because = f": {proposal.evidence}" if proposal.evidence else "."
    return Idea(
        candidate=Candidate(components={**parent.components, component: proposal.text}),
        proposer=proposal.proposer,
        hypothesis=proposal.hypothesis or f"Another {component} does better{because}",
        parents=tuple(parents),
        evidence=proposal.evidence,
    )
