"""Centres with real NATS servers, for tests of the exchange."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nats_federation import Federation, NatsPair


@pytest.fixture
def nats_pair(tmp_path: Path) -> Iterator[NatsPair]:
    """Alpha and Bravo with running engines, linked both ways."""
    pair = NatsPair(tmp_path)
    try:
        pair.start()
        yield pair
    finally:
        pair.close()


@pytest.fixture
def nats_federation(tmp_path: Path) -> Iterator[Callable[..., Federation]]:
    """Makes a federation of the given names; the test starts it, and it is stopped after the test."""
    made: list[Federation] = []

    def make(*names: str) -> Federation:
        made.append(Federation(tmp_path, names))
        return made[-1]

    yield make
    for federation in made:
        federation.close()
