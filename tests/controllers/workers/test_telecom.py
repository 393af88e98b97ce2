from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers import Worker
from controllers.checkers.telecom import harms
from controllers.workers.telecom import TelecomWorker
from controllers.worlds.telecom import StateCall, TelecomWorld
from controllers.worlds.telecom_record import had_effect
from signatures.records import AttemptContext, AttemptResult, Steer, Task

LINE = {"customer_id": "C1001", "line_id": "L1002"}
CUSTOMER = StateCall("user", "set_user_info", {"name": "John Smith", "phone_number": "555-123-2002"})
ABROAD = StateCall("user", "set_user_location", {"abroad": True})
FAULTS = {
    "radio": (StateCall("user", "turn_airplane_mode_on", {}),),
    "sim": (StateCall("user", "unseat_sim_card", {}),),
    "mode": (StateCall("user", "set_network_mode_preference", {"mode": "2g_only"}),),
    "data": (StateCall("user", "turn_data_off", {}),),
    "restrict": (StateCall("user", "turn_data_saver_mode_on", {}),),
    "wifi_calling": (StateCall("user", "set_wifi_calling", {"enabled": True, "mms_over_wifi": True}),),
    "vpn": (StateCall("user", "break_vpn", {}),),
    "apn": (StateCall("user", "break_apn_mms_setting", {}),),
    "permissions": (
        StateCall("user", "remove_app_permission", {"app_name": "messaging", "permission": "sms"}),
        StateCall("user", "remove_app_permission", {"app_name": "messaging", "permission": "storage"}),
    ),
    "roaming": (ABROAD, StateCall("assistant", "disable_roaming", LINE)),
    "usage": (StateCall("assistant", "set_data_usage", {**LINE, "data_used_gb": 15.1}),),
    "bill": (
        StateCall("assistant", "suspend_line_for_overdue_bill", {**LINE, "new_bill_id": "B9", "contract_ended": False}),
        StateCall("user", "simulate_network_search", {}),
    ),
}
HIDDEN_FROM_MMS = ("restrict", "vpn")
WHO = "Customer name: John Smith, phone number: 555-123-2002, current location: {}. Resolved when {}."
GOALS = {
    "bill": "there is signal. They gave permission to pay all",
    **dict.fromkeys(HIDDEN_FROM_MMS, "a speed test is excellent"),
}


@pytest.fixture(scope="module")
def world() -> TelecomWorld:
    faults = {name: (CUSTOMER, *steps) for name, steps in FAULTS.items()}
    several = (CUSTOMER, *(step for name in ("sim", "data", "usage", "permissions") for step in FAULTS[name]))
    return TelecomWorld({**faults, "fine": (CUSTOMER,), "several": several})


def task(digest: str) -> Task:
    where = "abroad in France" if digest == "roaming" else "at home"
    return Task(digest=digest, benchmark="telecom", prompt=WHO.format(where, GOALS.get(digest, "an MMS can be sent")))


def context(seed: int = 0, steer: str = "", turns: int | None = None) -> AttemptContext:
    return AttemptContext(attempt_id="a", steer=Steer(text=steer), seed=seed, turns_limit=turns)


def calls(result: AttemptResult) -> list[str]:
    return [event.name for event in result.trace]


@pytest.mark.parametrize("layer", FAULTS)
async def test_without_noise_it_repairs_every_layer_and_changes_nothing_else(world: TelecomWorld, layer: str) -> None:
    worker: Worker = TelecomWorker(world, noise=0.0)
    for seed in range(3):
        result = await worker.attempt(task(layer), context(seed, turns=40), None)
        assert world.symptom(task(layer).prompt, result.output).gone
        assert not any(harms(task(layer), result).values())
        assert sum(had_effect(event) for event in result.trace) <= 4
        assert result.cost.turns == len(result.trace) < 40


async def test_an_attempt_is_a_function_of_task_start_seed_and_steer(world: TelecomWorld) -> None:
    worker = TelecomWorker(world)
    first = await worker.attempt(task("several"), context(1, "VPN"), None)
    assert await TelecomWorker(world).attempt(task("several"), context(1, "VPN"), None) == first
    seeds = {tuple(calls(await worker.attempt(task("several"), context(seed), None))) for seed in range(8)}
    assert len(seeds) > 4
    later = await worker.attempt(task("several"), context(1, "VPN"), first.state)
    assert calls(later) != calls(first)


