from __future__ import annotations

import pytest

from experiments.config import dump, merge
from experiments.skill.config import QUICK, SkillConfig
from signatures.errors import UsageError


def test_a_quick_run_can_still_be_told_otherwise() -> None:
    found = merge(SkillConfig, overrides=["lm=m", *QUICK, "test=9"])
    assert (found.test, found.calibration, found.demos) == (9, 6, 3)


def test_a_config_is_kept_whole() -> None:
    found = merge(SkillConfig, overrides=["lm=local:/m.gguf?threads=1", 'policies=["stop"]'])
    assert found.policies == ("stop",) and 'lm = "local:/m.gguf?threads=1"' in dump(found)


@pytest.mark.parametrize("override", ["margin=0", "policies=[]", 'policies=["all"]', "test=0", "tier=rule"])
def test_what_cannot_be_is_refused(override: str) -> None:
    with pytest.raises(UsageError):
        merge(SkillConfig, overrides=["lm=m", override])
    with pytest.raises(UsageError, match="lm"):
        merge(SkillConfig)
