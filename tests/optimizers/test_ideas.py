"""Ideas: what a proposal makes of its parent, and on what hypothesis."""

from __future__ import annotations

import pytest

from controllers.baselines import seed_candidate
from controllers.program import rule_component
from optimizers.ideas import Idea, idea_of
from optimizers.journal import Proposal

TEXT = rule_component([], {"fan": 1.0})


@pytest.mark.parametrize(
    ("hypothesis", "evidence", "said"),
    [
        ("Fans help.", "4 of 5", "Fans help."),
        ("", "4 of 5", "Another steer does better: 4 of 5"),
        ("", "", "Another steer does better."),
    ],
)
def test_one_component_changes_and_something_is_expected_of_it(hypothesis: str, evidence: str, said: str) -> None:
    parent = seed_candidate()
    proposal = Proposal(text=TEXT, evidence=evidence, proposer="mined", hypothesis=hypothesis)
    idea = idea_of(proposal, parent, "steer", parents=["p"])
    assert idea == Idea(idea.candidate, "mined", said, ("p",), evidence)
    assert dict(idea.candidate.components) == {**parent.components, "steer": TEXT}
    assert idea_of(proposal, parent, "steer", parents=()).parents == ()
