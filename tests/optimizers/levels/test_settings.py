"""Settings of a search: as candidates, their neighbours, and a search that is done with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.baselines import seed_candidate
from optimizers.engines import ENGINES, engine_of
from optimizers.levels.problems import Kept
from optimizers.levels.settings import (
    READ,
    DrawnProposer,
    Racing,
    SearchSettings,
    neighbours,
    plain_kit,
    require_engines,
    search_with,
    settings_of,
)
from optimizers.setup import Grant
from optimizers.space import Space
from signatures.errors import UsageError
from signatures.records import Candidate
from tests.worlds.lab import ACTIONS, STEERS, Lab, small_plan

CHOICES = {
    "engine": ("gepa_search", "pareto_search", "random_search"),
    "minibatch": (4, 12),
    "proposer": ("mined", "drawn"),
    "race": ("halving", "one look"),
}
SETTINGS = st.builds(
    SearchSettings,
    engine=st.sampled_from(CHOICES["engine"]),
    minibatch=st.sampled_from(CHOICES["minibatch"]),
    proposer=st.sampled_from(CHOICES["proposer"]),
    race=st.sampled_from(CHOICES["race"]),
)


@given(SETTINGS)
def test_a_candidate_is_its_settings_without_what_the_engine_does_not_read(settings: SearchSettings) -> None:
    back = settings_of(settings.candidate)
    assert back.candidate == settings.candidate and back.engine == settings.engine
    for name in ("minibatch", "proposer", "race"):
        default = getattr(SearchSettings(), name)
        assert getattr(back, name) == (getattr(settings, name) if name in READ[settings.engine] else default)


@given(SETTINGS)
def test_neighbours_differ_in_one_thing_and_make_a_difference(settings: SearchSettings) -> None:
    for changed in neighbours(settings, CHOICES):
        differing = [n for n in CHOICES if getattr(changed.settings, n) != getattr(settings, n)]
        assert len(differing) == 1 and changed.settings.candidate != settings.candidate
        assert differing[0] in changed.hypothesis


def test_where_an_engine_reads_nothing_else_only_the_engine_has_neighbours() -> None:
    found = neighbours(SearchSettings(engine="random_search"), CHOICES)
    assert [one.settings.engine for one in found] == ["gepa_search", "pareto_search"]


def test_what_are_no_settings_is_refused() -> None:
    for candidate in (seed_candidate(), Candidate(components={"search": '{"engine": 3}'})):
        with pytest.raises(UsageError, match="settings of a search"):
            settings_of(candidate)


def test_engines_that_are_named_exist() -> None:
    assert set(READ) <= set(ENGINES)
    require_engines(CHOICES["engine"])
    with pytest.raises(UsageError, match="gepa_serch"):
        require_engines(("gepa_serch",))
    with pytest.raises(UsageError, match="model"):
        require_engines(("mipro_search",))


@pytest.mark.parametrize("settings", [SearchSettings(), SearchSettings(engine="pareto_search", proposer="drawn")])
async def test_a_search_is_done_as_its_settings_say(lab: Lab, settings: SearchSettings) -> None:
    lab.grant = Grant(2, 4, STEERS)
    plan = small_plan(lab.benchmark.tasks("search"))
    replay = await lab.replay([*plan.train, *plan.val])
    evaluator, kept = lab.evaluator(replay=replay), Kept()
    archive = await search_with(settings, plan, evaluator, plain_kit(lab.space(replay), STEERS), kept)
    assert archive is evaluator.archive
    proposers = {one.proposer for one in kept.found_all[1:]}
    assert proposers and proposers <= {settings.proposer, "random"}
    letter = {"gepa_search": "g", "pareto_search": "p"}[settings.engine]
    assert all(one.name.startswith(letter) for one in kept.found_all)


@pytest.mark.parametrize("id", sorted(set(READ) - {"mipro_search"}))
def test_an_engine_that_reads_the_race_can_be_given_one(id: str) -> None:
    bare = Space(thresholds={}, actions={"stop": ("continue", "done"), "topology": ("fanout_1",), "steer": ("none",)})
    assert isinstance(engine_of(id, plain_kit(bare, ("none",))), Racing) == ("race" in READ[id])


async def test_a_strict_race_accepts_less(lab: Lab) -> None:
    lab.grant = Grant(2, 4, STEERS)
    plan = small_plan(lab.benchmark.tasks("search"))
    replay = await lab.replay([*plan.train, *plan.val])
    accepted = {}
    for race in ("halving", "strict"):
        kept, evaluator = Kept(), lab.evaluator(replay=replay, journal=race)
        settings = SearchSettings.model_validate({"engine": "pareto_search", "proposer": "drawn", "race": race})
        await search_with(settings, plan, evaluator, plain_kit(lab.space(replay), STEERS), kept)
        accepted[race] = sum(one.decision == "accepted" for one in kept.found_all)
    assert accepted["strict"] < accepted["halving"]


async def test_drawn_proposals_change_the_component_that_is_asked_for(lab: Lab) -> None:
    plan = small_plan(lab.benchmark.tasks("search"))
    space = lab.space(await lab.replay(plan.train))
    seen = set()
    for component in ACTIONS:
        for seed in range(5):
            proposal, _ = await DrawnProposer(space).propose(seed_candidate(), component, [], seed=seed)
            assert proposal is not None and proposal.text != seed_candidate().components[component]
            again, _ = await DrawnProposer(space).propose(seed_candidate(), component, [], seed=seed)
            assert again == proposal
            seen.add(proposal.text)
    assert len(seen) > 5
