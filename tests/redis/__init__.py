"""Tests of more than one machine: workers, logs in Redis, outages."""
