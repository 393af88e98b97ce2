from __future__ import annotations

import json

import pytest

from experiments.serve.answers import Answer, Answers
from experiments.serve.bodies import NewEpisode
from signatures.errors import StoreError
from tests.experiments.serve.conftest import Opening
from tests.worlds.harness import begin_body
from tests.worlds.planted import PlantedBenchmark

TASK = PlantedBenchmark().tasks("search")[0]


async def test_an_answer_is_a_body_with_its_status_timed_and_counted(opening: Opening) -> None:
    async with opening() as service:
        answers = Answers(service)
        begun = await answers.begin(NewEpisode.model_validate(begin_body(TASK)))
        assert begun.status == 201
        move = await answers.decide(json.loads(begun.body)["episode_id"])
        assert (move.status, json.loads(move.body)["done"], move.headers) == (200, False, {})
        meters = service.meters.text().decode()
        assert 'tiller_requests_total{call="decide",status="200"} 1.0' in meters
        assert 'tiller_request_seconds_count{call="decide"} 1.0' in meters


async def test_a_refusal_is_an_answer_and_counted(opening: Opening, caplog: pytest.LogCaptureFixture) -> None:
    async with opening() as service:
        answers = Answers(service)
        unknown = await answers.decide("0" * 24)
        assert (unknown.status, json.loads(unknown.body)["error"]["type"]) == (404, "UnknownEpisode")
        assert caplog.text == ""
        ours = answers.refused("other", StoreError("/srv/x.db: disk full"))
        assert (ours.status, ours.headers) == (503, {"retry-after": "1"})
        assert b"/srv" not in ours.body
        assert "/srv/x.db" in caplog.text
        meters = service.meters.text().decode()
        assert 'tiller_requests_total{call="decide",status="404"} 1.0' in meters
        assert 'tiller_request_seconds_count{call="decide"}' not in meters


def test_only_what_may_be_asked_again_says_when() -> None:
    assert [Answer(status, b"").headers for status in (200, 409, 429)] == [{}, {}, {"retry-after": "1"}]
