"""The config of a harvest: its defaults hold, and what cannot be is named."""

from __future__ import annotations

import pytest

from experiments.config import dump, merge
from experiments.harvest.config import HarvestConfig
from signatures.errors import UsageError


def test_the_defaults_harvest_telecom_below_runs() -> None:
    config = merge(HarvestConfig)
    assert (config.benchmark, config.root, config.corpus) == ("telecom", "runs", None)
    assert "corpus" not in dump(config)


def test_a_finding_names_at_least_one_episode() -> None:
    with pytest.raises(UsageError, match="evidence"):
        merge(HarvestConfig, None, ["evidence=0"])
