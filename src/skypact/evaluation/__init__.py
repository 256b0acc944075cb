"""How good a picture is, measured against the truth."""
