"""The contract suite, on the engines that need no model."""

from __future__ import annotations

import pytest

from optimizers.engines import engine_of
from optimizers.testing_engines import EngineContract, Maker


class TestRandomSearch(EngineContract):
    @pytest.fixture
    def engine(self) -> Maker:
        return lambda kit: engine_of("random_search", kit)


class TestBestOfN(EngineContract):
    @pytest.fixture
    def engine(self) -> Maker:
        return lambda kit: engine_of("best_of_n", kit)


class TestGepaSearch(EngineContract):
    owns_its_loop = True

    @pytest.fixture
    def engine(self) -> Maker:
        return lambda kit: engine_of("gepa_search", kit)


class TestNullSearch(EngineContract):
    draws = False

    @pytest.fixture
    def engine(self) -> Maker:
        return lambda kit: engine_of("null_search", kit)
