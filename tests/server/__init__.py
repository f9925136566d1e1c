"""Tests of how it is served: settings, limits, shutdown."""