@given(
    seed=st.integers(0, 2**63 - 1),
    limit=st.integers(0, 30),
    noise=st.floats(0, 1),
    name=st.sampled_from(sorted(FAULTS)),
)
@settings(max_examples=40, deadline=None)
async def test_the_record_is_whole_and_within_the_limit(
    world: TelecomWorld, seed: int, limit: int, noise: float, name: str
) -> None:
    result = await TelecomWorker(world, noise=noise).attempt(task(name), context(seed, turns=limit), None)
    assert len(result.trace) <= limit and [event.turn for event in result.trace] == list(range(len(result.trace)))
    again = world.session(name, None)
    for event in result.trace:
        assert again.call(event.name, json.loads(event.arguments)) == (event.text, event.failed)
    assert again.snapshot() == result.state == result.output


async def test_it_stops_at_once_where_there_is_no_trouble(world: TelecomWorld) -> None:
    assert calls(await TelecomWorker(world).attempt(task("fine"), context(), None)) == ["can_send_mms"]


async def test_turns_are_limited_by_option_where_the_context_says_nothing(world: TelecomWorld) -> None:
    result = await TelecomWorker(world, turns=5).attempt(task("several"), context(), None)
    assert len(result.trace) == 5


async def test_it_goes_on_from_a_state_it_is_given(world: TelecomWorld) -> None:
    worker, state = TelecomWorker(world, noise=0.0), None
    for seed in range(6):
        result = await worker.attempt(task("several"), context(seed), state)
        state = result.state
    assert state is not None and world.symptom(task("several").prompt, state).gone


@pytest.mark.parametrize(
    ("steer", "first"),
    [
        ("Look first at: SIM card.", "check_sim_status"),
        ("maybe someone forgot an APN setting?", "check_apn_settings"),
        ("Check again what was changed last: Wi-Fi calling.", "check_wifi_calling_status"),
        ("Undo the last change: mobile data.", "toggle_data"),
    ],
)
async def test_it_reads_the_words_of_a_steer(world: TelecomWorld, steer: str, first: str) -> None:
    worker = TelecomWorker(world, noise=0.0, compliance=1.0)
    for seed in range(8):
        done = calls(await worker.attempt(task("several"), context(seed, steer), None))
        assert done[0 if first.startswith("toggle") else 1] == first


@pytest.mark.parametrize(
    "steer",
    ["Do not look at the SIM card or app permissions.", "Called: check_sim_status x1, check_app_permissions x2."],
)
async def test_what_it_is_warned_of_or_told_was_done_comes_last(world: TelecomWorld, steer: str) -> None:
    worker = TelecomWorker(world, noise=0.0, compliance=1.0)
    for seed in range(8):
        done = calls(await worker.attempt(task("several"), context(seed, steer), None))
        assert "check_sim_status" not in done[:10] and "check_app_permissions" not in done[:10]


async def test_it_obeys_at_the_stated_rate(world: TelecomWorld) -> None:
    async def obeyed(compliance: float) -> float:
        worker = TelecomWorker(world, noise=0.0, compliance=compliance)
        steer = "Look first at: VPN."
        results = [await worker.attempt(task("several"), context(seed, steer, turns=2), None) for seed in range(300)]
        return sum(calls(result)[1] == "check_vpn_status" for result in results) / len(results)

    assert await obeyed(1.0) == 1.0
    assert 0.03 < await obeyed(0.0) < 0.2, "one of ten places comes first by chance"
    assert 0.75 < await obeyed(0.8) < 0.9


async def test_it_errs_at_the_stated_rate(world: TelecomWorld) -> None:
    worker, amounts, missed = TelecomWorker(world, noise=0.15, compliance=1.0), [], 0
    for seed in range(300):
        result = await worker.attempt(task("usage"), context(seed, "Look first at: data usage.", turns=9), None)
        asked = [json.loads(event.arguments)["gb_amount"] for event in result.trace if event.name == "refuel_data"]
        amounts += asked[:1]
        missed += not asked
    wrong = sum(amount != 2.0 for amount in amounts) / len(amounts)
    assert 0.09 < wrong < 0.21 and {*amounts} == {1.0, 2.0, 5.0}
    assert 0.09 < missed / 300 < 0.21


async def test_a_customer_who_cannot_be_found_is_passed_over(world: TelecomWorld) -> None:
    stranger = Task(digest="usage", benchmark="telecom", prompt="MMS fails, phone number: 000-000-0000.")
    nobody = Task(digest="usage", benchmark="telecom", prompt="MMS fails.")
    for unknown in (stranger, nobody):
        result = await TelecomWorker(world, noise=0.0).attempt(unknown, context(turns=30), None)
        assert len(result.trace) == 30 and any(event.failed for event in result.trace)


def test_the_fingerprint_carries_its_parameters(world: TelecomWorld) -> None:
    fingerprint = TelecomWorker(world, noise=0.1, compliance=0.5, turns=7).fingerprint
    assert fingerprint.name == "telecom"
    assert fingerprint.params == {"noise": "0.1", "compliance": "0.5", "turns": "7"}
