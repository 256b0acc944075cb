"""Plots: what sensors measured, in one shape for every kind of sensor."""
