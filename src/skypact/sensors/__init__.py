"""The sensors: who they are, how their bytes arrive, and how healthy they are."""
