"""Measured comparisons; each prints a table."""
