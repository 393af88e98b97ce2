from __future__ import annotations

import json
import pickle

import pytest

from controllers.served import NotDue, ReportConflict
from experiments.serve.problems import KeyConflict, Refused, TooMany, UnknownEpisode, line_of, status_of, told
from signatures.errors import FirewallBreach, Outage, ProviderError, ReleaseRefused, StoreError, TillerError, UsageError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownEpisode("x"), 404),
        (NotDue("x"), 409),
        (ReportConflict("x"), 409),
        (KeyConflict("x"), 409),
        (TooMany("x"), 429),
        (UsageError("x"), 422),
        (ReleaseRefused("x"), 422),
        (Refused(413, "x"), 413),
        (StoreError("x"), 503),
        (ProviderError("x"), 503),
        (Outage("x"), 503),
        (FirewallBreach("x"), 500),
    ],
)
def test_each_error_has_its_status(error: TillerError, status: int) -> None:
    assert status_of(error) == status


def test_a_client_reads_its_own_mistakes_and_nothing_of_the_machine() -> None:
    assert line_of(UsageError("task:\nit is bad")) == "task: it is bad"
    body = json.loads(told(StoreError("/srv/secret/corpus.db: cannot append: disk full")))
    assert body["error"]["type"] == "StoreError"
    assert "/srv" not in body["error"]["message"]
    assert "ask again" in body["error"]["message"]
    assert "verdict" not in line_of(FirewallBreach("a verdict"))


def test_a_refusal_pickles() -> None:
    again = pickle.loads(pickle.dumps(Refused(408, "slow")))
    assert (again.status, str(again)) == (408, "slow")
