from hypothesis import given
from hypothesis.strategies import integers, text

from skypact.core.text import callsign_from_text, callsign_to_text


@given(text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=8))
def test_a_callsign_survives_packing(callsign):
    assert callsign_to_text(callsign_from_text(callsign)) == callsign


@given(integers(0, 2**48 - 1))
def test_any_48_bits_give_a_text_of_at_most_eight_characters(packed):
    assert len(callsign_to_text(packed)) <= 8


def test_no_callsign_is_no_text():
    assert callsign_to_text(callsign_from_text("  ")) == ""
