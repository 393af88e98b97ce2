"""The config of production: what is kept for judging is refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.config import dump, merge
from experiments.production.config import ProductionConfig, champion_cache
from signatures.errors import UsageError


@pytest.mark.parametrize("split", ["dev", "holdout"])
def test_splits_that_are_kept_for_judging_are_refused_with_the_reason(split: str) -> None:
    with pytest.raises(UsageError, match=f"split: {split} is kept for judging: later searches learn"):
        merge(ProductionConfig, None, [f"split={split}"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("split=train", "split: is production or search"),
        ("name=../elsewhere", "name: String should match pattern"),
        ("alias=a/b", "alias: String should match pattern"),
        ("tasks=0", "tasks: Input should be greater than or equal to 1"),
        ("releas=x", "did you mean 'release'?"),
    ],
)
def test_bad_values_are_one_line(override: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")) as caught:
        merge(ProductionConfig, None, [override])
    assert "\n" not in str(caught.value)


def test_the_dump_reads_back(tmp_path: Path) -> None:
    config = merge(ProductionConfig, None, ["tasks=3", "name=phones", "options.noise=0.3", "split=search"])
    file = tmp_path / "config.toml"
    file.write_text(dump(config))
    assert merge(ProductionConfig, file) == config
    assert champion_cache(tmp_path, "phones").parent == tmp_path
