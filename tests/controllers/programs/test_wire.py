from __future__ import annotations

import json

import pytest

from controllers.programs.wire import (
    BudgetCall,
    ConsultCall,
    Critique,
    Done,
    FanoutCall,
    Shot,
    ShotCall,
    Shots,
    call_of,
    told,
)
from signatures.errors import ProgramFault

SHOT = Shot(index=0, outcome="ok", action="none", passed=True, correct=1.0, progress=0.0, turns=2, errors=0, repeats=0)


def test_calls_are_read() -> None:
    assert call_of({"kind": "shot", "start": "last", "steer": "look"}) == ShotCall(start="last", steer="look")
    assert call_of({"kind": "shots", "n": 4}) == FanoutCall(n=4)
    assert call_of({"kind": "consult", "policy": "stop", "options": ["a"]}) == ConsultCall(
        policy="stop", options=("a",)
    )
    assert [call_of({"kind": kind}) for kind in ("budget", "done")] == [BudgetCall(), Done()]


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"kind": "score", "value": 1.0},
        {"kind": "shot", "score": 1.0},
        {"kind": "shot", "start": "SECRET"},
        {"kind": "shot", "steer": ""},
        {"kind": "shot", "steer": "x" * 101},
        {"kind": "shots", "n": 5},
        {"kind": "shots", "n": "3"},
        {"kind": "shots", "n": True},
        {"kind": "consult", "policy": "judge", "options": ["a"]},
        {"kind": "consult", "policy": "stop", "options": []},
        {"kind": "consult", "policy": "stop", "options": ["a"] * 33},
        {"kind": "done", "score": 1.0},
    ],
)
def test_what_is_no_call_is_a_fault(body: object) -> None:
    with pytest.raises(ProgramFault) as fault:
        call_of(body)
    assert fault.value.kind == "protocol"


def test_answers_are_told_as_plain_json() -> None:
    body = json.loads(json.dumps(told(Shots(shots=(SHOT,)))))
    assert body == {"kind": "shots", "shots": [told(SHOT)]}
    assert told(Critique(features={"stalled": 1.0})) == {"kind": "critique", "features": {"stalled": 1.0}}
    assert "schema_version" not in json.dumps(body)
