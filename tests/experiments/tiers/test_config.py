"""The configs of the commands on tiers."""

from __future__ import annotations

import pytest

from experiments.config import dump, merge
from experiments.tiers.config import DemoteConfig, TiersConfig
from signatures.errors import UsageError


def test_a_config_is_read_back_from_its_dump() -> None:
    for config in (DemoteConfig(controller="c.json"), TiersConfig(split="production")):
        assert type(config).model_validate_json(config.model_dump_json()) == config
        assert dump(config)


@pytest.mark.parametrize("override", ["regret=1", "agreement=1.5", "folds=1", "rules=1", "walks=0"])
def test_what_makes_no_sense_is_refused(override: str) -> None:
    with pytest.raises(UsageError, match=override.split("=")[0]):
        merge(DemoteConfig, None, ['controller="c.json"', override])
