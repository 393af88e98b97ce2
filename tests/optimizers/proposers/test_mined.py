"""The proposer without a model: it finds what was planted, says what speaks for it, and else keeps silent."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.baselines import seed_candidate
from controllers.policies.rule import Condition, Rule, parse_rules
from controllers.program import controller_of, lm_component, rule_component
from controllers.scripted_engine import scripted_lm
from optimizers.evidence.comparing import LEAST_ROWS
from optimizers.evidence.reflection import Reflection
from optimizers.journal import Proposal
from optimizers.proposers.mined import (
    ALL_LEARNED,
    MOST_LEARNED,
    MinedProposer,
    current_choice,
)
from optimizers.space import Space, space_of, with_default, with_rule
from signatures.errors import UsageError
from signatures.records import Candidate, Cost, PolicyName
from tests.worlds.lab import ACTIONS, Lab, with_components
from tests.worlds.planted import LIT_GROUPS

LIT = Condition(feature="lit.fan", op=">", value=0.5)


def move(action: str, gain: float, *, policy: PolicyName = "steer", turns: int = 3, **features: float) -> Reflection:
    named = {name.replace("_", "."): value for name, value in features.items()}
    return Reflection(policy=policy, features=named, action=action, gain=gain, turns=turns)


def planted(n: int = 40) -> list[Reflection]:
    """`fan` helps while its lamp is lit and does nothing else; other directives do as little as saying nothing."""
    rng = random.Random(1)
    rows = []
    for number in range(n):
        lit, action = float(number % 2), ("none", "fan", "pump")[number % 3]
        helps = action == "fan" and lit
        rows.append(
            move(action, (0.4 if helps else 0.05) + rng.uniform(-0.05, 0.05), lit_fan=lit, errors=rng.randint(0, 3))
        )
    return rows


async def proposed(
    records: Sequence[Reflection], seed: int, candidate: Candidate | None = None, component: PolicyName = "steer"
) -> Proposal | None:
    proposer = MinedProposer(space_of(records, ACTIONS))
    proposal, cost = await proposer.propose(candidate or seed_candidate(), component, records, seed=seed)
    assert cost == Cost()
    return proposal


async def many(records: Sequence[Reflection], **more: object) -> list[Proposal]:
    found = [await proposed(records, seed, **more) for seed in range(40)]  # type: ignore[arg-type]
    return [one for one in found if one is not None]


async def test_it_finds_the_planted_rule() -> None:
    proposals = await many(planted(120))
    assert len(proposals) == 40
    edits = Counter(proposal.text for proposal in proposals)
    wanted = with_rule(seed_candidate(), "steer", Rule(when=(LIT,), then={"fan": 1.0})).components["steer"]
    assert edits.most_common(1)[0][0] == wanted
    for text in edits:
        rules = parse_rules(text)
        assert {*(action for rule in rules.rules for action in rule.then), *rules.otherwise} <= {"fan", "none"}


async def test_it_finds_the_directive_of_each_lamp_in_recorded_moves(lab: Lab) -> None:
    """Of the moves made while one lamp alone was lit."""
    replay = await lab.replay(lab.benchmark.tasks("search")[:60])
    proposer = MinedProposer(lab.space(replay))
    records = [move for digest in replay.trees for move in replay.moves(digest) if move.policy == "steer"]
    for group in LIT_GROUPS:
        alone = {f"planted.lit.{other}": float(other == group) for other in LIT_GROUPS}
        rows = [record for record in records if alone.items() <= record.features.items()]
        for seed in range(10):
            proposal, _ = await proposer.propose(seed_candidate(), "steer", rows, seed=seed)
            assert proposal is not None
            assert f"`{group}` changed `correct` by +" in proposal.evidence


async def test_evidence_is_numbers_that_can_be_counted_again() -> None:
    rows = planted(120)
    for proposal in await many(rows):
        found = re.fullmatch(
            r"(where (?P<feature>\S+) (?P<op><=|>) (?P<value>\S+), )?`(?P<action>\w+)` changed `correct` by "
            r"(?P<then>[+-]\d\.\d{3}) over (?P<n>\d+) moves, "
            r"what is done now by (?P<now>[+-]\d\.\d{3}) over (?P<m>\d+)",
            proposal.evidence,
        )
        assert found is not None, proposal.evidence
        where = rows
        if found["feature"]:
            when = Condition(feature=found["feature"], op=found["op"], value=float(found["value"]))  # type: ignore[arg-type]
            where = [row for row in rows if when.holds(row.features)]
        then = [row.gain for row in where if row.action == found["action"]]
        now = [row.gain for row in where if row.action == "none"]
        assert (int(found["n"]), int(found["m"])) == (len(then), len(now))
        assert float(found["then"]) == pytest.approx(np.mean(then), abs=6e-4)
        assert float(found["now"]) == pytest.approx(np.mean(now), abs=6e-4)
        assert proposal.proposer == "mined"
        rule = f" where {found['feature']} {found['op']} {found['value']}" if found["feature"] else ""
        gained = float(np.mean(then) - np.mean(now))
        assert proposal.hypothesis == (
            f"Choosing `{found['action']}`{rule} changes `correct` by {gained:+.3f} a move against what is done now."
        )


async def test_it_is_a_function_of_its_seed_and_other_seeds_differ() -> None:
    rows = planted(120)
    assert await many(rows) == await many(rows)
    assert len({proposal.text for proposal in await many(rows)}) > 1


@pytest.mark.parametrize(
    "rows",
    [
        [],
        planted(LEAST_ROWS),
        [move("none", 0.1, lit_fan=float(n % 2)) for n in range(100)],
        [move(("none", "fan")[n % 2], 0.1, lit_fan=1.0) for n in range(100)],
        [move(("none", "fan")[n % 2], (0.4, 0.1)[n % 2], lit_fan=1.0) for n in range(100)],
    ],
    ids=["nothing", "too few", "one action only", "no difference", "worse"],
)
async def test_without_evidence_it_proposes_nothing(rows: list[Reflection]) -> None:
    assert await many(rows) == []


async def test_a_program_is_not_edited_by_rules() -> None:
    program = Candidate(components={"program": '{"source":"","tier":"rule"}'})
    assert await many(planted(120), candidate=program, component="program") == []


async def test_moves_of_another_policy_say_nothing() -> None:
    assert await many(planted(120), component="topology") == []


async def test_what_was_adopted_is_not_proposed_again() -> None:
    adopted = with_rule(seed_candidate(), "steer", Rule(when=(LIT,), then={"fan": 1.0}))
    for proposal in await many(planted(120), candidate=adopted):
        assert proposal.text != adopted.components["steer"]


async def test_an_edit_that_changes_nothing_is_no_proposal() -> None:
    """Over all moves `fan` is better than what is done, but it is the default already: only the rule is wrong."""
    rule = Rule(when=(Condition(feature="a", op=">", value=0.5),), then={"none": 1.0})
    candidate = with_default(with_rule(seed_candidate(), "steer", rule), "steer", "fan")
    rows = [move(("none", "fan")[n % 2], 0.5 * (n % 4 == 3), a=float(n % 4 > 1)) for n in range(80)]
    proposals = await many(rows, candidate=candidate)
    assert {parse_rules(one.text).rules[0].then["fan"] for one in proposals} == {1.0}
    assert len(proposals) == 40


def hopeless(n: int = 60) -> list[Reflection]:
    """Nothing comes of going on after two attempts without progress."""
    return [
        move("continue", 0.0 if number % 3 == 2 else 0.2, policy="stop", turns=4, stalled=float(number % 3))
        for number in range(n)
    ]


async def test_it_stops_where_further_attempts_do_not_help() -> None:
    proposals = await many(hopeless(), component="stop")
    assert proposals
    for proposal in proposals:
        first = parse_rules(proposal.text).rules[0]
        assert first.then == {"done": 1.0}
        assert first.when == (Condition(feature="stalled", op=">", value=1.5),)
        assert proposal.evidence == (
            "where stalled > 1.5, 0% of 20 further attempts improved `correct`; stopping saves 4.0 turns each"
        )
        assert proposal.hypothesis == "Stopping where stalled > 1.5 costs no `correct` and saves 4.0 turns a time."


async def test_where_the_candidate_stops_already_it_is_not_told_to() -> None:
    (proposal, *_) = await many(hopeless(), component="stop")
    adopted = with_components(stop=proposal.text)
    assert await many(hopeless(), component="stop", candidate=adopted) == []


async def test_moves_after_which_the_candidate_would_have_stopped_say_nothing() -> None:
    earlier = Rule(when=(Condition(feature="stalled", op=">", value=0.5),), then={"done": 1.0})
    adopted = with_rule(seed_candidate(), "stop", earlier)
    assert await many(hopeless(), component="stop", candidate=adopted) == []


async def test_it_does_not_stop_where_going_on_helps() -> None:
    rows = [move("continue", 0.2, policy="stop", stalled=float(n % 3)) for n in range(60)]
    assert await many(rows, component="stop") == []


ROWS = st.lists(
    st.builds(
        lambda action, gain, a, b: move(action, gain, a=a, b=b),
        st.sampled_from(ACTIONS["steer"]),
        st.floats(-1, 1),
        st.sampled_from([0.0, 1.0, 2.0]),
        st.sampled_from([0.0, 1.0]),
    ),
    max_size=120,
)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, seed=st.integers(0, 2**32))
async def test_whatever_the_records_a_proposal_loads_and_changes_one_thing(rows: list[Reflection], seed: int) -> None:
    proposal = await proposed(rows, seed)
    if proposal is None:
        return
    child = with_components(steer=proposal.text)
    assert controller_of(child).candidate == child
    before, after = parse_rules(seed_candidate().components["steer"]), parse_rules(proposal.text)
    assert (len(after.rules), after.otherwise == before.otherwise) in ((1, True), (0, False))


@pytest.mark.parametrize(
    ("policy", "legal"), [("stop", {"continue", "done"}), ("topology", {"refine_last", "fanout_1"})]
)
def test_the_current_choice_is_what_the_policy_would_do(policy: PolicyName, legal: set[str]) -> None:
    choice = current_choice(seed_candidate(), policy)
    assert {choice({"passed": float(p), "attempts": float(n)}) for p in (0, 1) for n in (0, 1)} == legal


def test_of_a_stochastic_rule_the_current_choice_is_the_likeliest() -> None:
    mixed = with_components(steer=rule_component([], {"fan": 0.2, "core": 0.5, "none": 0.3}))
    assert current_choice(mixed, "steer")({}) == "core"


async def test_a_models_component_is_refused() -> None:
    lm, _ = scripted_lm(lambda prompt: "")
    candidate = with_components(steer=lm_component("steer", lm))
    with pytest.raises(UsageError, match="not a decision list"):
        await MinedProposer(Space({}, ACTIONS)).propose(candidate, "steer", planted(), seed=0)


# What was learned elsewhere.


def learned(
    rows: Sequence[Reflection], origin: str = "planted production", *, foreign: bool = False
) -> list[Reflection]:
    return [row.model_copy(update={"origin": origin, "foreign": foreign}) for row in rows]


async def with_lessons(
    records: Sequence[Reflection], lessons: Sequence[Reflection], seed: int = 0, candidate: Candidate | None = None
) -> Proposal | None:
    proposer = MinedProposer(space_of([*records, *lessons], ACTIONS), lessons)
    return (await proposer.propose(candidate or seed_candidate(), "steer", records, seed=seed))[0]


async def test_what_production_shows_is_proposed_where_the_own_moves_are_too_few() -> None:
    own = planted(6)
    assert await proposed(own, 0) is None
    found = [await with_lessons(own, learned(planted(120)), seed) for seed in range(20)]
    texts = Counter(one.text for one in found if one is not None)
    wanted = with_rule(seed_candidate(), "steer", Rule(when=(LIT,), then={"fan": 1.0})).components["steer"]
    assert texts.most_common(1)[0][0] == wanted
    assert all(one is not None and "learned from planted production)" in one.evidence for one in found)


async def test_without_lessons_nothing_is_said_of_learning() -> None:
    rows = planted(120)
    plain = [await proposed(rows, seed) for seed in range(10)]
    assert [await with_lessons(rows, [], seed) for seed in range(10)] == plain
    assert not any("learned" in one.evidence for one in plain if one is not None)


async def test_a_difference_between_places_is_not_taken_for_one_between_actions() -> None:
    """All actions are equal in each place; the places differ, and so does what was done there."""
    rng = random.Random(4)

    def place(gain: float, fans: int, nones: int) -> list[Reflection]:
        actions = ["fan"] * fans + ["none"] * nones
        return [move(action, gain + rng.uniform(-0.01, 0.01), errors=float(rng.randint(0, 1))) for action in actions]

    own, elsewhere = place(0.1, 6, 40), learned(place(0.6, 40, 6))

    def strongest(rows: list[Reflection]) -> float:
        found = MinedProposer(space_of(rows, ACTIONS))._switches(seed_candidate(), "steer", rows)
        return max((one.strength for one in found if not one.when), default=0.0)

    assert strongest([*own, *(row.model_copy(update={"origin": ""}) for row in elsewhere)]) > 8
    assert strongest([*own, *elsewhere]) < 2.5


async def test_a_place_with_one_side_alone_says_nothing() -> None:
    nothing = learned([move("fan", 0.9, errors=1.0) for _ in range(30)])
    assert await with_lessons(planted(6), nothing) is None


async def test_another_benchmarks_move_counts_only_where_the_candidates_rules_can_be_read() -> None:
    lamp = with_rule(seed_candidate(), "steer", Rule(when=(LIT,), then={"pump": 1.0}))
    own = planted(6)
    rows = [move(("none", "fan")[n % 2], 0.5 * (n % 2), errors=float(n % 3)) for n in range(60)]
    foreign = learned(rows, "machines search", foreign=True)
    assert await with_lessons(own, foreign) is not None
    assert await with_lessons(own, foreign, candidate=lamp) is None
    assert await with_lessons(own, learned(rows), candidate=lamp) is not None


async def test_of_many_lessons_each_proposal_looks_at_a_part_of_its_own() -> None:
    rows = learned(planted(MOST_LEARNED * 3))
    proposer = MinedProposer(space_of(rows[:100], ACTIONS), rows)
    one, other = (proposer._drawn(seed_candidate(), "steer", seed) for seed in (1, 2))
    assert len(one) == len(other) == MOST_LEARNED
    assert one != other
    assert one == proposer._drawn(seed_candidate(), "steer", 1)
    few = MinedProposer(space_of(rows[:100], ACTIONS), rows[:ALL_LEARNED])
    assert few._drawn(seed_candidate(), "steer", 1) == rows[:ALL_LEARNED]
