from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from signatures import records
from signatures.digest import digest_of, digest_text
from signatures.records import (
    Amounts,
    Attempt,
    AttemptContext,
    AttemptResult,
    Candidate,
    CheckerResult,
    Cost,
    Decision,
    Directive,
    Episode,
    Failure,
    Objective,
    Observation,
    Record,
    Steer,
    Task,
    TraceEvent,
    WorkerFingerprint,
)

TEXT = st.text(max_size=8)
COUNT = st.integers(0, 10**9)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
AMOUNT = st.floats(0, 1e12)
SHARE = st.floats(0, 1)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


COSTS = st.builds(
    Cost,
    turns=maybe(COUNT),
    tokens_in=maybe(COUNT),
    tokens_out=maybe(COUNT),
    tokens_cached=maybe(COUNT),
    usd=maybe(AMOUNT),
    wall_s=maybe(AMOUNT),
)
AMOUNTS = st.builds(
    Amounts, attempts=maybe(COUNT), turns=maybe(COUNT), tokens=maybe(COUNT), usd=maybe(AMOUNT), wall_s=maybe(AMOUNT)
)
EVENTS = st.builds(
    TraceEvent,
    turn=COUNT,
    kind=st.sampled_from(["message", "tool", "error", "process"]),
    name=TEXT,
    arguments=TEXT,
    text=TEXT,
    failed=st.booleans(),
)
CHECKS = st.builds(
    CheckerResult,
    objective=TEXT,
    value=maybe(NUMBER),
    unit=TEXT,
    passed=maybe(st.booleans()),
    detail=TEXT,
    isolation=maybe(TEXT),
    timed=st.booleans(),
)
STEERS = st.builds(
    Steer,
    kind=st.sampled_from(["none", "fixed", "analyst"]),
    action=TEXT,
    text=TEXT,
    tier=TEXT,
    tools=maybe(st.lists(TEXT, max_size=2).map(tuple)),
)
FINGERPRINTS = st.builds(
    WorkerFingerprint, name=TEXT, model=maybe(TEXT), params=st.dictionaries(TEXT, TEXT, max_size=2)
)
TASKS = st.builds(Task, digest=TEXT, benchmark=TEXT, prompt=TEXT)
FAILURES = st.builds(Failure, error=TEXT, message=TEXT, where=TEXT, tries=st.integers(1, 3))
ATTEMPTS = st.builds(
    Attempt,
    id=TEXT,
    episode_id=TEXT,
    round=COUNT,
    index=COUNT,
    parent_id=maybe(TEXT),
    start_digest=maybe(TEXT),
    task_digest=TEXT,
    benchmark=TEXT,
    worker=FINGERPRINTS,
    repeat=COUNT,
    steer=STEERS,
    steer_cost=COSTS,
    output_digest=maybe(TEXT),
    state_digest=maybe(TEXT),
    trace_digest=maybe(TEXT),
    checks=st.lists(CHECKS, max_size=2).map(tuple),
    outcome=st.sampled_from(["ok", "refusal", "empty", "timeout"]),
    cost=COSTS,
)
DECISIONS = st.builds(
    Decision,
    id=TEXT,
    episode_id=TEXT,
    step=COUNT,
    policy=st.sampled_from(["stop", "topology", "steer"]),
    features=st.dictionaries(TEXT, NUMBER, max_size=2),
    legal=st.lists(TEXT, max_size=2).map(tuple),
    probabilities=st.dictionaries(TEXT, SHARE, max_size=2),
    action=TEXT,
    propensity=st.floats(0, 1, exclude_min=True),
    draw_seed=st.integers(0, 2**63 - 1),
    tier=st.sampled_from(["frontier", "resident", "rule"]),
    policy_digest=TEXT,
    shown=st.lists(TEXT, max_size=2).map(tuple),
    cost=COSTS,
)
EPISODES = st.builds(
    Episode,
    id=TEXT,
    condition=TEXT,
    candidate=maybe(TEXT),
    seed=COUNT,
    split=st.sampled_from(["search", "dev", "holdout", "production"]),
    benchmark=TEXT,
    task_digest=TEXT,
    worker=FINGERPRINTS,
    decision_ids=st.lists(TEXT, max_size=2).map(tuple),
    attempt_ids=st.lists(TEXT, max_size=2).map(tuple),
    selected_id=maybe(TEXT),
    failure=maybe(FAILURES),
    granted=AMOUNTS,
    spent=AMOUNTS,
)
STRATEGIES: dict[type[Record], st.SearchStrategy[Any]] = {
    Task: TASKS,
    Cost: COSTS,
    TraceEvent: EVENTS,
    CheckerResult: CHECKS,
    Observation: st.builds(Observation, attempt_id=TEXT, source=EVENTS | CHECKS),
    Steer: STEERS,
    Directive: st.builds(
        Directive, action=TEXT, text=TEXT, tier=TEXT, tools=maybe(st.lists(TEXT, max_size=2).map(tuple))
    ),
    WorkerFingerprint: FINGERPRINTS,
    AttemptContext: st.builds(
        AttemptContext,
        attempt_id=TEXT,
        steer=STEERS,
        seed=COUNT,
        repeat=COUNT,
        turns_limit=maybe(COUNT),
        wall_limit_s=maybe(AMOUNT),
    ),
    AttemptResult: st.builds(
        AttemptResult,
        output=TEXT,
        state=maybe(TEXT),
        trace=st.lists(EVENTS, max_size=2).map(tuple),
        cost=COSTS,
        outcome=st.sampled_from(["ok", "refusal", "empty", "timeout"]),
    ),
    Failure: FAILURES,
    Attempt: ATTEMPTS,
    Decision: DECISIONS,
    Amounts: AMOUNTS,
    Episode: EPISODES,
    Objective: st.builds(
        Objective,
        name=TEXT,
        unit=TEXT,
        worst=st.floats(-10, 0),
        best=st.floats(1, 10),
        over=st.sampled_from(["judge", "lineage", "episode"]),
        reference=SHARE,
    ),
    Candidate: st.builds(Candidate, components=st.dictionaries(TEXT, TEXT, max_size=3)),
}
KINDS = pytest.mark.parametrize("kind", STRATEGIES, ids=lambda kind: kind.__name__)


