"""Measurements of Cortex against its real servers; `python -m benchmarks` runs them and prints tables."""
