"""Prometheus meters of one server, in a registry of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from signatures.records import Decision, Tier

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
TIERS: tuple[Tier, ...] = ("frontier", "resident", "rule")


class Meters:
    """What the server did since it started."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        own = self.registry
        self._requests = Counter("tiller_requests", "Answers, by call and status.", ["call", "status"], registry=own)
        self._seconds = Histogram("tiller_request_seconds", "Time to answer.", ["call"], buckets=SECONDS, registry=own)
        self._decisions = Counter(
            "tiller_decisions", "Decisions, by policy and tier.", ["policy", "tier"], registry=own
        )
        self.fallbacks = Counter(
            "tiller_fallbacks", "Decisions that a fallback made, its model being down.", registry=own
        )
        self.opened = Counter("tiller_episodes_opened", "Episodes begun.", registry=own)
        self._ended = Counter("tiller_episodes_ended", "Episodes ended, by how.", ["how"], registry=own)
        self._attempts = Counter("tiller_attempts", "Attempts reported, by outcome.", ["outcome"], registry=own)
        self.under_way = Gauge("tiller_episodes_open", "Episodes begun and not ended.", registry=own)
        self.release = Gauge(
            "tiller_release", "1 for the release that new episodes begin with.", ["digest"], registry=own
        )
        self.degraded = Gauge("tiller_degraded", "1 while the source of releases has a problem.", registry=own)
        # Finding a meter by its labels costs more than to count: each is found once. Labels are few.
        self._counter = cache(Counter.labels)
        self._histogram = cache(Histogram.labels)

    def answered(self, call: str, status: int) -> None:
        """Count an answer."""
        self._counter(self._requests, call, str(status)).inc()

    def took(self, call: str, seconds: float) -> None:
        """Note how long an answer that is no refusal took."""
        self._histogram(self._seconds, call).observe(seconds)

    def reported(self, outcome: str) -> None:
        """Count an attempt."""
        self._counter(self._attempts, outcome).inc()

    def decided(self, decisions: Iterable[Decision], compiled: Mapping[str, str]) -> None:
        """Count decisions; one by a policy other than the `compiled` one (policy -> digest) is a fallback's."""
        for decision in decisions:
            self._counter(self._decisions, decision.policy, decision.tier).inc()
            if compiled.get(decision.policy) != decision.policy_digest:
                self.fallbacks.inc()

    def ended(self, failed: bool) -> None:
        """Count an episode's end."""
        self._counter(self._ended, "failed" if failed else "selected").inc()

    def watch(self, under_way: Callable[[], float], degraded: Callable[[], float]) -> None:
        """Ask these when somebody looks."""
        self.under_way.set_function(under_way)
        self.degraded.set_function(degraded)

    def begins_with(self, digest: str) -> None:
        """Another release is current."""
        self.release.clear()
        self.release.labels(digest).set(1)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
