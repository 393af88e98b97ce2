from __future__ import annotations

from experiments.serve.meters import Meters
from signatures.records import Decision


def a_decision(digest: str) -> Decision:
    return Decision(
        id=digest,
        episode_id="e",
        step=0,
        policy="stop",
        features={},
        legal=("continue", "done"),
        probabilities={"continue": 1.0, "done": 0.0},
        action="continue",
        propensity=1.0,
        draw_seed=0,
        tier="rule",
        policy_digest=digest,
    )


def test_decisions_are_counted_by_tier_and_those_of_a_fallback_apart() -> None:
    meters = Meters()
    meters.decided([a_decision("compiled"), a_decision("other")], {"stop": "compiled"})
    meters.ended(failed=True)
    meters.answered("decide", 200)
    meters.answered("decide", 200)
    meters.took("decide", 0.003)
    meters.reported("ok")
    meters.begins_with("abc")
    meters.begins_with("def")
    meters.watch(lambda: 3.0, lambda: 1.0)
    text = meters.text().decode()
    for line in (
        'tiller_decisions_total{policy="stop",tier="rule"} 2.0',
        "tiller_fallbacks_total 1.0",
        'tiller_requests_total{call="decide",status="200"} 2.0',
        'tiller_request_seconds_bucket{call="decide",le="0.005"} 1.0',
        'tiller_attempts_total{outcome="ok"} 1.0',
        'tiller_episodes_ended_total{how="failed"} 1.0',
        "tiller_episodes_open 3.0",
        "tiller_degraded 1.0",
        'tiller_release{digest="def"} 1.0',
    ):
        assert line in text
    assert "abc" not in text


def test_two_servers_in_one_process_count_for_themselves() -> None:
    one, two = Meters(), Meters()
    one.opened.inc()
    assert "tiller_episodes_opened_total 1.0" in one.text().decode()
    assert "tiller_episodes_opened_total 0.0" in two.text().decode()
