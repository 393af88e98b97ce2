from __future__ import annotations

import pytest

from experiments.config import dump, merge
from experiments.serve.config import ServeConfig
from signatures.errors import UsageError


def test_it_listens_on_this_machine_alone_unless_told_otherwise() -> None:
    assert ServeConfig().host == "127.0.0.1"


def test_limits_are_set_by_dotted_names_and_the_dump_reads_back() -> None:
    config = merge(ServeConfig, None, ["limits.open_episodes=3", "checks=reported", "benchmark=telecom"])
    assert (config.limits.open_episodes, config.checks) == (3, "reported")
    assert "open_episodes = 3" in dump(config)


@pytest.mark.parametrize(
    "override", ["port=70000", "checks=maybe", "limits.body_bytes=1", "name=../up", "every_s=0", "alias=a b", "no=1"]
)
def test_what_cannot_be_is_refused_in_one_line(override: str) -> None:
    with pytest.raises(UsageError):
        merge(ServeConfig, None, [override])