def an_attempt(**changes: object) -> Attempt:
    fields: dict[str, object] = {
        "id": "a",
        "episode_id": "e",
        "round": 0,
        "index": 0,
        "task_digest": "t",
        "benchmark": "b",
        "worker": WorkerFingerprint(name="w"),
        "steer": Steer(),
        "outcome": "ok",
    }
    return Attempt.model_validate({**fields, **changes})


def test_every_record_is_tried_here() -> None:
    named = {cls for cls in vars(records).values() if isinstance(cls, type) and issubclass(cls, Record)}
    assert named - {Record} == set(STRATEGIES)


@KINDS
@settings(max_examples=25)
@given(data=st.data())
def test_a_record_comes_back_from_json(kind: type[Record], data: st.DataObject) -> None:
    record = data.draw(STRATEGIES[kind])
    back = kind.model_validate_json(record.model_dump_json())
    assert back == record
    assert type(back) is kind
    assert back.content_digest() == record.content_digest()


@KINDS
def test_a_record_is_frozen_strict_versioned_and_takes_nothing_extra(kind: type[Record]) -> None:
    record = _one(kind)
    assert record.schema_version == 1
    name = next(iter(kind.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(record, name, getattr(record, name))
    whole = record.model_dump_json()
    with pytest.raises(ValidationError, match="Extra inputs"):
        kind.model_validate_json(whole[:-1] + ',"surprise":1}')
    with pytest.raises(ValidationError, match="schema_version"):
        kind.model_validate_json(whole.replace('"schema_version":1', '"schema_version":2', 1))


def _one(kind: type[Record]) -> Record:
    """The first record that the strategy gives."""
    found: list[Record] = []

    @settings(max_examples=1, database=None)
    @given(STRATEGIES[kind])
    def collect(record: Record) -> None:
        found.append(record)

    collect()
    return found[0]


def test_a_wrong_type_is_refused_and_not_converted() -> None:
    with pytest.raises(ValidationError):
        Cost.model_validate({"turns": "3"})
    with pytest.raises(ValidationError):
        TraceEvent.model_validate({"turn": 0, "kind": "tool", "failed": 1})
    with pytest.raises(ValidationError):
        Candidate.model_validate({"components": {"stop": 1}})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_number_is_nan_or_infinite(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        CheckerResult(objective="correct", value=value, unit="share")
    with pytest.raises(ValidationError):
        Cost(usd=value)


def test_text_that_no_store_takes_can_be_made_encodable() -> None:
    broken = AttemptResult(output="a\ud800b", trace=(TraceEvent(turn=0, kind="tool", text="\udfff"),))
    whole = broken.encodable()
    assert (whole.output, whole.trace[0].text) == ("a?b", "?")
    assert AttemptResult.model_validate_json(whole.model_dump_json()) == whole
    sound = AttemptResult(output="Grüße \U0001f9ed")
    assert sound.encodable() is sound


def test_a_probability_lies_in_the_unit_interval_and_a_propensity_is_not_zero() -> None:
    decision = _one(Decision)
    for field, bad in (("propensity", 0.0), ("propensity", 1.5), ("probabilities", {"a": 1.5})):
        with pytest.raises(ValidationError):
            Decision.model_validate({**dict(decision), field: bad})


def test_an_infra_error_carries_a_failure_and_only_it_does() -> None:
    gone = Failure(error="WorkerError", message="gone", where="worker")
    assert an_attempt(outcome="infra_error", failure=gone).failure == gone
    with pytest.raises(ValidationError, match="infra_error"):
        an_attempt(outcome="infra_error")
    for outcome in ("ok", "refusal", "empty", "timeout"):
        with pytest.raises(ValidationError, match="infra_error"):
            an_attempt(outcome=outcome, failure=gone)


def test_what_was_not_measured_is_none() -> None:
    assert set(dict(Cost()).values()) == {1, None}
    assert set(dict(Amounts()).values()) == {1, None}
    attempt = an_attempt()
    assert (attempt.output_digest, attempt.state_digest, attempt.trace_digest, attempt.parent_id) == (None,) * 4


@given(COSTS, COSTS)
def test_a_sum_of_costs_is_none_only_where_neither_side_measured(a: Cost, b: Cost) -> None:
    total = a.plus(b)
    for name in Cost.model_fields:
        if name == "schema_version":
            continue
        mine, yours, sums = getattr(a, name), getattr(b, name), getattr(total, name)
        assert (sums is None) == (mine is None and yours is None)
        assert sums is None or sums == (mine or 0) + (yours or 0)


def test_what_a_clock_measured_is_outside_the_content() -> None:
    def timed(wall: float, detail: str) -> Attempt:
        clock = CheckerResult(objective="fast", value=wall, unit="s", passed=wall < 1, detail=detail, timed=True)
        cost = Cost(turns=3, usd=0.5, wall_s=wall)
        return an_attempt(cost=cost, steer_cost=Cost(wall_s=wall), checks=(clock,))

    one, other = timed(0.5, "0.5 s"), timed(2.0, "2 s")
    assert one != other
    assert one.content_digest() == other.content_digest()
    sources = one.checks[0], other.checks[0]
    assert len({Observation(attempt_id="a", source=source).id for source in sources}) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"cost": Cost(turns=4)},
        {"cost": Cost(usd=0.1)},
        {"steer_cost": Cost(tokens_in=7)},
        {"checks": (CheckerResult(objective="correct", value=0.5, unit="share"),)},
        {"steer": Steer(kind="fixed", action="look", text="Look.")},
        {"outcome": "timeout"},
        {"repeat": 1},
        {"output_digest": "o"},
    ],
)
def test_what_no_clock_measured_is_inside(changes: dict[str, object]) -> None:
    assert an_attempt(**changes).content_digest() != an_attempt().content_digest()


