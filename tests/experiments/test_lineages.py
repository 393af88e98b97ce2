"""A candidate's note: what it was to show, what became of it, and links to every ancestor that has a run."""

from __future__ import annotations

from experiments.lineages import BETWEEN, NOTE, lineage_note

TAGS = {
    "tiller.lineage": BETWEEN.join(("g00-c0", "g01-c2", "g02-c1")),
    "tiller.parent_names": "g01-c2,g01-c4",
    "tiller.hypothesis": "Looking at the pump first helps.",
    "tiller.decision": "rejected",
    "tiller.proposer": "mined",
}


def test_ancestors_are_links_and_what_has_no_run_is_a_name() -> None:
    note = lineage_note(TAGS, lambda name: None if name == "g01-c4" else f"#/runs/{name}")[NOTE]
    assert note.split("\n\n") == [
        "**Lineage:** [g00-c0](#/runs/g00-c0) > [g01-c2](#/runs/g01-c2) > g02-c1",
        "**Hypothesis:** Looking at the pump first helps.",
        "**Decision:** rejected, proposed by mined",
        "**Parents:** [g01-c2](#/runs/g01-c2), g01-c4",
    ]


def test_the_start_has_no_ancestors_and_an_arm_has_no_note() -> None:
    start = {"tiller.lineage": "g00-c0", "tiller.decision": "seed", "tiller.proposer": "start"}
    assert lineage_note(start, lambda name: name) == {NOTE: "**Decision:** seed, proposed by start"}
    assert lineage_note({"tiller.decision": "baseline"}, lambda name: name) == {}


def test_a_secret_in_a_hypothesis_stays_here() -> None:
    tags = {**TAGS, "tiller.hypothesis": "Call http://me:hunter22@models.example/v1 first."}
    assert "hunter22" not in lineage_note(tags, lambda name: None)[NOTE]
