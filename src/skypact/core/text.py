"""Callsigns as numbers: eight characters of the six-bit ICAO alphabet in one integer.

Source of the alphabet: ICAO Annex 10 volume IV, table 3-9 (IA-5 subset).
"""

import numpy as np
from numpy.typing import NDArray

_ALPHABET = "".join(
    chr(code + 64) if 1 <= code <= 26 else chr(code) if code == 32 or 48 <= code <= 57 else "?"
    for code in range(64)
)
_CODES = {character: code for code, character in enumerate(_ALPHABET) if character != "?"}


def callsign_to_text(packed: int) -> str:
    """The callsign in 48 bits without trailing blanks; "" for none, `?` for a code without character."""
    if packed == 0:
        return ""
    return "".join(_ALPHABET[(int(packed) >> shift) & 63] for shift in range(42, -1, -6)).rstrip()


def callsign_from_text(text: str) -> int:
    """The first eight characters of `text` as 48 bits; a character not of the alphabet becomes a blank."""
    packed = 0
    stripped = text.strip().upper()
    if not stripped:
        return 0
    for character in stripped[:8].ljust(8):
        packed = packed << 6 | _CODES.get(character, 32)
    return packed


def callsigns_to_text(packed: NDArray[np.int64]) -> list[str | None]:
    """Each callsign as text, None for none; equal ones are made once."""
    distinct, where = np.unique(packed, return_inverse=True)
    texts = [callsign_to_text(int(value)) or None for value in distinct]
    return [texts[index] for index in where]
