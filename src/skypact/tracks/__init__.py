"""Tracks: one estimate for each aircraft or drone, from the plots of all sensors."""
