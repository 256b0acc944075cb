"""ASTERIX, the EUROCONTROL surveillance format: bytes to columns and back."""
