from __future__ import annotations

import pytest
from pydantic import ValidationError

from controllers.program import controller_of
from controllers.spec import EpisodeSpec, episode_id
from signatures.records import Amounts
from tests.controllers.parts import FANOUT_3, Climber, a_spec, a_task, parts_of


def test_equal_inputs_give_equal_ids() -> None:
    assert episode_id(a_spec(), parts_of(Climber())) == episode_id(a_spec(), parts_of(Climber()))


@pytest.mark.parametrize(
    "changes",
    [
        {"task": a_task("other")},
        {"split": "dev"},
        {"condition": "other"},
        {"candidate": "c"},
        {"seed": 2},
        {"repeat": 1},
        {"granted": Amounts(attempts=4)},
        {"turns_per_attempt": 5},
        {"steer_legal": ("up",)},
        {"floor": 0.05},
        {"revision": "r"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_input_is_in_the_id(changes: dict[str, object]) -> None:
    parts = parts_of(Climber())
    assert episode_id(a_spec().model_copy(update=changes), parts) != episode_id(a_spec(), parts)


def test_no_input_was_forgotten_here() -> None:
    tried = {"task", "split", "condition", "candidate", "seed", "repeat", "granted", "turns_per_attempt"}
    assert set(EpisodeSpec.model_fields) == tried | {"steer_legal", "floor", "revision", "schema_version"}


def test_the_worker_and_the_controller_are_in_the_id() -> None:
    spec, parts = a_spec(), parts_of(Climber())
    other = parts_of(Climber(), candidate=FANOUT_3)
    assert other.controller.digest == controller_of(FANOUT_3).digest
    assert len({episode_id(spec, one) for one in (parts, other, parts_of(Climber(turns=4)))}) == 3


def test_a_spec_is_a_record() -> None:
    spec = a_spec(turns=9, each=3, steers=("up", "look"))
    assert EpisodeSpec.model_validate_json(spec.model_dump_json()) == spec
    with pytest.raises(ValidationError):
        EpisodeSpec.model_validate({**dict(spec), "surprise": 1})


def test_parts_that_were_not_shared_do_not_share_a_breaker() -> None:
    one, other = parts_of(Climber()), parts_of(Climber())
    assert one.breaker is not other.breaker
