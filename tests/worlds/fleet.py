"""The planted world with machines enough for several gates: what the story in `docs/promotion.md` is told on."""

from __future__ import annotations

from tests.worlds.planted import PlantedBenchmark


class FleetBenchmark(PlantedBenchmark):
    """Twice as many machines of each family."""

    variants = 12
