"""Our estimators that read a log keep the contract of estimators."""

from __future__ import annotations

import pytest

from optimizers.replay.doubly_robust import DoublyRobust
from optimizers.replay.fqe import FittedQ
from optimizers.replay.ips import Ips
from optimizers.replay.per_decision import PerDecisionSnips
from optimizers.replay.q_ridge import RidgeQ
from optimizers.replay.q_tabular import TabularQ
from optimizers.replay.snips import Snips
from optimizers.replay.testing import EstimatorContract
from optimizers.replay.weighted_doubly_robust import WeightedDoublyRobust


class TestIps(EstimatorContract):
    @pytest.fixture
    def estimator(self) -> Ips:
        return Ips()


class TestSnips(EstimatorContract):
    @pytest.fixture
    def estimator(self) -> Snips:
        return Snips()


class TestPerDecisionSnips(EstimatorContract):
    @pytest.fixture
    def estimator(self) -> PerDecisionSnips:
        return PerDecisionSnips()


class TestSnipsWithBootstrap(EstimatorContract):
    @pytest.fixture
    def estimator(self) -> Snips:
        return Snips(interval="bootstrap")


class TestDoublyRobust(EstimatorContract):
    exact_on_policy = False

    @pytest.fixture
    def estimator(self) -> DoublyRobust:
        return DoublyRobust()


class TestWeightedDoublyRobust(EstimatorContract):
    exact_on_policy = False

    @pytest.fixture
    def estimator(self) -> WeightedDoublyRobust:
        return WeightedDoublyRobust()


class TestTabularQ(EstimatorContract):
    exact_on_policy = False

    @pytest.fixture
    def estimator(self) -> FittedQ:
        return FittedQ(TabularQ(), resamples=20)


class TestRidgeQ(EstimatorContract):
    exact_on_policy = False

    @pytest.fixture
    def estimator(self) -> FittedQ:
        return FittedQ(RidgeQ(), resamples=20)