def test_an_episode_agrees_with_another_that_took_longer() -> None:
    episode = _one(Episode)
    assert isinstance(episode, Episode)

    def spending(spent: Amounts) -> str:
        return episode.model_copy(update={"spent": spent}).content_digest()

    assert spending(Amounts(attempts=2, wall_s=1.0)) == spending(Amounts(attempts=2, wall_s=9.0))
    assert spending(Amounts(attempts=2)) != spending(Amounts(attempts=3))


def test_a_decision_agrees_with_another_that_cost_more() -> None:
    decision = _one(Decision)
    assert decision.model_copy(update={"cost": Cost(usd=9.0)}).content_digest() == decision.content_digest()
    assert decision.model_copy(update={"action": "another"}).content_digest() != decision.content_digest()


@given(EVENTS, EVENTS, TEXT, TEXT)
def test_an_observation_is_named_by_attempt_and_content(a: TraceEvent, b: TraceEvent, x: str, y: str) -> None:
    one, other = Observation(attempt_id=x, source=a), Observation(attempt_id=y, source=b)
    assert (one.id == other.id) == ((x, a) == (y, b))


@pytest.mark.parametrize("source", ["text", {"score": 1.0}, None, Task(digest="d", benchmark="b", prompt="p")])
def test_an_observation_is_born_of_a_trace_or_a_checker(source: object) -> None:
    with pytest.raises(ValidationError):
        Observation(attempt_id="a", source=source)  # type: ignore[arg-type]


