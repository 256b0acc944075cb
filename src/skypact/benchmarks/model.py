"""One measured figure of a benchmark."""

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A measured value, beside what it is held against in the same run."""

    name: str
    value: float
    unit: str
    peer: str = ""  # what it is held against
    peer_value: float | None = None  # in the same unit
    ratio: float | None = None  # how many times better than the peer (more is better)
    target: str = ""  # the goal in words
    note: str = ""
