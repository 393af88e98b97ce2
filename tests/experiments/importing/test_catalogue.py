"""The folder is the catalogue of formats."""

from __future__ import annotations

import pytest

from experiments.importing.catalogue import format_ids, load_format
from signatures.errors import UsageError


def test_every_format_loads_and_names_its_files() -> None:
    assert format_ids() == ("inspect", "jsonl", "mini", "mlflow", "otel", "tau")
    assert all(load_format(id).patterns for id in format_ids())


def test_an_unknown_format_is_refused_with_the_closest() -> None:
    with pytest.raises(UsageError, match="did you mean 'mlflow'"):
        load_format("mlflw")
    with pytest.raises(UsageError, match="there is inspect, jsonl"):
        load_format("zzzz")
