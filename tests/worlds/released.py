"""Releases of the planted world: what a promotion writes, without a registry."""

from __future__ import annotations

from pathlib import Path

from controllers.program import controller_of
from controllers.release import Champion
from optimizers.promotion import Promotion, ungated_report, write_release
from signatures.records import Candidate
from signatures.release import Lineage
from tests.worlds.lab import GRANT
from tests.worlds.planted import BENCHMARK, PlantedBenchmark

WHY = "a release of the tests"


def promotion_of(candidate: Candidate, *, exploration: float = 0.05, name: str = BENCHMARK) -> Promotion:
    """What a release of this candidate is made of."""
    controller = controller_of(candidate)
    return Promotion(
        name=name,
        benchmark=BENCHMARK,
        controller=controller,
        grant=GRANT,
        worker=PlantedBenchmark().worker(None, None).fingerprint,
        lineage=Lineage(name="by hand"),
        report=ungated_report(controller.digest, BENCHMARK, WHY),
        ungated=WHY,
        exploration=exploration,
    )


def released(folder: Path, candidate: Candidate, *, exploration: float = 0.05) -> Champion:
    """Write a release into a folder; it, with the controller as it was compiled."""
    promotion = promotion_of(candidate, exploration=exploration)
    return Champion(write_release(folder, promotion, at_s=0.0), promotion.controller, {}, "")
