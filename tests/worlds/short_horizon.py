"""Named designs of the simulator: the main one, and those where estimators get into trouble."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from optimizers.replay.simulator import WorldConfig

MAIN: Final = WorldConfig()
"""Tuned once so that the spread is about 0.29 and ESS/N about 0.37 on average: worlds were tuned, not estimators."""
ON_POLICY: Final = replace(MAIN, overlap=1.0)
"""Every candidate is the behaviour."""
LOW_OVERLAP: Final = replace(MAIN, overlap=0.03, rounds=5)
"""ESS/N near 0.05."""
CLOSE: Final = replace(MAIN, spread=0.02)
"""Candidates 0.02 apart from worst to best."""
MISRECORDED: Final = replace(MAIN, propensity_error=0.3)
"""Recorded propensities that are off by a factor of 1.35, one standard deviation."""
ALIASED: Final = replace(MAIN, aliasing=3)
"""Three latent levels behind each look."""
PARTLY_UNSEEN: Final = replace(MAIN, unseen=0.01)
"""Under 5 % of each candidate is not in the record: intervals widen."""
UNSEEN: Final = replace(MAIN, unseen=0.5)
"""Half of each later round is not in the record: nothing can be said."""
HARD_TASKS: Final = replace(MAIN, difficulty=0.3, episodes_per_task=40)
"""Few tasks that differ much: episodes are far from independent."""
LOSSY: Final = replace(MAIN, lost=0.1)
"""Every tenth episode has no outcome."""
