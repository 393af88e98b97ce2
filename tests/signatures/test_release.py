from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from signatures.release import Binned, Certificate, Fingerprints, Level, Lineage, Reference, Release

CERTIFICATE = {
    "gate": "planted-gate-0",
    "sentence": "promote: better",
    "candidate": "c",
    "baseline": "b",
    "benchmark": "planted",
    "registration": "r",
    "slice": "slice-0",
    "seal": "s",
    "verdicts": "v",
    "ledger_rows": 2,
    "ledger_chain": "l",
    "done": "d",
    "report": "p",
}
GIVEN = {
    "name": "planted",
    "benchmark": "planted",
    "candidate": "c",
    "state": "s",
    "report": "p",
    "schemas": {"stop": {"task": "input str"}},
    "fingerprints": {"tiller": "1", "dspy": "3", "adapter": "a", "worker": {"name": "w"}},
    "granted": {"attempts": 3},
    "lineage": {"name": "seed"},
    "ungated": "a test",
    "created_s": 1.5,
}


def made(**changed: object) -> Release:
    return Release.model_validate_json(json.dumps({**GIVEN, **changed}))


def test_a_release_comes_back_from_its_json() -> None:
    reference = {
        "features": {"depth": {"edges": [0.5], "counts": [1, 2], "absent": 3}},
        "success": {"correct": {"mean": 0.5, "n": 7}},
    }
    release = made(certificate=CERTIFICATE, ungated="", reference=reference, steer_legal=["none", "fan"])
    again = Release.model_validate_json(release.model_dump_json())
    assert (again, again.digest) == (release, release.digest)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"candidate": "x"},
        {"exploration": 0.1},
        {"fallback": {"stop": "{}"}},
        {"created_s": 2.0},
        {"ungated": "another reason"},
        {"schemas": {}},
    ],
)
def test_every_field_is_in_the_digest(changed: Mapping[str, object]) -> None:
    assert made(**changed).digest != made().digest


@pytest.mark.parametrize("name", ["", ".x", "-x", "a/b", "a b", "a\n", "..", "x" * 101, "@", "models:/x"])
def test_a_name_is_safe_in_paths_and_uris(name: str) -> None:
    with pytest.raises(ValidationError):
        made(name=name)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"ungated": ""}, "has a certificate, or says why it has none"),
        ({"ungated": " \n"}, "has a certificate, or says why it has none"),
        ({"certificate": CERTIFICATE}, "has a certificate, or says why it has none"),
        ({"certificate": {**CERTIFICATE, "decision": "hold"}, "ungated": ""}, "certificate.decision"),
        ({"certificate": {**CERTIFICATE, "ledger_rows": 0}, "ungated": ""}, "certificate.ledger_rows"),
        ({"steer_legal": []}, "steer_legal: at least one"),
        ({"steer_legal": ["a", "b", "a"]}, "steer_legal: at least one steer, and none twice: a, b, a"),
        ({"exploration": 0.34, "steer_legal": ["a", "b", "c"]}, "exploration: 0.34 each cannot hold for 3 steers"),
        ({"exploration": 0.51}, "exploration"),
        ({"exploration": -0.01}, "exploration"),
        ({"granted": {}}, "granted: something must be limited"),
        ({"created_s": -1.0}, "created_s"),
        ({"fallback": {"plan": "{}"}}, "fallback.plan"),
        ({"lineage": {"name": "x", "generation": -1}}, "lineage.generation"),
        ({"api_key": "x"}, "api_key"),
    ],
)
def test_what_production_cannot_run_is_no_release(changed: Mapping[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        made(**changed)


def test_a_third_for_each_of_three_steers_can_be_drawn() -> None:
    assert made(exploration=1 / 3, steer_legal=["a", "b", "c"]).exploration == 1 / 3


@pytest.mark.parametrize(
    ("edges", "counts"),
    [((), ()), ((1.0,), (1,)), ((1.0, 1.0), (1, 2, 3)), ((2.0, 1.0), (1, 2, 3)), ((1.0,), (1, -1))],
)
def test_bins_fit_their_edges(edges: tuple[float, ...], counts: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        Binned(edges=edges, counts=counts)


def test_bins_without_an_edge_are_one_bin() -> None:
    assert Binned(edges=(), counts=(4,)).absent == 0


def test_nothing_is_measured_on_no_task() -> None:
    with pytest.raises(ValidationError):
        Level(mean=0.5, n=0)
    with pytest.raises(ValidationError):
        Level(mean=float("nan"), n=1)


def test_the_parts_stand_alone() -> None:
    assert Certificate.model_validate(CERTIFICATE).decision == "promote"
    assert Lineage(name="seed").parents == ()
    assert Reference(features={}, success={}).features == {}
    assert Fingerprints.model_validate(GIVEN["fingerprints"]).models == ()
