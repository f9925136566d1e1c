"""Measured comparisons: `python -m benchmarks.<name>` prints a table."""
