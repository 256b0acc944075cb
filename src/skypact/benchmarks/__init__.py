"""The project's benchmarks: each measures in one run both Skypact and what it is held against."""
