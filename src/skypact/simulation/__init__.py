"""Simulated worlds: targets, sensors and the data that they would send."""
