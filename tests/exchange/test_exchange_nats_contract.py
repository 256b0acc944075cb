"""The engine over NATS keeps the contract of all engines."""

import pytest
from engine_contract import EngineContract
from nats_federation import NatsPair


class TestNats(EngineContract):
    @pytest.fixture
    def pair(self, nats_pair: NatsPair) -> NatsPair:
        return nats_pair
