"""Skypact: one air picture in real time, shared by partners who each stay sovereign."""

__version__ = "0.1.0"
