"""Tiller's own JSON lines: the short form, the whole one, decisions, trees, and each way to be wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from controllers.corpus import SqliteCorpus
from optimizers.collect.gathering import recorded_tree
from signatures.errors import UsageError
from signatures.records import Decision, Episode

SHORT = {"benchmark": "b", "key": "t", "prompt": "p", "worker": "w", "output": "4", "score": 1}
DRAW = {
    "step": 0,
    "policy": "stop",
    "action": "done",
    "legal": ["continue", "done"],
    "probabilities": {"continue": 0.25, "done": 0.75},
    "propensity": 0.75,
    "features": {"attempts": 1},
}
GRANT = {"attempts": 2}
TREE = {
    **{name: SHORT[name] for name in ("benchmark", "key", "prompt", "worker")},
    "granted": GRANT,
    "attempts": [
        {"output": "3", "state": "s", "score": 0, "cost": {"tokens_in": 5}},
        {"output": "4", "parent": 0, "steer": {"kind": "fixed", "action": "check", "text": "Check."}, "score": 1},
    ],
}


def text(*lines: object) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_the_short_form_is_one_attempt(read, written) -> None:
    (found,) = read("jsonl", written(text(SHORT), "a.jsonl"))
    (attempt,) = found.rollouts
    assert (attempt.output, attempt.scores[0].value, found.worker.name) == ("4", 1.0, "w")


def test_draws_become_decisions_and_others_are_left_out(bring_in, written, corpus: Path) -> None:
    blind = {**DRAW, "propensity": None, "probabilities": None}
    lines = [{**SHORT, "decisions": [DRAW]}, {**SHORT, "run": "2", "decisions": [blind]}]
    bring_in("jsonl", written(text(*lines), "a.jsonl"))

    async def held() -> tuple[list[Decision], list[Episode]]:
        async with SqliteCorpus.open_readonly(corpus) as found:
            return [one async for one in found.scan(Decision)], [one async for one in found.scan(Episode)]

    decisions, episodes = asyncio.run(held())
    assert [(one.propensity, one.action) for one in decisions] == [(0.75, "done")]
    assert [len(one.decision_ids) for one in episodes] == [1, 0]
    assert {one.condition for one in episodes} == {"imported"}


def test_refinements_are_a_tree_that_replay_walks(bring_in, written, corpus: Path) -> None:
    bring_in("jsonl", written(text(TREE, {**SHORT, "granted": GRANT}), "a.jsonl"))

    async def tree() -> list[tuple[str | None, str]]:
        async with SqliteCorpus.open_readonly(corpus) as found:
            (digest,) = {one.task_digest async for one in found.scan(Episode)}
            return [(s.attempt.parent_id, s.attempt.steer.action) for s in await recorded_tree(found, digest)]

    found = asyncio.run(tree())
    assert sorted(action for _, action in found) == ["check", "none", "none"]
    assert sum(parent is not None for parent, _ in found) == 1


def test_a_refinement_without_the_grant_of_all_is_refused(read, written) -> None:
    with pytest.raises(UsageError, match=r"a.jsonl, line 1: granted.attempts is missing; line 2"):
        read("jsonl", written(text(SHORT, TREE), "a.jsonl"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "is not JSON"),
        ("[1]", "an episode is an object"),
        ({**SHORT, "scroe": 1}, "scroe: Extra inputs"),
        ({**SHORT, "score": "high"}, r"attempts\[0\]\.scores\[0\]\.value"),
        ({**SHORT, "decisions": [{**DRAW, "propensity": 0.5}]}, r"decisions\[0\]: .*propensity"),
        ({**SHORT, "decisions": [{**DRAW, "probabilities": None}]}, r"decisions\[0\]: .*or neither"),
        ({**SHORT, "decisions": [{**DRAW, "action": "leap"}]}, "not among the legal"),
        ({**SHORT, "decisions": [DRAW, DRAW]}, "ascend"),
        ({**SHORT, "key": "", "prompt": ""}, "a key or a prompt"),
        ({**TREE, "attempts": [{"parent": 0, "output": "x"}]}, "cannot go on from"),
        ({**TREE, "attempts": []}, "attempts"),
        ({**SHORT, "outcome": "infra_error"}, "a failure"),
        ({**SHORT, "cost": {"usd": -1}}, r"cost\.usd"),
        ('{"benchmark": NaN}', "NaN"),
    ],
)
def test_what_is_wrong_names_file_line_and_field(read, written, line, says) -> None:
    content = text(SHORT) + "\n" + (line if isinstance(line, str) else json.dumps(line)) + "\n"
    with pytest.raises(UsageError, match=rf"a\.jsonl, line 3: .*{says}"):
        read("jsonl", written(content, "a.jsonl"))
