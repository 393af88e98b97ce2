from __future__ import annotations

from optimizers.members import Members
from signatures.records import Candidate

ONE, TWO = Candidate(components={"stop": "a"}), Candidate(components={"stop": "b"})


def test_the_first_under_a_key_stands() -> None:
    members = Members()
    assert members.first(ONE.digest) is None
    members.consider(ONE, [ONE.digest, "alike"])
    members.consider(TWO, [TWO.digest, "alike"])
    assert members.first("alike") == ONE.digest and members.first(TWO.digest) == TWO.digest


def test_only_what_was_accepted_is_a_candidate() -> None:
    members = Members()
    members.consider(ONE, [ONE.digest])
    assert members.candidates == {} and members.scores == {}
    members.accept(ONE, {})
    assert members.candidates == {ONE.digest: ONE} and members.scores == {ONE.digest: {}}