def test_an_attempt_finds_a_checker_by_its_objective() -> None:
    fast = CheckerResult(objective="fast", value=3.0, unit="turns")
    attempt = an_attempt(checks=(CheckerResult(objective="correct", value=None, unit="share"), fast))
    assert attempt.check("fast") == fast
    assert attempt.check("secure") is None


def test_a_steer_names_its_exact_text() -> None:
    assert Steer(text="Look.").text_digest == digest_text("Look.")
    assert Steer() == Steer(kind="none", action="none", text="")


@given(st.floats(-1e6, 1e6))
def test_an_objective_scales_to_the_unit_interval(raw: float) -> None:
    turns = Objective(name="fast", unit="turns", worst=36.0, best=0.0, over="episode")
    assert 0 <= turns.scaled(raw) <= 1
    assert (turns.scaled(36.0), turns.scaled(18.0), turns.scaled(0.0)) == (0, 0.5, 1)


def test_an_objective_without_a_scale_is_refused() -> None:
    with pytest.raises(ValidationError, match="differ"):
        Objective(name="fast", unit="turns", worst=1.0, best=1.0, over="episode")


@given(st.dictionaries(TEXT, TEXT, max_size=4))
def test_a_candidate_is_named_by_its_components(components: dict[str, str]) -> None:
    one = Candidate(components=components)
    assert Candidate(components=dict(reversed(components.items()))).digest == one.digest
    assert Candidate(components={**components, "more": "x"}).digest != one.digest or components.get("more") == "x"


@pytest.mark.parametrize("record", [Steer(action="look", text="Look."), Directive(action="look", text="Look.")])
def test_what_is_not_given_beside_the_text_leaves_no_trace(record: Steer | Directive) -> None:
    """Ids are made of it, and those of old records stand."""
    assert {"tier", "tools"}.isdisjoint(record.content())
    assert "tier" not in record.model_dump_json() and "tools" not in record.model_dump_json()
    for more in ({"tier": "strong"}, {"tools": ()}, {"tools": ("map",)}):
        given = record.model_copy(update=more)
        assert type(record).model_validate_json(given.model_dump_json()) == given
        assert given.content_digest() != record.content_digest()


def test_ids_of_steers_are_what_they_were() -> None:
    assert digest_of("x", Steer()) == "da4536113fd668ef6ec11f29"
